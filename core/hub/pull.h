// Fetches a model by any of its names to where find_model() looks for it.
#pragma once

#include "core/base/result.h"
#include "core/hub/fetch.h"
#include "core/hub/places.h"
#include "core/hub/transfer.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tenon::hub {

struct PullOptions {
    std::string revision = "main";  // of a repository of the hub: branch, tag or commit
    FetchOptions fetch;
    TransferOptions transfer;
};

// Callbacks run on the thread that called pull().
struct PullWatch {
    // Bytes are about to be fetched; total 0: not known.
    std::function<void(const std::string& what, uint64_t total, const std::string& source)>
        on_start;
    TransferWatch transfer;
};

struct Pulled {
    std::string name;                // what `tenon run` finds it by
    std::vector<std::string> files;  // paths, the first is the one to open
    uint64_t bytes = 0;              // of all files
    uint64_t fetched = 0;            // of them, now
    std::string source;              // "hub org/repo"; empty: everything was there
};

// One process at a time fetches a file; others wait, and find it. Sources of a catalog's entry are
// tried in order, each refusal is a note. On an error nothing stands under a final name that is not
// whole and checked. `cancel` as for Fetcher.
Result<Pulled> pull(const std::string& text, const Places& places, const PullOptions& options,
                    const PullWatch& watch, const uint32_t* cancel);

}  // namespace tenon::hub
