// One remote file into one local file: in parallel pieces, resumed by range, checked by digest.
#pragma once

#include "core/base/result.h"
#include "core/hub/fetch.h"
#include "core/hub/outcome.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace tenon::hub {

struct RemoteFile {
    std::string url;
    std::string what;              // what messages call it
    std::optional<uint64_t> size;  // wanted; nothing: what the server says
    std::string sha256;            // wanted; empty: not known
    std::string git_blob;          // wanted id of git, where sha256 is empty; empty: not known
    std::string linked_etag;       // what X-Linked-Etag must say, if it is sent; empty: anything
    // Headers of a request made now, such as Authorization; may sign `url`.
    std::function<net::Headers()> headers;
    // Says what a refusal means; null: a plain sentence.
    std::function<Error(const FetchAnswer&)> explain;
};

struct TransferOptions {
    uint32_t retries = 5;                                // in a row without a byte of progress
    std::chrono::milliseconds retry_delay{500};          // before the first; doubles
    std::chrono::milliseconds retry_after_max{120'000};  // a server that asks for more is given up
};

enum class Phase { kFetching, kChecking };

// Callbacks run on the thread that called transfer().
struct TransferWatch {
    std::function<void(Phase, uint64_t done, uint64_t total)> on_progress;  // total 0: unknown
    std::function<void(const std::string&)> on_note;                        // one sentence
};

struct Transferred {
    uint64_t bytes = 0;    // of the file
    uint64_t resumed = 0;  // of them, there before
    std::string sha256;    // empty where git_blob was checked
};

// Leaves the whole, checked file at `partial`, synced to disk. On an error `partial` and
// `partial`.parts keep what can be used by a later call, else they are removed. A file with a wrong
// digest is kept aside as `partial`.refused.
//
// kCancelled; kOomHost: the disk is full; kData: not the content that was wanted, or more or less of
// it than announced; kBusy, kTimeout: the server or the network; kInvalid: refused by the server.
Result<Transferred> transfer(Fetcher& fetcher, const RemoteFile& remote, const std::string& partial,
                             const TransferOptions& options, const TransferWatch& watch);

}  // namespace tenon::hub
