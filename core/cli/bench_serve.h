// `tenon bench serve URL|MODEL`: a load test of an OpenAI-compatible server.
#pragma once

namespace tenon::cli {

// argv[0] is "serve"; returns an exit code.
int run_bench_serve(int argc, char** argv);

}  // namespace tenon::cli
