// Where plugins are looked for, in which order, and why a place is left out.
#pragma once

#include <string>
#include <vector>

namespace tenon::host {

// What the places are made from. Filled by read_search_inputs, or by a test.
struct SearchInputs {
    std::vector<std::string> configured;  // --plugin-dir and the configuration, first to last
    std::string env_path;                 // $TENON_PLUGIN_PATH, colons between
    std::string data_home;                // $XDG_DATA_HOME
    std::string home;                     // $HOME
    std::string program;                  // the running program's real path
    bool at_secure = false;               // the kernel raised privileges at exec (AT_SECURE)
};

struct SearchPlace {
    enum class Origin { kConfigured, kEnvironment, kUser, kAdmin, kDistribution, kBundle };
    std::string path;
    Origin origin;
    std::string left_out;  // sentence; empty: it is searched
};

// Words for `tenon plugins list --why`.
const char* origin_name(SearchPlace::Origin origin) noexcept;

// Reads the environment, the auxiliary vector and /proc/self/exe.
SearchInputs read_search_inputs(std::vector<std::string> configured);

// The places in order: configured, $TENON_PLUGIN_PATH, user data, /usr/local/lib/tenon/plugins,
// /usr/lib/tenon/plugins, ../lib/tenon/plugins beside the program. Never the current folder, never a
// model's. Places of the environment and the user are left out under AT_SECURE; a relative path is
// left out wherever it comes from, except that configured ones are made absolute by the caller's
// reader. Pure.
std::vector<SearchPlace> plan_search_path(const SearchInputs& inputs);

}  // namespace tenon::host
