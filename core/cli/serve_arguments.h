// The command line of `tenon serve`: our names, and those that users of SGLang, vLLM and
// llama-server have in their fingers.
#pragma once

#include "core/cli/arguments.h"
#include "core/config/serve_config.h"

#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace tenon::cli {

// Values as they were given; configuration is what resolve_serve() makes of them.
class ServeArguments {
public:
    // Declares every option; `arguments` outlives this.
    explicit ServeArguments(Arguments& arguments);

    // Defaults, then --config, the environment and the flags. kConfig for a file or the environment,
    // kInvalid for a flag.
    Status resolve(config::ServeConfig& config) const;
    // The file again, for what a reload takes from it.
    const std::string& config_file() const noexcept { return config_file_; }

    bool print_config = false, print_routes = false;

private:
    struct Flag {
        std::string field;  // of ServeConfig, dotted
        std::string name;   // as it is shown
        std::string value;  // empty: not given
        const char* fixed;  // what a flag without a value means; null: it has one
        bool is_set = false;
    };
    void option(Arguments& arguments, const char* names, const char* field, const char* text,
                const char* placeholder);
    void flag(Arguments& arguments, const char* names, const char* field, const char* value,
              const char* text);

    std::deque<Flag> flags_;  // addresses are kept by the parser
    std::string model_, config_file_;
    std::vector<std::string> model_names_, settings_, plugin_dirs_, compat_;
};

}  // namespace tenon::cli
