// Token ids to text, one at a time, as a generation produces them.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "core/tokenizer/tokenizer.h"
#include "core/tokenizer/utf8.h"

namespace tenon::tokenizer {

// Everything that push and flush append is, in a row, what Tokenizer::decode makes of all ids at
// once, and each append is valid UTF-8: a character split over tokens waits for its last byte.
// The tokenizer must outlive it. Thread-compatible. DecodeOptions::repair and continues are always
// on: an answer goes on where its prompt ended.
class StreamingDetokenizer {
public:
    explicit StreamingDetokenizer(const Tokenizer& tokenizer, const DecodeOptions& options = {})
        : tokenizer_(&tokenizer), skip_special_(options.skip_special) {}

    // Appends what `id` completes to `out`, perhaps nothing. Refuses an id outside the vocabulary,
    // and stays as it was.
    Status push(int32_t id, std::string& out);
    // Ends the text: bytes that still wait become one U+FFFD. Ready for the next text.
    void flush(std::string& out) { stream_.flush(out); }
    // Bytes that wait, at most 3.
    size_t held() const noexcept { return stream_.held(); }

private:
    const Tokenizer* tokenizer_;  // not owned
    bool skip_special_;
    Utf8Stream stream_;
};

}  // namespace tenon::tokenizer
