#include "core/hub/json_tree.h"

#include <fmt/format.h>

#include <charconv>

namespace tenon::hub {

namespace {

class Reader {
public:
    Reader(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

    Result<JsonNode> read() {
        JsonNode root;
        TENON_CHECK(value(root, 0));
        skip_space();
        if (at_ != text_.size()) return wrong("expected the end");
        return root;
    }

private:
    Error wrong(std::string_view what) const {
        return {Code::kData, fmt::format("not JSON: {} at byte {}", what, at_)};
    }

    void skip_space() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' ||
                                      text_[at_] == '\n' || text_[at_] == '\r')) {
            ++at_;
        }
    }

    bool take(char c) {
        skip_space();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }

    Status value(JsonNode& node, uint32_t depth) {
        if (depth > limits_.depth) {
            return wrong(fmt::format("more than {} levels of nesting", limits_.depth));
        }
        if (++nodes_ > limits_.nodes)
            return wrong(fmt::format("more than {} values", limits_.nodes));
        skip_space();
        if (at_ >= text_.size()) return wrong("expected a value");
        switch (text_[at_]) {
            case '{': return members(node, depth);
            case '[': return elements(node, depth);
            case '"': node.kind = JsonNode::Kind::kString; return string(node.text);
            case 't': return word(node, "true", JsonNode::Kind::kBool, true);
            case 'f': return word(node, "false", JsonNode::Kind::kBool, false);
            case 'n': return word(node, "null", JsonNode::Kind::kNull, false);
            default: return number(node);
        }
    }

    Status word(JsonNode& node, std::string_view name, JsonNode::Kind kind, bool truth) {
        if (text_.substr(at_, name.size()) != name) return wrong("expected a value");
        at_ += name.size();
        node.kind = kind;
        node.truth = truth;
        return {};
    }

    Status number(JsonNode& node) {
        const size_t begin = at_;
        while (at_ < text_.size() &&
               (text_[at_] == '-' || text_[at_] == '+' || text_[at_] == '.' || text_[at_] == 'e' ||
                text_[at_] == 'E' || (text_[at_] >= '0' && text_[at_] <= '9'))) {
            ++at_;
        }
        const std::string_view digits = text_.substr(begin, at_ - begin);
        double ignored = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), ignored);
        if (digits.empty() || end != digits.data() + digits.size() ||
            error == std::errc::invalid_argument) {
            at_ = begin;
            return wrong("expected a value");
        }
        node.kind = JsonNode::Kind::kNumber;
        node.text = digits;
        return {};
    }

    Status members(JsonNode& node, uint32_t depth) {
        node.kind = JsonNode::Kind::kObject;
        ++at_;
        if (take('}')) return {};
        do {
            skip_space();
            if (at_ >= text_.size() || text_[at_] != '"') return wrong("expected a name in quotes");
            TENON_CHECK(string(node.keys.emplace_back()));
            if (!take(':')) return wrong("expected ':'");
            TENON_CHECK(value(node.items.emplace_back(), depth + 1));
        } while (take(','));
        if (!take('}')) return wrong("expected ',' or '}'");
        return {};
    }

    Status elements(JsonNode& node, uint32_t depth) {
        node.kind = JsonNode::Kind::kArray;
        ++at_;
        if (take(']')) return {};
        do {
            TENON_CHECK(value(node.items.emplace_back(), depth + 1));
        } while (take(','));
        if (!take(']')) return wrong("expected ',' or ']'");
        return {};
    }

    Status string(std::string& out) {
        ++at_;
        while (true) {
            if (at_ >= text_.size()) return wrong("a string without its end");
            const char c = text_[at_++];
            if (c == '"') return {};
            if (static_cast<unsigned char>(c) < 0x20)
                return wrong("a control character in a string");
            if (c != '\\') {
                out += c;
                continue;
            }
            TENON_CHECK(escape(out));
        }
    }

    Status escape(std::string& out) {
        static constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
        if (at_ >= text_.size()) return wrong("a string without its end");
        const char c = text_[at_++];
        if (const size_t found = kNames.find(c); found != std::string_view::npos) {
            out += kMeanings[found];
            return {};
        }
        if (c != 'u') return wrong("an unknown escape");
        TENON_TRY(uint32_t point, four_digits());
        if (point >= 0xd800 && point < 0xdc00 && text_.substr(at_, 2) == "\\u") {
            at_ += 2;
            TENON_TRY(const uint32_t low, four_digits());
            if (low < 0xdc00 || low > 0xdfff) return wrong("half a surrogate pair");
            point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        }
        if (point >= 0xd800 && point < 0xe000) return wrong("half a surrogate pair");
        append_utf8(out, point);
        return {};
    }

    Result<uint32_t> four_digits() {
        uint32_t point = 0;
        const std::string_view digits = text_.substr(at_, 4);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), point, 16);
        if (digits.size() != 4 || error != std::errc{} || end != digits.data() + 4) {
            return wrong("expected four hexadecimal digits");
        }
        at_ += 4;
        return point;
    }

    static void append_utf8(std::string& out, uint32_t point) {
        if (point < 0x80) {
            out += static_cast<char>(point);
        } else if (point < 0x800) {
            out += static_cast<char>(0xc0 | (point >> 6));
            out += static_cast<char>(0x80 | (point & 0x3f));
        } else if (point < 0x10000) {
            out += static_cast<char>(0xe0 | (point >> 12));
            out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
            out += static_cast<char>(0x80 | (point & 0x3f));
        } else {
            out += static_cast<char>(0xf0 | (point >> 18));
            out += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
            out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
            out += static_cast<char>(0x80 | (point & 0x3f));
        }
    }

    std::string_view text_;
    const JsonLimits& limits_;
    size_t at_ = 0;
    uint32_t nodes_ = 0;
};

}  // namespace

const JsonNode* JsonNode::find(std::string_view key) const noexcept {
    for (size_t i = 0; i < keys.size(); ++i) {
        if (keys[i] == key) return &items[i];
    }
    return nullptr;
}

std::string_view JsonNode::text_of(std::string_view key) const noexcept {
    const JsonNode* node = find(key);
    if (node == nullptr || node->kind != Kind::kString) return {};
    return node->text;
}

std::optional<uint64_t> JsonNode::whole_of(std::string_view key) const noexcept {
    const JsonNode* node = find(key);
    if (node == nullptr || node->kind != Kind::kNumber) return std::nullopt;
    int64_t number = 0;
    const char* const last = node->text.data() + node->text.size();
    const auto [end, error] = std::from_chars(node->text.data(), last, number);
    if (error != std::errc{} || end != last || number < 0) return std::nullopt;
    return static_cast<uint64_t>(number);
}

Result<JsonNode> read_json(std::string_view text, const JsonLimits& limits) {
    if (text.size() > limits.bytes) {
        return Error{Code::kData, fmt::format("JSON of {} bytes; at most {} are read", text.size(),
                                              limits.bytes)};
    }
    return Reader(text, limits).read();
}

}  // namespace tenon::hub
