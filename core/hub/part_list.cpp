#include "core/hub/part_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tenon::hub {

namespace {

constexpr uint64_t kPieceMin = 1u << 20, kPieceMax = 64u << 20;
constexpr uint32_t kPiecesPerConnection = 4;

// The rest of the line that begins with `name` and a space; `text` then begins after it.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view name) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (!line.starts_with(name) || line.size() < name.size() + 1 || line[name.size()] != ' ') {
        return std::nullopt;
    }
    return line.substr(name.size() + 1);
}

std::optional<uint64_t> number(std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

PartList::PartList(uint64_t size, uint64_t piece)
    : size_(size),
      piece_(std::max(piece, (size + kPiecesMax - 1) / kPiecesMax)),
      done_((size + piece_ - 1) / piece_, 0),
      taken_(done_.size(), false) {}

std::optional<PartList> PartList::parse(std::string_view text, uint64_t size,
                                        std::string_view etag) {
    const auto version = take_line(text, "tenon-parts");
    const auto same_etag = take_line(text, "etag");
    const auto size_text = take_line(text, "size");
    const auto piece_text = take_line(text, "piece");
    auto done = take_line(text, "done");
    if (!version || !same_etag || !size_text || !piece_text || !done || *version != "1" ||
        *same_etag != etag || size == 0 || number(*size_text) != size) {
        return std::nullopt;
    }
    const std::optional<uint64_t> piece = number(*piece_text);
    if (!piece || *piece == 0 || size / *piece >= kPiecesMax) return std::nullopt;
    PartList parts(size, *piece);
    for (size_t i = 0; i < parts.done_.size(); ++i) {
        const size_t end = std::min(done->find(' '), done->size());
        const std::optional<uint64_t> bytes = number(done->substr(0, end));
        if (!bytes || *bytes > parts.missing(i).size()) return std::nullopt;
        parts.advance(i, *bytes);
        done->remove_prefix(std::min(end + 1, done->size()));
    }
    if (!done->empty()) return std::nullopt;
    return parts;
}

std::string PartList::text(std::string_view etag) const {
    return fmt::format("tenon-parts 1\netag {}\nsize {}\npiece {}\ndone {}\n", etag, size_, piece_,
                       fmt::join(done_, " "));
}

void PartList::mark_prefix(uint64_t bytes) {
    for (size_t i = 0; i < done_.size() && bytes > 0; ++i) {
        const uint64_t here = std::min(bytes, missing(i).size());
        advance(i, here);
        bytes -= here;
    }
}

std::optional<size_t> PartList::take() {
    for (size_t i = 0; i < done_.size(); ++i) {
        if (taken_[i] || missing(i).size() == 0) continue;
        taken_[i] = true;
        return i;
    }
    return std::nullopt;
}

void PartList::advance(size_t index, uint64_t bytes) {
    const uint64_t taken = std::min(bytes, missing(index).size());
    done_[index] += taken;
    sum_ += taken;
}

Missing PartList::missing(size_t index) const {
    return {index * piece_ + done_[index], end_of(index)};
}

uint64_t PartList::end_of(size_t index) const { return std::min(size_, (index + 1) * piece_); }

uint64_t plan_piece(uint64_t size, uint32_t connections) {
    const uint64_t pieces = std::max<uint64_t>(1, uint64_t{connections} * kPiecesPerConnection);
    const uint64_t piece = std::clamp((size + pieces - 1) / pieces, kPieceMin, kPieceMax);
    return std::max(piece, (size + PartList::kPiecesMax - 1) / PartList::kPiecesMax);
}

}  // namespace tenon::hub
