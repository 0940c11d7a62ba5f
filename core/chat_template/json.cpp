#include "core/chat_template/json.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

namespace tenon::chat_template {

namespace {

constexpr uint32_t kDepthMax = 64;

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}

    Result<Value> run() {
        TENON_TRY(Value value, value_at(1));
        skip_space();
        if (at_ != bytes_.size()) return fail("the end");
        return value;
    }

private:
    Error fail(std::string_view wanted) const {
        return Error{Code::kInvalid, fmt::format("JSON byte {}: {} was wanted.", at_, wanted)};
    }

    void skip_space() {
        while (at_ < bytes_.size() && (bytes_[at_] == ' ' || bytes_[at_] == '\t' ||
                                       bytes_[at_] == '\n' || bytes_[at_] == '\r'))
            ++at_;
    }

    bool skip(std::string_view what) {
        if (bytes_.substr(at_, what.size()) != what) return false;
        at_ += what.size();
        return true;
    }

    Result<Value> value_at(uint32_t depth) {
        if (depth > kDepthMax) return fail("at most 64 levels of nesting");
        skip_space();
        if (skip("null")) return Value::none();
        if (skip("true")) return Value::boolean(true);
        if (skip("false")) return Value::boolean(false);
        if (skip("[")) return list(depth);
        if (skip("{")) return dict(depth);
        if (skip("\"")) {
            TENON_TRY(std::string text, string());
            return Value::user(std::move(text));
        }
        return number();
    }

    Result<Value> list(uint32_t depth) {
        std::vector<Value> items;
        skip_space();
        if (skip("]")) return Value::list(std::move(items));
        for (;;) {
            TENON_TRY(Value item, value_at(depth + 1));
            items.push_back(std::move(item));
            skip_space();
            if (skip("]")) return Value::list(std::move(items));
            if (!skip(",")) return fail("',' or ']'");
        }
    }

    Result<Value> dict(uint32_t depth) {
        std::vector<std::pair<Value, Value>> items;
        skip_space();
        if (skip("}")) return Value::dict(std::move(items));
        for (;;) {
            skip_space();
            if (!skip("\"")) return fail("a key");
            TENON_TRY(std::string key, string());
            skip_space();
            if (!skip(":")) return fail("':'");
            TENON_TRY(Value value, value_at(depth + 1));
            if (items.size() >= 1024) return fail("an object of at most 1,024 keys");
            Dict::put(items, Value::user(std::move(key)), std::move(value));
            skip_space();
            if (skip("}")) return Value::dict(std::move(items));
            if (!skip(",")) return fail("',' or '}'");
        }
    }

    Result<uint32_t> hex4() {
        uint32_t code = 0;
        if (at_ + 4 > bytes_.size()) return fail("four hex digits");
        const auto got = std::from_chars(bytes_.data() + at_, bytes_.data() + at_ + 4, code, 16);
        if (got.ptr != bytes_.data() + at_ + 4) return fail("four hex digits");
        at_ += 4;
        return code;
    }

    // Behind the opening quote.
    Result<std::string> string() {
        std::string out;
        while (at_ < bytes_.size()) {
            const char c = bytes_[at_];
            if (c == '"') {
                ++at_;
                return out;
            }
            if (static_cast<unsigned char>(c) < 0x20)
                return fail("an escape for a control character");
            if (c != '\\') {
                const size_t next = next_point(bytes_, at_);
                if (decode_point(bytes_, at_) > 0x10FFFF) return fail("UTF-8");
                out.append(bytes_.substr(at_, next - at_));
                at_ = next;
                continue;
            }
            ++at_;
            static constexpr std::string_view kFrom = "\"\\/bfnrt";
            static constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
            const size_t simple =
                at_ < bytes_.size() ? kFrom.find(bytes_[at_]) : std::string_view::npos;
            if (simple != std::string_view::npos) {
                out += kTo[simple];
                ++at_;
                continue;
            }
            if (!skip("u")) return fail("an escape");
            TENON_TRY(uint32_t code, hex4());
            if (code >= 0xD800 && code < 0xDC00) {
                if (!skip("\\u")) return fail("the second half of a surrogate pair");
                TENON_TRY(const uint32_t low, hex4());
                if (low < 0xDC00 || low > 0xDFFF)
                    return fail("the second half of a surrogate pair");
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            } else if (code >= 0xDC00 && code < 0xE000) {
                return fail("the first half of a surrogate pair");
            }
            encode_point(code, out);
        }
        return fail("the closing quote");
    }

    Result<Value> number() {
        const size_t begin = at_;
        skip("-");
        const auto digits = [&] {
            const size_t from = at_;
            while (at_ < bytes_.size() && bytes_[at_] >= '0' && bytes_[at_] <= '9')
                ++at_;
            return at_ > from;
        };
        const size_t first = at_;
        if (!digits()) return fail("a value");
        if (bytes_[first] == '0' && at_ > first + 1) return fail("a number without leading zeros");
        bool is_real = false;
        if (skip(".")) {
            is_real = true;
            if (!digits()) return fail("digits");
        }
        if (skip("e") || skip("E")) {
            is_real = true;
            if (!skip("+")) skip("-");
            if (!digits()) return fail("digits");
        }
        const std::string text(bytes_.substr(begin, at_ - begin));
        if (is_real) return Value::real(std::strtod(text.c_str(), nullptr));
        int64_t value = 0;
        const auto got = std::from_chars(text.data(), text.data() + text.size(), value);
        if (got.ec != std::errc()) return fail("an integer of at most 64 bits");
        return Value::integer(value);
    }

    std::string_view bytes_;
    size_t at_ = 0;
};

}  // namespace

Result<Value> parse_json(std::string_view bytes) { return Reader(bytes).run(); }

}  // namespace tenon::chat_template
