// libFuzzer target of parse_gguf: no crash, and what is accepted keeps the promises of gguf.h.
#include <cstdlib>

#include "tests/core/formats/gguf_invariants.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto file = tenon::formats::parse_gguf(bytes);
    if (file.ok() && !tenon::formats::broken_promise(*file, bytes).empty()) std::abort();
    if (!file.ok() && file.error().message.empty()) std::abort();
    return 0;
}
