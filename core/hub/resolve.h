// From what a user calls a model to the file on this machine. Never asks the network.
#pragma once

#include "core/base/result.h"
#include "core/hub/catalog.h"
#include "core/hub/hub_cache.h"
#include "core/hub/places.h"
#include "core/hub/quantization.h"
#include "core/hub/reference.h"

#include <optional>
#include <string>
#include <vector>

namespace tenon::hub {

struct FoundModel {
    std::string path;  // of the first file, where it is split
    std::string name;  // what clients may call it; empty: it was given as a path
};

// A path that is there, or ends in ".gguf", or begins with '.' or '/', is itself. Else a name of the
// catalog, or org/repo[:QUANT] of the cache. kConfig names the near ones or says `tenon pull X`;
// kInvalid: several are meant.
Result<FoundModel> find_model(const std::string& text, const Places& places);

// Where the entry's file is, whole by its size: a local source, the models folder, the hub's cache.
std::optional<std::string> find_entry(const CatalogEntry& entry, const Places& places);
// The model of a repository that is wholly in the cache; nothing when none fits.
Result<std::optional<FoundModel>> find_cached(const Reference& reference, const Places& places);
// Where the file of a URL is kept: a folder of its own for each URL.
Result<std::string> path_of_url(const std::string& url, const Places& places);

// Cached files of one repository as models of a snapshot, complete ones only; files are named by
// their path here.
struct CachedModel {
    RepoName repo;
    ModelFiles model;               // as group_models() sees it
    std::vector<CachedFile> files;  // in the order of its parts
};
std::vector<CachedModel> cached_models(const std::vector<CachedFile>& files);

}  // namespace tenon::hub
