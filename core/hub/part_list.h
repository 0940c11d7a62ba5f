// A file in pieces: which bytes of it are there. Pure; the caller keeps threads apart.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::hub {

// Bytes of one piece that are still missing: [begin, end).
struct Missing {
    uint64_t begin = 0, end = 0;
    uint64_t size() const { return end - begin; }
};

// A piece is filled from its front to its back.
class PartList {
public:
    // Pieces of `piece` bytes, the last one shorter. size and piece above 0; at most kPiecesMax.
    PartList(uint64_t size, uint64_t piece);

    // What text() wrote, for a file of this size and etag; nothing for another one, or nonsense.
    static std::optional<PartList> parse(std::string_view text, uint64_t size,
                                         std::string_view etag);
    // As lines; `etag` tells which remote content the bytes are of.
    std::string text(std::string_view etag) const;

    // Marks the first `bytes` of the file as there: of a download that had no pieces.
    void mark_prefix(uint64_t bytes);
    // A piece with missing bytes that nobody else works on, from the front; it is the caller's
    // until give_back().
    std::optional<size_t> take();
    void give_back(size_t index) { taken_[index] = false; }
    // `bytes` more of the piece are written. Never past its end.
    void advance(size_t index, uint64_t bytes);
    Missing missing(size_t index) const;

    uint64_t size() const { return size_; }
    uint64_t done() const { return sum_; }
    bool is_done() const { return sum_ == size_; }

    static constexpr uint64_t kPiecesMax = 65536;

private:
    uint64_t end_of(size_t index) const;

    uint64_t size_, piece_;
    uint64_t sum_ = 0;
    std::vector<uint64_t> done_;
    std::vector<bool> taken_;
};

// Bytes of a piece that keep `connections` busy until the end without many requests.
uint64_t plan_piece(uint64_t size, uint32_t connections);

}  // namespace tenon::hub
