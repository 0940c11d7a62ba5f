// The pieces of a download, and the file beside it that says which of them are there.
#pragma once

#include "core/base/result.h"
#include "core/hub/part_list.h"

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace tenon::hub {

// open(), save() and remove() from one thread; the rest from any.
class KeptParts {
public:
    explicit KeptParts(std::string path) : path_(std::move(path)) {}

    enum class Found { kNothing, kOther, kSome };
    // Takes up what a call before left of a file of this size and identity. kNothing and kOther (it
    // was of another file, and is removed): every piece is missing. An empty identity tells no file
    // from another: then nothing is kept.
    Found open(uint64_t size, const std::string& identity, uint32_t connections);
    // Writes down what is new since, once `make_durable` (null: not asked) has said that the bytes
    // it speaks of are on disk. Failures are left to a later call.
    void save(const std::function<Status()>& make_durable);
    // Forgets the file on disk.
    void remove() const;

    uint64_t done() const;
    Missing missing(size_t index) const;
    // As in PartList.
    std::optional<size_t> take();
    void give_back(size_t index);
    void advance(size_t index, uint64_t bytes);

private:
    const std::string path_;
    std::string identity_;
    uint64_t saved_ = 0;
    mutable std::mutex mutex_;  // of parts_
    std::optional<PartList> parts_;
};

}  // namespace tenon::hub
