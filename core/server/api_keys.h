// The keys that may call, from a file that only we can read. Kept as digests.
#pragma once

#include "core/base/result.h"
#include "core/base/sha256.h"
#include "core/server/route.h"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::server {

// One key. Rates that are not there are those of the limit table.
struct ApiKey {
    Sha256Digest digest{};
    std::string name;  // of the line, for the operator; may be empty
    Caller caller;
    std::optional<uint32_t> requests_per_second, requests_burst, tokens_per_minute, streams;
};

// Immutable. Thread-safe.
class KeySet {
public:
    // Lines "key" or "name:key", then optional fields: priority=N, cache_scope=NAME,
    // requests_per_second=N, requests_burst=N, tokens_per_minute=N, streams=N. "#" starts a comment.
    // kConfig lists every mistake as "file:line: sentence": a key of less than 8 or more than 512
    // characters, a key twice, an unknown field, no key at all. No message holds a key. `salt` makes
    // the default cache scopes unguessable.
    static Result<KeySet> parse(std::string_view text, const std::string& file,
                                std::string_view salt);

    // The key, or null. Takes the same time for every text of a length, whichever key it is near to.
    const ApiKey* find(std::string_view presented) const noexcept;
    // Of the key with this number; null when it is gone.
    const ApiKey* by_number(uint32_t number) const noexcept;
    size_t size() const noexcept { return keys_.size(); }

private:
    std::vector<ApiKey> keys_;
};

// The keys of a file, read again on request. Thread-safe.
class KeyRing {
public:
    // kConfig when the file is not a plain file of ours with mode 0600 or stricter, or not right.
    static Result<std::unique_ptr<KeyRing>> open(const std::string& file);

    std::shared_ptr<const KeySet> keys() const;
    // On error the old keys stay.
    Status reload();

private:
    explicit KeyRing(std::string file);
    Result<KeySet> read() const;

    std::string file_, salt_;
    mutable std::mutex mutex_;
    std::shared_ptr<const KeySet> keys_;
};

}  // namespace tenon::server
