// libFuzzer target of join_gguf: the input is parts of a model, each behind its length in four bytes.
// No crash, and what is accepted keeps the promises of gguf.h.
#include <cstdlib>
#include <cstring>

#include "core/formats/gguf_split.h"
#include "tests/core/formats/gguf_invariants.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::span<const std::byte> rest = std::as_bytes(std::span(data, size));
    std::vector<std::span<const std::byte>> bytes;
    std::vector<std::string> paths;
    std::vector<tenon::formats::GgufFile> parts;
    while (rest.size() >= sizeof(uint32_t) && parts.size() < 8) {
        uint32_t length = 0;
        std::memcpy(&length, rest.data(), sizeof length);
        rest = rest.subspan(sizeof length);
        bytes.push_back(rest.first(std::min<size_t>(length, rest.size())));
        rest = rest.subspan(bytes.back().size());
        paths.push_back("part " + std::to_string(paths.size()));
        auto part = tenon::formats::parse_gguf(bytes.back());
        if (!part.ok()) return 0;
        parts.push_back(std::move(part).value());
    }
    const auto model = tenon::formats::join_gguf(std::move(parts), paths);
    if (model.ok() && !tenon::formats::broken_promise(*model, bytes).empty()) std::abort();
    if (!model.ok() && model.error().message.empty()) std::abort();
    return 0;
}
