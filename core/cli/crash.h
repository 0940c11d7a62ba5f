// One sentence before the process dies of something it cannot survive.
#pragma once

namespace tenon::cli {

// From now on a fault while a plugin is being loaded names the plugin, a model file cut short under its
// mapping is said to be that (exit code 1), and a closed pipe is an error of the write.
void explain_crashes();

}  // namespace tenon::cli
