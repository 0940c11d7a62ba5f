// Models by name: the catalog says which file a name means, the cache holds the file.
#pragma once

#include "core/base/result.h"

#include <string>
#include <vector>

namespace tenon::config {

struct CatalogPlaces {
    std::vector<std::string> catalogs;  // folders of NAME.yaml, the first that is there counts
    std::string cache;                  // folder of the fetched files
};

// $TENON_CATALOG, beside the program (installed or in its build folder), and $XDG_CACHE_HOME/tenon/models or
// ~/.cache/tenon/models.
CatalogPlaces catalog_places();

// `model` itself when it is a path: it has a '/', ends in ".gguf" or names a file that is there.
// Else the cached file of the catalog's entry of that name or alias. kConfig names the near ones, or
// says how to fetch the file.
Result<std::string> resolve_model(const std::string& model, const CatalogPlaces& places);

}  // namespace tenon::config
