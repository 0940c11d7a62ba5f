// libFuzzer target of Tokenizer: a vocabulary made of the input's first lines and a text made of the
// rest. No crash, a bounded number of ids, and a stream that gives what batch decoding gives.
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iterator>
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

}  // namespace

// The input: one byte of flags (rules, JIT, options), with its upper bit set one byte more (model, more
// rules or options), then lines up to an empty one: "m left right" is a merge, "<digit>text" a token of that
// type, "i id" the BOS, EOS and end ids, "u id" the unknown and separator ids, "p bytes" the normaliser;
// then the text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const uint8_t flags = data[0];
    const bool chooses = (flags & 128) != 0 && size > 1;
    const uint8_t choice = chooses ? data[1] : 0;
    const size_t head = chooses ? 2 : 1;
    std::string_view rest(reinterpret_cast<const char*>(data) + head, size - head);
    static constexpr std::string_view kModels[] = {"gpt2", "llama", "t5", "bert"};
    static constexpr std::string_view kPre[] = {
        "gpt-2",        "smollm",         "llama-bpe",   "default", "qwen2",  "qwen35",
        "deepseek-llm", "deepseek-coder", "deepseek-v3", "tekken",  "gpt-4o", "falcon"};
    std::deque<std::string> spelled;
    Vocabulary vocabulary;
    vocabulary.model = kModels[choice & 3];
    const bool is_bytewise = vocabulary.model == "gpt2";
    vocabulary.pre = chooses ? kPre[(choice >> 2) % std::size(kPre)] : kPre[flags & 3];
    if (!is_bytewise) {
        vocabulary.add_space_prefix = (choice & 4) != 0;
        vocabulary.remove_extra_whitespaces = (choice & 8) != 0;
        vocabulary.strips_after_special = (choice & 16) != 0;
        vocabulary.lowers_case = (choice & 32) != 0;
        vocabulary.strips_before_mask = (choice & 64) != 0;
    }
    const auto add = [&](std::string_view text, TokenType type) {
        vocabulary.tokens.push_back(text);
        vocabulary.types.push_back(type);
        vocabulary.scores.push_back(-static_cast<float>(vocabulary.tokens.size() * 7 % 31));
    };
    for (int byte = 0; byte < ((flags & 4) ? 256 : 128); ++byte) {
        if (is_bytewise) {
            append_spelling(static_cast<uint8_t>(byte), spelled.emplace_back());
            add(spelled.back(), TokenType::kNormal);
        } else {
            static constexpr char kDigits[] = "0123456789ABCDEF";
            spelled.push_back(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">");
            add(spelled.back(), TokenType::kByte);
        }
    }
    for (std::string_view line = next_line(rest); !line.empty(); line = next_line(rest)) {
        const std::string_view body = line.substr(1);
        const int64_t id = std::strtoll(std::string(body).c_str(), nullptr, 10);
        if (line[0] == 'm') {
            vocabulary.merges.push_back(body);
        } else if (line[0] == 'p') {
            vocabulary.charsmap = body;
        } else if (line[0] == 'u') {
            vocabulary.unk = vocabulary.sep = id;
        } else if (line[0] == 'i') {
            vocabulary.bos = vocabulary.eos = id;
            vocabulary.eog.push_back(id);
            vocabulary.add_bos = vocabulary.add_eos = true;
        } else {
            add(body, static_cast<TokenType>(line[0] - '0'));
        }
    }
    const auto tokenizer = Tokenizer::create(vocabulary, {.use_jit = (flags & 8) != 0});
    if (!tokenizer) {
        require(!tokenizer.error().message.empty());
        return 0;
    }
    const EncodeOptions options = {.add_special = (flags & 16) != 0,
                                   .parse_special = (flags & 32) != 0};
    const auto ids = tokenizer->encode(rest, options);
    // A space is three bytes where it is marked; a normaliser makes at most 64 of one, each perhaps a space.
    const size_t per_byte = vocabulary.model == "t5" ? 192 : is_bytewise ? 3 : 8;
    require(ids.ok() && ids->size() <= per_byte * (rest.size() + 1) + 2);
    const DecodeOptions decoding = {.skip_special = (flags & 64) != 0, .continues = true};
    const auto whole = tokenizer->decode(*ids, decoding);
    require(whole.ok());
    StreamingDetokenizer stream(*tokenizer, decoding);
    std::string streamed;
    for (const int32_t id : *ids)
        require(stream.push(id, streamed).ok());
    stream.flush(streamed);
    require(streamed == *whole && is_utf8(streamed));
    const auto alone = tokenizer->decode(*ids, {.skip_special = (flags & 64) != 0});
    require(alone.ok() && alone->size() <= whole->size() && alone->size() + 1 >= whole->size());

    const Segment segments[] = {{rest.substr(0, rest.size() / 2), false},
                                {rest.substr(rest.size() / 2), false}};
    const auto user = tokenizer->encode_segments(segments, {.add_special = false});
    require(user.ok());
    // Where the model has an unknown token, what cannot be spelled is that.
    const int64_t unknown = is_bytewise ? -1
                                        : vocabulary.unk.value_or(vocabulary.model == "llama" ? 0
                                                                  : vocabulary.model == "t5"  ? 2
                                                                                             : 100);
    for (const int32_t id : *user)
        require(!tokenizer->is_special(id) || id == unknown);
    return 0;
}
