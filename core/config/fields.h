// The options of Tenon, each written once. YAML, flags, environment, --help and `config explain`
// walk the same visit_fields; nothing else knows a field's name, range or text.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tenon::config {

// What a field may hold beside its type. Zero-initialised members set no limit.
struct Constraint {
    int64_t min = 0;
    int64_t max = 0;                        // 0: no upper limit
    std::vector<const char*> choices = {};  // texts that are legal; empty: any
    const char* unit = "";
};

// A plugin's own options, as canonical text: key -> value. Checked against its manifest, then by the
// plugin.
using PluginOptions = std::map<std::string, std::string>;

// How a model is loaded and run: the options of `run`, `bench`, `perplexity` and later `serve`.
struct EngineConfig {
    std::string backend = "auto";
    uint32_t threads = 0;
    uint32_t context_length = 0;
    uint32_t chunked_prefill_size = 512;
    std::string compute = "fast";
    std::string kv_cache_dtype = "auto";
    bool deterministic = false;
    uint32_t max_running_requests = 0;
    uint32_t max_total_tokens = 0;
    double mem_fraction_static = 0;
    bool disable_radix_cache = false;
    std::string radix_eviction = "lru";
    std::string policy = "prefix";
    double schedule_conservativeness = 1;
    double prefill_bias = 0;
    std::string overlap = "auto";
    uint32_t key_kv_percent = 50;
    uint32_t step_ms_max = 250;
    std::string fallback = "error";
    std::vector<std::string> plugin_dirs;
    std::string plugin_trust = "owner";
    std::vector<std::string> plugin_allow;
    std::map<std::string, PluginOptions> plugins;  // backend name -> its options
};

// visit(name, field, constraint, text)
template <class Visitor>
void visit_fields(EngineConfig& c, Visitor&& visit) {
    visit("backend", c.backend, Constraint{},
          "backend plugin to run on: auto takes the first that has a device");
    visit("threads", c.threads, Constraint{.max = 1024},
          "threads of a CPU backend; 0 takes the cores this process may use");
    visit(
        "context_length", c.context_length, Constraint{.max = 1 << 24, .unit = "tokens"},
        "positions a sequence may hold; 0: as trained, for one answer on the command line at most "
        "2048");
    visit("chunked_prefill_size", c.chunked_prefill_size,
          Constraint{.min = 1, .max = 65536, .unit = "tokens"}, "largest step of a prompt");
    visit("compute", c.compute, Constraint{.choices = {"fast", "precise"}},
          "fast: int8 activations in most matmuls of quantised weights; precise: float");
    visit("kv_cache_dtype", c.kv_cache_dtype,
          Constraint{.choices = {"auto", "f16", "f32", "bf16", "fp8_e4m3", "fp8_e5m2", "int8"}},
          "element type of the KV pool; auto is f16 for fast and f32 for precise");
    visit("deterministic", c.deterministic, Constraint{},
          "refuse kernels whose result depends on batch, chunking or threads");
    visit("max_running_requests", c.max_running_requests,
          Constraint{.max = 65536, .unit = "sequences"},
          "sequences computed together; 0 takes what the memory plan allows");
    visit("max_total_tokens", c.max_total_tokens, Constraint{.unit = "tokens"},
          "tokens of the KV pool; 0 takes what the memory plan allows");
    visit("mem_fraction_static", c.mem_fraction_static, Constraint{.max = 1},
          "share of the device's memory for weights and KV pool; 0 leaves it to the memory plan");
    visit("disable_radix_cache", c.disable_radix_cache, Constraint{},
          "compute every prompt from its first token: keep no prefix for others");
    visit("radix_eviction", c.radix_eviction, Constraint{.choices = {"lru", "slru"}},
          "which cached prefix goes first: lru by last use, slru those hit less than twice before");
    visit("policy", c.policy, Constraint{}, "scheduler policy; its options stand under plugins");
    visit("schedule_conservativeness", c.schedule_conservativeness, Constraint{.max = 10},
          "room kept for outputs at admission: more admits fewer, less retracts more often");
    visit("key_kv_percent", c.key_kv_percent, Constraint{.min = 1, .max = 100, .unit = "percent"},
          "of the KV pool that one key may hold while others wait");
    visit("overlap", c.overlap, Constraint{.choices = {"auto", "on", "off"}},
          "submit a step before the results of the one before it are handled; auto: not on a CPU");
    visit("prefill_bias", c.prefill_bias, Constraint{.max = 1},
          "0 decodes first and prefills in what is left of a step, 1 prefills first");
    visit("step_ms_max", c.step_ms_max, Constraint{.min = 1, .max = 60'000, .unit = "ms"},
          "predicted time of a step stays below it");
    visit("fallback", c.fallback, Constraint{.choices = {"error", "warn", "allow"}},
          "what to do when the backend cannot run an operation");
    visit("plugin_dirs", c.plugin_dirs, Constraint{}, "directories searched for plugins first");
    visit("plugin_trust", c.plugin_trust, Constraint{.choices = {"owner", "allowlist"}},
          "which plugins may be loaded");
    visit("plugin_allow", c.plugin_allow, Constraint{},
          "plugins that trust 'allowlist' accepts, each id@version:sha256");
    visit("plugins", c.plugins, Constraint{}, "options of each backend, by its name");
}

}  // namespace tenon::config
