#include "core/config/catalog.h"

#include "core/config/environment.h"
#include "core/config/nearest.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace tenon::config {

namespace {

namespace fs = std::filesystem;

struct Entry {
    std::vector<std::string> names;  // its own first
    std::string file;
    uint64_t size = 0;
};

// Nothing for a file that is no entry.
std::vector<Entry> read_catalog(const fs::path& folder) {
    std::vector<Entry> entries;
    std::error_code fault;
    for (fs::directory_iterator at(folder, fault), end; !fault && at != end; at.increment(fault)) {
        if (at->path().extension() != ".yaml") continue;
        try {
            const YAML::Node root = YAML::LoadFile(at->path().string());
            Entry entry;
            entry.names.push_back(at->path().stem().string());
            if (const YAML::Node aliases = root["aliases"]) {
                for (const auto& alias : aliases)
                    entry.names.push_back(alias.as<std::string>());
            }
            entry.file = root["file"].as<std::string>();
            entry.size = root["size"].as<uint64_t>();
            if (entry.file.find('/') == std::string::npos) entries.push_back(std::move(entry));
        } catch (const YAML::Exception&) {
            continue;
        }
    }
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.names < b.names; });
    return entries;
}

}  // namespace

CatalogPlaces catalog_places() {
    CatalogPlaces places;
    std::error_code fault;
    const std::string given = read_variable("TENON_CATALOG");
    if (!given.empty()) places.catalogs.push_back(given);
    const fs::path program = fs::read_symlink("/proc/self/exe", fault);
    if (!fault) {
        places.catalogs.push_back((program.parent_path() / "../share/tenon/models").string());
        // build/PRESET/bin/tenon
        places.catalogs.push_back((program.parent_path() / "../../../configs/models").string());
    }
    std::string cache = read_variable("XDG_CACHE_HOME");
    if (cache.empty()) cache = read_variable("HOME") + "/.cache";
    places.cache = cache + "/tenon/models";
    return places;
}

Result<std::string> resolve_model(const std::string& model, const CatalogPlaces& places) {
    std::error_code fault;
    if (model.find('/') != std::string::npos || model.ends_with(".gguf") ||
        fs::exists(model, fault)) {
        return model;
    }
    std::vector<std::string> known;
    for (const std::string& folder : places.catalogs) {
        const std::vector<Entry> entries = read_catalog(folder);
        for (const Entry& entry : entries) {
            known.insert(known.end(), entry.names.begin(), entry.names.end());
            if (std::find(entry.names.begin(), entry.names.end(), model) == entry.names.end()) {
                continue;
            }
            const fs::path path = fs::path(places.cache) / entry.file;
            const uint64_t size = fs::file_size(path, fault);
            if (!fault && size == entry.size) return path.string();
            return Error{Code::kConfig,
                         fmt::format("the model {} was not fetched yet; run: python3 {} {}", model,
                                     (fs::path(folder) / "pull.py").lexically_normal().string(),
                                     entry.names.front())};
        }
        if (!entries.empty()) break;
    }
    const std::string close = nearest(model, known);
    if (!close.empty()) {
        return Error{Code::kConfig, fmt::format("'{}' is neither a file nor a model of the catalog; "
                                                "did you mean '{}'?",
                                                model, close)};
    }
    return Error{Code::kConfig,
                 fmt::format("'{}' is neither a file nor a model of the catalog, which holds: {}",
                             model, known.empty() ? "nothing" : fmt::format("{}", fmt::join(known, ", ")))};
}

}  // namespace tenon::config
