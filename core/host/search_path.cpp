#include "core/host/search_path.h"

#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace tenon::host {
namespace {

constexpr const char* kBelow = "/lib/tenon/plugins";

std::string variable(const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? std::string() : std::string(text);
}

// `path` without trailing slashes, doubled slashes and "." steps; ".." stays and is refused later.
std::string tidy(const std::string& path) {
    std::string out;
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        const std::string step = path.substr(at, end - at);
        if (!step.empty() && step != ".") out += "/" + step;
        at = end + 1;
    }
    return out.empty() ? "/" : out;
}

}  // namespace

const char* origin_name(SearchPlace::Origin origin) noexcept {
    switch (origin) {
        case SearchPlace::Origin::kConfigured: return "configured";
        case SearchPlace::Origin::kEnvironment: return "$TENON_PLUGIN_PATH";
        case SearchPlace::Origin::kUser: return "user data";
        case SearchPlace::Origin::kAdmin: return "local administrator";
        case SearchPlace::Origin::kDistribution: return "distribution";
        case SearchPlace::Origin::kBundle: return "beside the program";
    }
    return "unknown";
}

SearchInputs read_search_inputs(std::vector<std::string> configured) {
    SearchInputs inputs;
    inputs.at_secure = getauxval(AT_SECURE) != 0;
    inputs.env_path = variable("TENON_PLUGIN_PATH");
    inputs.data_home = variable("XDG_DATA_HOME");
    inputs.home = variable("HOME");
    std::error_code fault;
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", fault);
    if (!fault) inputs.program = program.string();
    for (std::string& path : configured) {
        const std::filesystem::path whole = std::filesystem::absolute(path, fault);
        inputs.configured.push_back(fault ? path : whole.lexically_normal().string());
    }
    return inputs;
}

std::vector<SearchPlace> plan_search_path(const SearchInputs& inputs) {
    using Origin = SearchPlace::Origin;
    std::vector<SearchPlace> places;
    const auto add = [&](const std::string& path, Origin origin) {
        SearchPlace place{path, origin, {}};
        const bool chosen_by_user = origin == Origin::kEnvironment || origin == Origin::kUser;
        if (inputs.at_secure && chosen_by_user) {
            place.left_out =
                "The program runs with raised privileges (AT_SECURE), so places chosen "
                "by the environment are not searched.";
        } else if (path.empty() || path[0] != '/') {
            place.left_out = "The path is not absolute; the current folder is never searched.";
        } else {
            place.path = tidy(path);
        }
        places.push_back(std::move(place));
    };
    for (const std::string& path : inputs.configured)
        add(path, Origin::kConfigured);
    if (!inputs.env_path.empty()) {
        for (size_t at = 0; at <= inputs.env_path.size();) {
            const size_t end = std::min(inputs.env_path.find(':', at), inputs.env_path.size());
            add(inputs.env_path.substr(at, end - at), Origin::kEnvironment);
            at = end + 1;
        }
    }
    if (!inputs.data_home.empty()) {
        add(inputs.data_home + "/tenon/plugins", Origin::kUser);
    } else if (!inputs.home.empty()) {
        add(inputs.home + "/.local/share/tenon/plugins", Origin::kUser);
    }
    add(std::string("/usr/local") + kBelow, Origin::kAdmin);
    add(std::string("/usr") + kBelow, Origin::kDistribution);
    const size_t bin = inputs.program.rfind('/');
    const size_t prefix =
        bin == std::string::npos || bin == 0 ? bin : inputs.program.rfind('/', bin - 1);
    if (bin != std::string::npos && prefix != std::string::npos) {
        add(inputs.program.substr(0, prefix) + kBelow, Origin::kBundle);
    }
    return places;
}

}  // namespace tenon::host
