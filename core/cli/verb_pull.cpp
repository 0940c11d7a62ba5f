// tenon pull NAME|org/repo[:QUANT]|URL: fetches a model; its path goes to standard output.
#include "core/base/json_writer.h"
#include "core/cli/model_file.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/hub/byte_text.h"
#include "core/hub/quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace tenon::cli {

namespace {

constexpr uint32_t kConnectionsMax = 64;
constexpr uint32_t kTimeoutMax = 3600, kRetriesMax = 100;

void print_json(const hub::Pulled& pulled, double seconds) {
    JsonWriter json;
    json.begin_object().field("name", pulled.name).field("path", pulled.files.front());
    json.array("files", pulled.files).field("bytes", pulled.bytes);
    json.field("fetched_bytes", pulled.fetched).field("source", pulled.source);
    json.field("seconds", seconds).end_object();
    fmt::print("{}\n", json.text());
}

int run(int argc, char** argv) {
    std::string model;
    hub::PullOptions options;
    uint32_t timeout = 30;
    bool json = false, offline = false;
    Arguments arguments(
        "pull",
        fmt::format(
            "Fetches a model and prints its path. A pull that was cut off goes on where it ended.\n"
            "Without a QUANT the first of these that the repository has is taken:\n{}.\n"
            "HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they mean "
            "to\n"
            "huggingface_hub, and the cache is shared with it; https_proxy, http_proxy, all_proxy "
            "and no_proxy what\n"
            "they mean to curl. 'tenon run MODEL' on a terminal fetches what is missing.",
            fmt::join(hub::default_order(), " ")));
    arguments.positional("MODEL", model,
                         "name of the catalog, org/repo[:QUANT], https://... or s3://bucket/key");
    arguments.option("--revision", options.revision, "branch, tag or commit of a repository",
                     "REV");
    arguments.option("--connections", options.fetch.connections, "parts fetched at the same time");
    arguments.option("--timeout", timeout, "seconds without a byte until a connection is given up");
    arguments.option("--retries", options.transfer.retries, "attempts in a row without progress");
    arguments.flag("--offline", offline, "no network: only look whether it is there");
    arguments.flag("--json", json,
                   "one object: name, path, files, bytes, fetched_bytes, source, seconds");
    arguments.example("tenon pull smollm2-135m-instruct");
    arguments.example("tenon pull Qwen/Qwen3-8B-GGUF:Q4_K_M");
    arguments.example("tenon run Qwen/Qwen3-8B-GGUF:Q4_K_M");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    const auto in_range = [&](const char* name, uint32_t value, uint32_t least, uint32_t most) {
        if (value >= least && value <= most) return true;
        fmt::print(stderr, "tenon pull: {}: expected a number from {} to {}, got {}\n", name, least,
                   most, value);
        return false;
    };
    if (!in_range("--connections", options.fetch.connections, 1, kConnectionsMax) ||
        !in_range("--timeout", timeout, 1, kTimeoutMax) ||
        !in_range("--retries", options.transfer.retries, 0, kRetriesMax)) {
        return kExitUsage;
    }
    options.fetch.timeout = std::chrono::seconds(timeout);

    hub::Places places = hub::read_places();
    places.is_offline = places.is_offline || offline;
    const auto start = std::chrono::steady_clock::now();
    const Result<hub::Pulled> pulled = pull_model("pull", model, places, options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (!pulled.ok() && pulled.error().code == Code::kCancelled) {
        fmt::print(stderr,
                   "tenon pull: interrupted; what came is kept, and the same command goes on from "
                   "there\n");
        return kExitFailure;
    }
    if (!pulled.ok()) return report("pull", pulled.error());
    if (json) {
        print_json(*pulled, took.count());
        return kExitOk;
    }
    const std::string bytes = hub::format_bytes(pulled->bytes);
    if (pulled->source.empty()) {
        fmt::print(stderr, "tenon pull: {} is there ({})\n", pulled->name, bytes);
    } else {
        fmt::print(stderr, "tenon pull: {} fetched, {} in {:.1f} s, checked\n", pulled->name,
                   hub::format_bytes(pulled->fetched), took.count());
    }
    fmt::print("{}\n", pulled->files.front());
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_pull;
const Verb kVerb_pull = {"pull", "fetch a model", true, run};

}  // namespace tenon::cli
