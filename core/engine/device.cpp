#include "core/engine/device.h"

#include "core/engine/plugin_options.h"
#include "core/host/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace tenon::engine {

namespace {

// Lower is better; -1: never picked by itself.
int rank_of(uint32_t kind) {
    switch (kind) {
        case TENON_DEVICE_GPU: return 0;
        case TENON_DEVICE_IGPU: return 1;
        case TENON_DEVICE_CPU: return 2;
        default: return -1;
    }
}

bool is_backend(const host::Candidate& candidate) {
    return candidate.usable && std::find(candidate.kinds.begin(), candidate.kinds.end(),
                                         "backend") != candidate.kinds.end();
}

// The plugin's own section, and `threads` where the plugin has such an option.
Result<std::vector<host::DeviceOption>> options_for(const config::EngineConfig& config,
                                                    const host::Candidate& candidate) {
    TENON_TRY(std::vector<host::DeviceOption> options, plugin_options(config, candidate));
    const auto is_threads = [](const auto& option) { return option.key == "threads"; };
    const bool given = std::any_of(options.begin(), options.end(), is_threads);
    const bool takes = std::any_of(candidate.options.begin(), candidate.options.end(), is_threads);
    if (takes && !given && config.threads != 0)
        options.push_back({"threads", std::to_string(config.threads)});
    return options;
}

Result<OpenedDevice> open_on(const config::EngineConfig& config, const host::Candidate& candidate,
                             const host::Backend& backend, const tenon_device_info& device) {
    TENON_TRY(const std::vector<host::DeviceOption> options, options_for(config, candidate));
    OpenedDevice opened;
    Result<host::Device> made = backend.open(device.uuid, options);
    if (!made.ok()) {
        Error error = std::move(made).error().within("backend " + candidate.id);
        if (error.code == Code::kInvalid) error.code = Code::kConfig;  // an option of its section
        return error;
    }
    opened.device = std::move(made).value();
    opened.backend = candidate.id;
    TENON_TRY(opened.info, opened.device.stat());
    return opened;
}

// Where to look, and whom to trust.
struct Search {
    std::vector<host::SearchPlace> places;
    host::Trust trust;
};

Result<Search> plan_search(const config::EngineConfig& config) {
    std::vector<std::string> folders;
    for (const std::string& folder : config.plugin_dirs) {
        std::error_code error;
        const std::filesystem::path absolute = std::filesystem::absolute(folder, error);
        if (error)
            return Error{Code::kConfig,
                         fmt::format("plugin_dirs: {}: {}", folder, error.message())};
        std::string text = absolute.lexically_normal().string();
        while (text.size() > 1 && text.back() == '/')
            text.pop_back();
        folders.push_back(std::move(text));
    }
    host::Trust trust;
    if (config.plugin_trust == "allowlist") trust.mode = host::Trust::Mode::kAllowlist;
    for (const std::string& entry : config.plugin_allow) {
        const size_t at = entry.find('@'), colon = entry.rfind(':');
        if (at == std::string::npos || colon == std::string::npos || colon < at) {
            return Error{Code::kConfig,
                         fmt::format("plugin_allow: expected id@version:sha256, got '{}'", entry)};
        }
        trust.allowed.push_back(
            {entry.substr(0, at), entry.substr(at + 1, colon - at - 1), entry.substr(colon + 1)});
    }
    return Search{host::plan_search_path(host::read_search_inputs(std::move(folders))),
                  std::move(trust)};
}

// The formats of every usable candidate; one whose formats the built-in ones forbid becomes
// unusable.
formats::FormatTable take_formats(host::Registry& registry) {
    formats::FormatTable table;
    for (size_t i = 0; i < registry.candidates().size(); ++i) {
        const host::Candidate& candidate = registry.candidates()[i];
        const auto add_all = [&](formats::FormatTable& to) -> Status {
            for (const host::DeclaredFormat& format : candidate.formats)
                TENON_CHECK(to.add({format.gguf_type, format.name, format.format()}, format.where));
            return {};
        };
        formats::FormatTable alone;
        if (const Status status = add_all(alone); !status.ok())
            registry.refuse(i, status.error().message + ".");
        // Usable candidates do not conflict with each other: the registry saw to that.
        if (candidate.usable && add_all(table).ok()) continue;
        for (const host::DeclaredFormat& format : candidate.formats)
            table.refuse(format.gguf_type, fmt::format("{} declares it, but is refused: {}",
                                                       candidate.path, candidate.reason));
    }
    return table;
}

}  // namespace

Result<host::Registry> scan_plugins(const config::EngineConfig& config) {
    TENON_TRY(const Search search, plan_search(config));
    host::Registry registry = host::Registry::scan(search.places, search.trust);
    take_formats(registry);
    return registry;
}

Result<formats::FormatTable> find_formats(const config::EngineConfig& config) {
    TENON_TRY(const Search search, plan_search(config));
    host::Registry registry = host::Registry::scan_formats(search.places, search.trust);
    return take_formats(registry);
}

Result<OpenedDevice> open_device(const config::EngineConfig& config) {
    TENON_TRY(const host::Registry registry, scan_plugins(config));
    TENON_CHECK(check_plugin_names(config, registry));
    std::vector<std::string> known;
    for (const host::Candidate& candidate : registry.candidates()) {
        if (!candidate.usable || is_backend(candidate)) known.push_back(candidate.id);
    }
    if (config.backend != "auto") {
        const host::Candidate* candidate = registry.find(config.backend);
        if (candidate == nullptr) {
            std::string why;
            for (const host::Candidate& other : registry.candidates()) {
                if (other.id == config.backend)
                    why += fmt::format("\n  {}: {}", other.path, other.reason);
            }
            return Error{
                Code::kConfig,
                fmt::format("backend '{}' cannot be used; found are: {}{}\nSee 'tenon plugins list "
                            "--why'.",
                            config.backend, fmt::join(known, ", "), why)};
        }
        TENON_TRY(const host::Backend backend, registry.load(config.backend));
        TENON_TRY(const std::vector<tenon_device_info> devices, backend.enumerate());
        if (devices.empty()) {
            return Error{
                Code::kUnsupported,
                fmt::format("backend {} finds no device on this machine; 'tenon doctor' says why",
                            config.backend)};
        }
        return open_on(config, *candidate, backend, devices.front());
    }
    const host::Candidate* best = nullptr;
    std::optional<host::Backend> best_backend;
    tenon_device_info best_device{};
    std::string seen;
    const auto look = [&](const host::Candidate& candidate) {
        Result<host::Backend> backend = registry.load(candidate.id);
        Result<std::vector<tenon_device_info>> devices =
            backend.ok() ? backend->enumerate()
                         : Result<std::vector<tenon_device_info>>(backend.error());
        if (!devices.ok()) {
            seen += fmt::format("\n  {}: {}", candidate.path, devices.error().message);
            return;
        }
        for (const tenon_device_info& device : *devices) {
            const int rank = rank_of(device.kind);
            if (rank < 0 || (best != nullptr && rank >= rank_of(best_device.kind))) continue;
            best = &candidate;
            best_backend = *backend;
            best_device = device;
        }
    };
    // Drivers without a device node, such as one that draws on the processor, are large: they are
    // loaded only where nothing else was found.
    std::vector<const host::Candidate*> without_node;
    for (const host::Candidate& candidate : registry.candidates()) {
        if (!is_backend(candidate)) {
            if (!candidate.usable)
                seen += fmt::format("\n  {}: {}", candidate.path, candidate.reason);
        } else if (host::may_have_device(candidate.device_nodes)) {
            look(candidate);
        } else {
            without_node.push_back(&candidate);
        }
    }
    for (size_t i = 0; best == nullptr && i < without_node.size(); ++i)
        look(*without_node[i]);
    if (best == nullptr) {
        return Error{Code::kUnsupported, "no backend plugin has a device on this machine" + seen +
                                             "\nSee 'tenon plugins list --why'."};
    }
    return open_on(config, *best, *best_backend, best_device);
}

Result<OpenedDevice> open_second_device(const config::EngineConfig& config,
                                        const tenon_device_info& first) {
    TENON_TRY(const host::Registry registry, scan_plugins(config));
    for (const host::Candidate& candidate : registry.candidates()) {
        if (!is_backend(candidate)) continue;
        const Result<host::Backend> backend = registry.load(candidate.id);
        if (!backend.ok()) continue;
        const Result<std::vector<tenon_device_info>> devices = backend->enumerate();
        if (!devices.ok()) continue;
        for (const tenon_device_info& device : *devices) {
            if (device.kind != TENON_DEVICE_CPU ||
                std::memcmp(device.uuid, first.uuid, sizeof device.uuid) == 0)
                continue;
            return open_on(config, candidate, *backend, device);
        }
    }
    return Error{Code::kUnsupported,
                 fmt::format("'{}' does not take every node of the model, and no other backend has "
                             "a CPU for the rest; see 'tenon plugins list --why'",
                             first.name)};
}

}  // namespace tenon::engine
