#include "core/tokenizer/byte_alphabet.h"

namespace tenon::tokenizer {
namespace {

constexpr bool spells_itself(int byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr int kCodePoints = 256 + 68;

struct Alphabet {
    std::array<uint16_t, 256> code_point{};
    std::array<int16_t, kCodePoints> byte{};  // -1: no byte is spelled so
};

constexpr Alphabet make_alphabet() {
    Alphabet a;
    for (int16_t& b : a.byte)
        b = -1;
    int next = 256;
    for (int b = 0; b < 256; ++b) {
        const int cp = spells_itself(b) ? b : next++;
        a.code_point[static_cast<size_t>(b)] = static_cast<uint16_t>(cp);
        a.byte[static_cast<size_t>(cp)] = static_cast<int16_t>(b);
    }
    return a;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

void append_spelling(uint8_t byte, std::string& out) {
    const uint16_t cp = kAlphabet.code_point[byte];
    if (cp < 0x80) {
        out.push_back(static_cast<char>(cp));
        return;
    }
    out.push_back(static_cast<char>(0xC0 | (cp >> 6)));
    out.push_back(static_cast<char>(0x80 | (cp & 0x3F)));
}

void append_bytes(std::string_view spelled, std::string& out) {
    for (size_t i = 0; i < spelled.size();) {
        const auto first = static_cast<uint8_t>(spelled[i]);
        size_t length = 1;
        int cp = first;
        if (first >= 0x80) {
            cp = -1;
            const bool two = (first & 0xE0) == 0xC0 && i + 1 < spelled.size() &&
                             (static_cast<uint8_t>(spelled[i + 1]) & 0xC0) == 0x80;
            if (two) {
                length = 2;
                cp = ((first & 0x1F) << 6) | (static_cast<uint8_t>(spelled[i + 1]) & 0x3F);
            }
        }
        const int byte = cp >= 0 && cp < kCodePoints ? kAlphabet.byte[static_cast<size_t>(cp)] : -1;
        if (byte >= 0) {
            out.push_back(static_cast<char>(byte));
        } else {
            out.append(spelled.substr(i, length));
        }
        i += length;
    }
}

}  // namespace tenon::tokenizer
