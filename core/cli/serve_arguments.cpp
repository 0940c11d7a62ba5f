#include "core/cli/serve_arguments.h"

#include "core/cli/model_file.h"
#include "core/cli/session.h"
#include "core/config/environment.h"
#include "core/config/yaml.h"

#include <fmt/format.h>

namespace tenon::cli {

void ServeArguments::option(Arguments& arguments, const char* names, const char* field,
                            const char* text, const char* placeholder) {
    Flag& flag = flags_.emplace_back();
    flag.field = field;
    flag.name = std::string(names).substr(0, std::string(names).find(','));
    flag.fixed = nullptr;
    arguments.option(names, flag.value, text, placeholder).sets(field);
}

void ServeArguments::flag(Arguments& arguments, const char* names, const char* field,
                          const char* value, const char* text) {
    Flag& flag = flags_.emplace_back();
    flag.field = field;
    flag.name = std::string(names).substr(0, std::string(names).find(','));
    flag.fixed = value;
    arguments.flag(names, flag.is_set, text).sets(field);
}

ServeArguments::ServeArguments(Arguments& a) {
    a.positional("MODEL", model_, kModelHelp, false);
    option(a, "--model,--model-path", "model", "the same, as an option", "MODEL");
    option(a, "--host", "host", "address to listen on, or unix:PATH [127.0.0.1]", "HOST");
    option(a, "--port", "port", "port to listen on; 0: any free one [30000]", "N");
    a.option("-a,--served-model-name,--alias", model_names_, "what clients call the model", "NAME")
        .sets("served_model_name");
    option(a, "--api-key-file", "api_key_file", "keys, one a line; mode 0600", "FILE");
    option(a, "--auth", "auth", "auto, none or keys [auto]", "RULE");
    option(a, "-c,--ctx,--ctx-size,--context-length,--max-model-len", "context_length",
           "tokens that prompt and answer may have", "N");
    option(a, "--parallel,--max-running-requests,--max-num-seqs", "max_running_requests",
           "sequences computed together, also -np [what fits]", "N");
    option(a, "--max-total-tokens", "max_total_tokens", "tokens of the KV pool [what fits]", "N");
    option(a, "--mem-fraction-static,--gpu-memory-utilization", "mem_fraction_static",
           "share of the device's memory for weights and KV pool", "X");
    option(a, "--chunked-prefill-size,--max-num-batched-tokens", "chunked_prefill_size",
           "largest step of a prompt [512]", "N");
    option(a, "--kv-cache-dtype", "kv_cache_dtype", "type of the KV pool [auto]", "TYPE");
    option(a, "--schedule-policy,--policy", "policy", "scheduler policy [prefix]", "NAME");
    flag(a, "--disable-radix-cache", "disable_radix_cache", "true", "keep no prefix for others");
    flag(a, "--deterministic,--enable-deterministic-inference", "deterministic", "true",
         "tokens depend on nothing but their own request");
    option(a, "--backend", "backend", "backend plugin [auto]", "NAME");
    option(a, "-t,--threads", "threads", "threads of a CPU backend [cores]", "N");
    option(a, "--compute", "compute", "fast or precise [fast]", "MODE");
    option(a, "--fallback", "fallback", "error, warn or allow [error]", "RULE");
    a.option("--plugin-dir", plugin_dirs_, "search here for plugins first", "DIR")
        .sets("plugin_dirs");
    flag(a, "--in-process", "in_process", "true", "no engine process: all in this one");
    flag(a, "--strict", "strict", "true", "unknown fields of a request are refused");
    option(a, "--ssl-certfile,--ssl-cert-file", "tls.certificate_file", "certificates, PEM",
           "FILE");
    option(a, "--ssl-keyfile,--ssl-key-file", "tls.key_file", "private key, PEM", "FILE");
    option(a, "--metrics-host", "metrics.host", "second listener [127.0.0.1]", "HOST");
    option(a, "--metrics-port", "metrics.port", "second listener [port + 1]", "N");
    a.option("--metrics-compat", compat_, "names of vllm or sglang as well", "NAME")
        .sets("metrics.compat");
    option(a, "--log-level", "log.level", "error, warn, info or debug [info]", "LEVEL");
    option(a, "--log-format", "log.format", "text or json [text]", "FORMAT");
    option(a, "--log-file", "log.file", "instead of standard error", "FILE");
    a.option("--config", config_file_, "YAML file with options", "FILE");
    a.option("--set", settings_, "any option, such as limits.n=4", "KEY=VALUE");
    a.flag("--print-config", print_config, "print the whole configuration and end");
    a.flag("--print-routes", print_routes, "print every route as JSON and end");
    a.example("tenon serve smollm2-135m");
    a.example("tenon serve model.gguf --port 8080 --api-key-file keys.txt -np 16");
    a.example("tenon serve --config serve.yaml --print-config");
}

Status ServeArguments::resolve(config::ServeConfig& config) const {
    if (!config_file_.empty()) {
        Result<std::string> text = read_text(config_file_);
        if (!text.ok()) return Error{Code::kConfig, text.error().message};
        TENON_CHECK(config::read_yaml(*text, config_file_, config));
    }
    TENON_CHECK(config::read_environment(config));
    // From here on a mistake is one of the command line.
    const auto set = [&](std::string_view field, std::string_view value,
                         const std::string& name) -> Status {
        Status status = config::set_field(config, field, value, name);
        if (status.ok()) return {};
        return Error{Code::kInvalid, status.error().message};
    };
    for (const std::string& setting : settings_) {
        const size_t equals = setting.find('=');
        if (equals == std::string::npos) {
            return Error{Code::kInvalid,
                         fmt::format("--set: expected KEY=VALUE, got '{}'", setting)};
        }
        const std::string_view text = setting;
        TENON_CHECK(set(text.substr(0, equals), text.substr(equals + 1), "--set"));
    }
    for (const Flag& flag : flags_) {
        if (flag.fixed != nullptr ? !flag.is_set : flag.value.empty()) continue;
        TENON_CHECK(set(flag.field, flag.fixed != nullptr ? flag.fixed : flag.value, flag.name));
    }
    if (!model_.empty()) config.model = model_;
    if (!model_names_.empty()) config.served_model_name = model_names_;
    for (const std::string& name : compat_)
        TENON_CHECK(set("metrics.compat", name, "--metrics-compat"));
    config.engine.plugin_dirs.insert(config.engine.plugin_dirs.begin(), plugin_dirs_.begin(),
                                     plugin_dirs_.end());
    return {};
}

}  // namespace tenon::cli
