// libFuzzer target of Tokenizer: a vocabulary made of the input's first lines and a text made of the
// rest. No crash, a bounded number of ids, and a stream that gives what batch decoding gives.
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>

#include "core/tokenizer/byte_alphabet.h"
#include "core/tokenizer/detokenizer.h"
#include "core/tokenizer/tokenizer.h"

namespace {

using namespace tenon::tokenizer;

void require(bool holds) {
    if (!holds) std::abort();
}

std::string_view next_line(std::string_view& rest) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return line;
}

} // namespace

// The input: one byte of flags (rules, JIT, options), then lines up to an empty one: "m left right" is a
// merge, "<digit>text" a token of that type, "i id" the BOS, EOS and end ids; then the text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const uint8_t flags = data[0];
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    static constexpr std::string_view kPre[] = {"gpt-2", "smollm", "llama-bpe", "default"};
    std::deque<std::string> spelled;
    Vocabulary vocabulary;
    vocabulary.model = "gpt2";
    vocabulary.pre = kPre[flags & 3];
    for (int byte = 0; byte < ((flags & 4) ? 256 : 128); ++byte) {
        append_spelling(static_cast<uint8_t>(byte), spelled.emplace_back());
        vocabulary.tokens.push_back(spelled.back());
        vocabulary.types.push_back(TokenType::kNormal);
    }
    for (std::string_view line = next_line(rest); !line.empty(); line = next_line(rest)) {
        const std::string_view body = line.substr(1);
        if (line[0] == 'm') {
            vocabulary.merges.push_back(body);
        } else if (line[0] == 'i') {
            const int64_t id = std::strtoll(std::string(body).c_str(), nullptr, 10);
            vocabulary.bos = vocabulary.eos = id;
            vocabulary.eog.push_back(id);
            vocabulary.add_bos = vocabulary.add_eos = true;
        } else {
            vocabulary.tokens.push_back(body);
            vocabulary.types.push_back(static_cast<TokenType>(line[0] - '0'));
        }
    }
    const auto tokenizer = Tokenizer::create(vocabulary, {.use_jit = (flags & 8) != 0});
    if (!tokenizer) {
        require(!tokenizer.error().message.empty());
        return 0;
    }
    const EncodeOptions options = {.add_special = (flags & 16) != 0, .parse_special = (flags & 32) != 0};
    const auto ids = tokenizer->encode(rest, options);
    require(ids.ok() && ids->size() <= 3 * rest.size() + 2);
    const auto whole = tokenizer->decode(*ids, {.skip_special = (flags & 64) != 0});
    require(whole.ok());
    StreamingDetokenizer stream(*tokenizer, {.skip_special = (flags & 64) != 0});
    std::string streamed;
    for (const int32_t id : *ids) require(stream.push(id, streamed).ok());
    stream.flush(streamed);
    require(streamed == *whole && is_utf8(streamed));

    const Segment segments[] = {{rest.substr(0, rest.size() / 2), false}, {rest.substr(rest.size() / 2), false}};
    const auto user = tokenizer->encode_segments(segments, {.add_special = false});
    require(user.ok());
    for (const int32_t id : *user) require(!tokenizer->is_special(id));
    return 0;
}
