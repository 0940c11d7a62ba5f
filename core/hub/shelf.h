// What `tenon models` lists and `tenon rm` takes away.
#pragma once

#include "core/base/result.h"
#include "core/hub/hub_cache.h"
#include "core/hub/places.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::hub {

struct ShelfModel {
    enum class Kind { kCatalog, kHub, kUrl };
    enum class State { kFetched, kUnfinished, kAbsent };

    std::string name;  // what `tenon run` and `tenon rm` know it by
    Kind kind = Kind::kCatalog;
    State state = State::kFetched;
    std::string quant;
    uint64_t bytes = 0;              // kAbsent: what it would take
    std::vector<std::string> files;  // paths
    int64_t last_used = 0;           // seconds since 1970; 0: never
    std::vector<CachedFile> cached;  // kHub
};

const char* name_of(ShelfModel::State state) noexcept;

// Everything in the cache and the models folder, and what the catalog offers. kConfig: mistakes of
// the catalog.
Result<std::vector<ShelfModel>> list_models(const Places& places);

struct Removal {
    std::vector<ShelfModel> models;
    uint64_t bytes = 0;  // that they take; less is freed where others use the same blobs
};

// What `text` names among fetched and unfinished models: a name of the catalog, org/repo (all of its
// models), org/repo:QUANT, or a URL. kInvalid: nothing of that name is here, or only a file of the
// user's own.
Result<Removal> plan_removal(const std::string& text, const Places& places);

// Takes them away; bytes freed. kBusy: a process has one of them open or is fetching it; nothing is
// removed then.
Result<uint64_t> remove_models(const Removal& removal, const Places& places);

}  // namespace tenon::hub
