#include "core/cli/bench_serve.h"

#include "core/base/json_writer.h"
#include "core/chat_template/json.h"
#include "core/cli/load_report.h"
#include "core/cli/load_shape.h"
#include "core/cli/progress.h"
#include "core/cli/server_child.h"
#include "core/cli/session.h"
#include "core/config/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include <sys/resource.h>

namespace tenon::cli {

namespace {

constexpr uint32_t kRequestsMax = 10'000'000;
constexpr uint32_t kConnectionsMax = 16'384;  // in flight at once

// As the command line gave them.
struct ServeOptions {
    std::string target, model, endpoint = "completions", prompts, input = "64", output = "128";
    std::string goodput, ca_file;
    uint32_t concurrency = 8, requests = 100, warmup = 0, timeout_s = 600;
    float rate = 0;
    bool ignore_eos = false, json = false;
    std::vector<std::string> server_options;
    LoadShape shape;
    Goodput wanted;
};

void declare_options(Arguments& arguments, ServeOptions& o) {
    arguments.positional("TARGET", o.target,
                         "URL of a server, or a .gguf file to serve here [$OPENAI_API_BASE]",
                         false);
    arguments.option("--concurrency,--num-concurrent-requests", o.concurrency,
                     "closed loop: requests in flight");
    arguments.option("--request-rate", o.rate,
                     "open loop: requests per second, Poisson; 0: closed");
    arguments.option("--num-prompts,--max-num-completed-requests", o.requests, "requests");
    arguments.option("--warmup", o.warmup, "requests before that, not counted");
    arguments.option("--input-tokens", o.input, "of a prompt: TOKENS or MEAN,STDDEV", "N");
    arguments.option("--output-tokens", o.output, "of an answer: TOKENS or MEAN,STDDEV", "N");
    arguments.option("--shared-prefix", o.shape.shared_prefix,
                     "tokens in front of every prompt of a group");
    arguments.option("--shared-groups", o.shape.shared_groups, "groups, each with its prefix");
    arguments.option("--model", o.model, "name to ask for [the server's first]", "NAME");
    arguments.option("--endpoint", o.endpoint, "completions or chat", "NAME");
    arguments.option("--prompts", o.prompts, "text, or ids for exact lengths [text]", "KIND");
    arguments.option("--vocab-size", o.shape.vocab, "ids are drawn from the middle of it");
    arguments.flag("--ignore-eos", o.ignore_eos, "ask for answers of full length (an extension)");
    arguments.option("--temperature", o.shape.temperature, "of the sampling");
    arguments.option("--seed", o.shape.seed, "of prompts and arrivals");
    arguments.option("--goodput", o.goodput, "demands such as ttft:500ms,itl:100ms,e2e:10s",
                     "LIST");
    arguments.option("--timeout", o.timeout_s, "seconds a request may take; 0: any");
    arguments.option("--ca-file", o.ca_file, "PEM file of authorities for https [system]", "FILE");
    arguments.option("--serve-option", o.server_options, "word for `tenon serve`; repeated",
                     "WORD");
    arguments.flag("--json", o.json, "one object instead of a table");
    arguments.example("tenon bench serve http://127.0.0.1:30000 --num-concurrent-requests 32");
    arguments.example(
        "tenon bench serve model.gguf --request-rate 4 --goodput ttft:500ms,itl:100ms");
}

// The options that have a form of their own; the sentence names the flag.
Status read_options(ServeOptions& o) {
    const auto of = [](const char* flag, Error error) { return std::move(error).within(flag); };
    const auto refuse = [](std::string sentence) {
        return Error{Code::kInvalid, std::move(sentence)};
    };
    Result<TokenCount> count = parse_token_count(o.input);
    if (!count.ok()) return of("--input-tokens", count.error());
    o.shape.input = *count;
    count = parse_token_count(o.output);
    if (!count.ok()) return of("--output-tokens", count.error());
    o.shape.output = *count;
    if (!o.goodput.empty()) {
        const Result<Goodput> goodput = parse_goodput(o.goodput);
        if (!goodput.ok()) return of("--goodput", goodput.error());
        o.wanted = *goodput;
    }
    if (o.endpoint != "completions" && o.endpoint != "chat") {
        return refuse(
            fmt::format("--endpoint: expected completions or chat, got '{}'", o.endpoint));
    }
    if (!o.prompts.empty() && o.prompts != "text" && o.prompts != "ids") {
        return refuse(fmt::format("--prompts: expected text or ids, got '{}'", o.prompts));
    }
    if (o.endpoint == "chat" && o.prompts == "ids") {
        return refuse("--prompts ids: a chat takes text only");
    }
    if (!(o.rate >= 0) || o.rate > 1e6f) {
        return refuse("--request-rate: expected a number from 0 to 1000000");
    }
    if (o.concurrency < 1 || o.concurrency > kConnectionsMax) {
        return refuse(fmt::format("--concurrency: expected 1 to {}", kConnectionsMax));
    }
    if (o.requests < 1 || o.requests > kRequestsMax || o.warmup > kRequestsMax) {
        return refuse(fmt::format("--num-prompts: expected 1 to {}", kRequestsMax));
    }
    if (o.shape.shared_groups < 1 || o.shape.shared_prefix > (1u << 20)) {
        return refuse("--shared-prefix: expected at most 1048576 tokens and at least one group");
    }
    if (o.shape.vocab < 16) return refuse("--vocab-size: expected at least 16");
    o.shape.is_chat = o.endpoint == "chat";
    o.shape.as_ids = o.prompts == "ids";
    o.shape.ignore_eos = o.ignore_eos;
    o.shape.timeout = std::chrono::seconds(o.timeout_s);
    return {};
}

// Raises the soft limit of open files to what `connections` need, as far as the hard one lets it.
void allow_files(uint32_t connections) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const rlim_t wanted = std::min<rlim_t>(limit.rlim_max, connections + 256);
    if (limit.rlim_cur >= wanted) return;
    limit.rlim_cur = wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

// The id of the first model that the server lists.
Result<std::string> first_model(net::Client& client, const LoadShape& shape) {
    using chat_template::Value;
    net::ClientRequest request;
    request.url = shape.base + "/models";
    request.timeout = std::chrono::seconds(30);
    if (!shape.api_key.empty()) request.headers.add("Authorization", "Bearer " + shape.api_key);
    TENON_TRY(const net::HttpResponse response, client.send(std::move(request)));
    if (response.status != 200) {
        return Error{Code::kInvalid, fmt::format("{}/models answered {}: {}", shape.base,
                                                 response.status, response.body.substr(0, 300))};
    }
    const Result<Value> parsed = chat_template::parse_json(response.body);
    const Value* data =
        parsed.ok() && parsed->is(Value::Kind::kDict) ? parsed->as_dict().find("data") : nullptr;
    if (data != nullptr && data->is(Value::Kind::kList) && !data->as_list().items.empty()) {
        const Value& model = data->as_list().items.front();
        const Value* id = model.is(Value::Kind::kDict) ? model.as_dict().find("id") : nullptr;
        if (id != nullptr && id->is_string()) return id->as_text().bytes();
    }
    return Error{Code::kInvalid,
                 fmt::format("{}/models lists no model; --model names one", shape.base)};
}

Result<LoadSummary> measure(net::Client& client, const ServeOptions& o, const uint32_t* cancel,
                            bool& interrupted) {
    LoadSchedule schedule;
    schedule.requests = o.warmup;
    schedule.concurrency = o.concurrency;
    if (o.warmup > 0) {
        Progress progress("warming up");
        const LoadResult warm = run_load(
            client, schedule,
            [&](uint32_t i) { return make_request(o.shape, uint64_t{o.requests} + i); }, cancel,
            [&](uint64_t done, uint64_t total) { progress.show(done, total); });
        interrupted = warm.interrupted;
        const LoadSummary summary = summarize(warm, {});
        if (interrupted || summary.completed == 0) return summary;
    }
    schedule.requests = o.requests;
    schedule.rate = o.rate;
    schedule.seed = o.shape.seed;
    Progress progress("requests");
    const LoadResult result = run_load(
        client, schedule, [&](uint32_t i) { return make_request(o.shape, i); }, cancel,
        [&](uint64_t done, uint64_t total) { progress.show(done, total); });
    interrupted = result.interrupted;
    return summarize(result, o.wanted);
}

void print(const ServeOptions& o, const LoadSummary& summary) {
    if (o.json) {
        JsonWriter json;
        json.begin_object().field("url", o.shape.base).field("model", o.shape.model);
        json.field("endpoint", o.endpoint).field("loop", o.rate > 0 ? "open" : "closed");
        json.key("concurrency");
        o.rate > 0 ? json.null() : json.value(o.concurrency);
        json.key("request_rate");
        o.rate > 0 ? json.value(static_cast<double>(o.rate)) : json.null();
        json.field("requests", o.requests);
        write_json(json, summary, o.wanted);
        json.end_object();
        fmt::print("{}\n", json.text());
        return;
    }
    const std::string loop = o.rate > 0 ? fmt::format("{} requests/s", o.rate)
                                        : fmt::format("{} in flight", o.concurrency);
    fmt::print("{} ({}), {}, {}\n{}", o.shape.base, o.shape.model, o.endpoint, loop,
               to_text(summary, o.wanted));
}

Result<int> run_load_test(ServeOptions& o) {
    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    net::ClientOptions client_options;
    client_options.connections_per_origin =
        o.rate > 0 ? std::min(o.requests, kConnectionsMax) : std::max(o.concurrency, 1u);
    client_options.ca_file = o.ca_file;
    client_options.connect_timeout = std::chrono::seconds(5);
    allow_files(client_options.connections_per_origin);
    TENON_TRY(const std::unique_ptr<net::Client> client, net::Client::create(client_options));
    const bool is_url = o.target.find("://") != std::string::npos;
    std::optional<ServerChild> child;
    if (!is_url) {
        Result<ServerChild> started =
            ServerChild::start(o.target, o.server_options, *client, &cancel);
        if (!started.ok()) return std::move(started).error();
        child.emplace(std::move(started).value());
    }
    TENON_TRY(o.shape.base, api_base(is_url ? o.target : child->url()));
    if (is_url) o.shape.api_key = config::read_variable("OPENAI_API_KEY");
    o.shape.model = o.model;
    if (o.model.empty()) {
        TENON_TRY(o.shape.model, first_model(*client, o.shape));
    }
    bool interrupted = false;
    TENON_TRY(const LoadSummary summary, measure(*client, o, &cancel, interrupted));
    print(o, summary);
    if (interrupted) return Error{Code::kCancelled, "interrupted"};
    return summary.completed > 0 ? kExitOk : kExitFailure;
}

}  // namespace

int run_bench_serve(int argc, char** argv) {
    ServeOptions options;
    Arguments arguments("bench serve",
                        "Puts load on an OpenAI-compatible server and measures times to the first "
                        "token,\nbetween tokens and to the end. OPENAI_API_KEY is sent to a URL.");
    declare_options(arguments, options);
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (options.target.empty()) options.target = config::read_variable("OPENAI_API_BASE");
    Status status = read_options(options);
    if (status.ok() && options.target.empty()) {
        status = Error{Code::kInvalid, "TARGET is missing, and OPENAI_API_BASE is not set"};
    }
    if (status.ok() && options.rate > 0 && arguments.given("concurrency")) {
        status = Error{Code::kInvalid, "expected one of --concurrency and --request-rate"};
    }
    if (!status.ok()) {
        fmt::print(stderr, "tenon bench serve: {}\nTry 'tenon bench serve --help'.\n",
                   status.error().message);
        return kExitUsage;
    }
    const Result<int> code = run_load_test(options);
    return code.ok() ? *code : report("bench serve", code.error());
}

}  // namespace tenon::cli
