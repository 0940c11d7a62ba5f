// The one file that includes Boost.JSON: its push parser finds the values, the list is ours.
#include "core/server/json_body.h"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tenon::server {

namespace json = boost::json;

namespace {

constexpr uint32_t kValuesMax = (1u << 28) - 1;

ApiError bad_json(std::string message) {
    return {400, "invalid_request_error", "invalid_json", "", std::move(message), {}};
}

// At most one value for each of these and for the whole; strings may hold more of them.
size_t count_values_at_most(std::string_view text) {
    size_t count = 2;
    for (const char c : text)
        count += c == ',' || c == ':' || c == '[' || c == '{';
    return count;
}

// As a message may show it: short, and nothing that breaks a line.
std::string shown(std::string_view key) {
    std::string out;
    for (const char c : key.substr(0, 40))
        out +=
            static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e ? '?' : c;
    if (key.size() > 40) out += "...";
    return out;
}

}  // namespace

// Receives the parser's events. A refusal of our own stops it with an error code of no meaning.
class JsonBuilder {
public:
    static constexpr size_t max_object_size = SIZE_MAX;
    static constexpr size_t max_array_size = SIZE_MAX;
    static constexpr size_t max_key_size = SIZE_MAX;
    static constexpr size_t max_string_size = SIZE_MAX;

    JsonBuilder(JsonBody& body, const config::Limits& limits) : body_(body), limits_(limits) {}

    const std::string& refusal() const { return refusal_; }

    bool on_document_begin(json::error_code&) { return true; }
    bool on_document_end(json::error_code&) { return true; }
    bool on_object_begin(json::error_code& ec) { return open(JsonKind::kObject, ec); }
    bool on_array_begin(json::error_code& ec) { return open(JsonKind::kArray, ec); }
    bool on_array_end(size_t count, json::error_code&) {
        close(count);
        return true;
    }
    bool on_object_end(size_t count, json::error_code& ec) {
        if (count > limits_.json_keys) {
            return refuse(ec, fmt::format("an object has {} keys; at most {} are taken", count,
                                          limits_.json_keys));
        }
        if (const auto key = find_repeated(open_.back(), count)) {
            return refuse(ec, fmt::format("the key '{}' comes twice in one object", shown(*key)));
        }
        close(count);
        return true;
    }
    bool on_key_part(json::string_view part, size_t, json::error_code&) { return keep(part); }
    bool on_key(json::string_view part, size_t size, json::error_code& ec) {
        return on_string(part, size, ec);
    }
    bool on_string_part(json::string_view part, size_t, json::error_code&) { return keep(part); }
    bool on_string(json::string_view part, size_t size, json::error_code& ec) {
        keep(part);
        JsonBody::Value* value = push(JsonKind::kString, ec);
        if (value == nullptr) return false;
        value->span = {static_cast<uint32_t>(body_.strings_.size() - size),
                       static_cast<uint32_t>(size)};
        return true;
    }
    bool on_number_part(json::string_view, json::error_code&) { return true; }
    bool on_int64(int64_t number, json::string_view, json::error_code& ec) {
        JsonBody::Value* value = push(JsonKind::kInt, ec);
        if (value != nullptr) value->integer = number;
        return value != nullptr;
    }
    bool on_uint64(uint64_t number, json::string_view, json::error_code& ec) {
        const bool fits = number <= static_cast<uint64_t>(INT64_MAX);
        JsonBody::Value* value = push(fits ? JsonKind::kInt : JsonKind::kUint, ec);
        if (value != nullptr) value->natural = number;
        return value != nullptr;
    }
    bool on_double(double number, json::string_view, json::error_code& ec) {
        if (!std::isfinite(number)) return refuse(ec, "a number is beyond what a double holds");
        JsonBody::Value* value = push(JsonKind::kDouble, ec);
        if (value != nullptr) value->real = number;
        return value != nullptr;
    }
    bool on_bool(bool truth, json::error_code& ec) {
        JsonBody::Value* value = push(JsonKind::kBool, ec);
        if (value != nullptr) value->integer = truth ? 1 : 0;
        return value != nullptr;
    }
    bool on_null(json::error_code& ec) { return push(JsonKind::kNull, ec) != nullptr; }
    bool on_comment_part(json::string_view, json::error_code&) { return true; }
    bool on_comment(json::string_view, json::error_code&) { return true; }

private:
    bool keep(json::string_view part) {
        body_.strings_.append(part.data(), part.size());
        return true;
    }
    bool refuse(json::error_code& ec, std::string sentence) {
        refusal_ = std::move(sentence);
        ec = json::make_error_code(json::error::syntax);
        return false;
    }
    JsonBody::Value* push(JsonKind kind, json::error_code& ec) {
        const size_t at = body_.values_.size();
        if (at >= kValuesMax) {
            refuse(ec, "the body has too many values");
            return nullptr;
        }
        JsonBody::Value value{};
        value.end = static_cast<uint32_t>(at + 1);
        value.kind = static_cast<uint32_t>(kind);
        value.integer = 0;
        body_.values_.push_back(value);
        return &body_.values_.back();
    }
    bool open(JsonKind kind, json::error_code& ec) {
        if (push(kind, ec) == nullptr) return false;
        open_.push_back(static_cast<uint32_t>(body_.values_.size() - 1));
        return true;
    }
    void close(size_t count) {
        JsonBody::Value& value = body_.values_[open_.back()];
        value.end = static_cast<uint32_t>(body_.values_.size()) & kValuesMax;
        value.span = {0, static_cast<uint32_t>(count)};
        open_.pop_back();
    }
    std::optional<std::string_view> find_repeated(uint32_t object, size_t count) {
        keys_.clear();
        uint32_t at = object + 1;
        for (size_t i = 0; i < count; ++i) {
            const JsonBody::Span span = body_.values_[at].span;
            keys_.emplace_back(std::string_view(body_.strings_).substr(span.offset, span.size));
            at = body_.values_[at + 1].end;
        }
        std::sort(keys_.begin(), keys_.end());
        const auto twice = std::adjacent_find(keys_.begin(), keys_.end());
        if (twice == keys_.end()) return std::nullopt;
        return *twice;
    }

    JsonBody& body_;
    const config::Limits& limits_;
    std::vector<uint32_t> open_;  // containers not yet closed
    std::vector<std::string_view> keys_;
    std::string refusal_;
};

JsonKind JsonView::kind() const noexcept { return static_cast<JsonKind>(body_->values_[at_].kind); }

bool JsonView::as_bool() const noexcept { return body_->values_[at_].integer != 0; }

int64_t JsonView::as_int() const noexcept { return body_->values_[at_].integer; }

uint64_t JsonView::as_uint() const noexcept { return body_->values_[at_].natural; }

double JsonView::as_number() const noexcept {
    if (is(JsonKind::kInt)) return static_cast<double>(as_int());
    if (is(JsonKind::kUint)) return static_cast<double>(as_uint());
    return body_->values_[at_].real;
}

std::string_view JsonView::as_string() const noexcept {
    const JsonBody::Span span = body_->values_[at_].span;
    return std::string_view(body_->strings_).substr(span.offset, span.size);
}

uint32_t JsonView::size() const noexcept {
    return is(JsonKind::kArray) || is(JsonKind::kObject) ? body_->values_[at_].span.size : 0;
}

uint32_t JsonView::after(uint32_t at) const noexcept { return body_->values_[at].end; }

std::optional<JsonView> JsonView::find(std::string_view name) const noexcept {
    if (!is(JsonKind::kObject)) return std::nullopt;
    uint32_t at = first();
    for (uint32_t i = 0; i < size(); ++i, at = after(at + 1)) {
        if (JsonView(*body_, at).as_string() == name) return JsonView(*body_, at + 1);
    }
    return std::nullopt;
}

std::string JsonView::describe() const {
    switch (kind()) {
        case JsonKind::kNull: return "null";
        case JsonKind::kBool: return as_bool() ? "true" : "false";
        case JsonKind::kInt: return std::to_string(as_int());
        case JsonKind::kUint: return std::to_string(as_uint());
        case JsonKind::kDouble: return fmt::format("{}", as_number());
        case JsonKind::kString: return as_string().empty() ? "an empty string" : "a string";
        case JsonKind::kArray: return size() == 0 ? "an empty array" : "an array";
        default: return "an object";
    }
}

std::optional<ApiError> JsonBody::parse(std::string_view text, const config::Limits& limits,
                                        JsonBody& out) {
    out = JsonBody();
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
        return bad_json("The body is empty; a JSON object is expected.");
    }
    if (text.size() > UINT32_MAX) return bad_json("The body is larger than 4 GiB.");
    out.values_.reserve(std::min(count_values_at_most(text), text.size() + 1));
    out.strings_.reserve(text.size());
    json::parse_options options;
    options.max_depth = limits.json_depth;
    json::basic_parser<JsonBuilder> parser(options, out, limits);
    json::error_code ec;
    const size_t read = parser.write_some(false, text.data(), text.size(), ec);
    const std::string& refusal = parser.handler().refusal();
    if (!refusal.empty()) {
        return bad_json(fmt::format("The body is refused at byte {}: {}.", read, refusal));
    }
    if (ec == json::error::too_deep) {
        return bad_json(fmt::format("The body nests deeper than {} levels at byte {}.",
                                    limits.json_depth, read));
    }
    if (ec == json::error::incomplete) {
        return bad_json(fmt::format("The body ends inside a value, at byte {}.", text.size()));
    }
    if (ec) {
        const auto byte = static_cast<unsigned char>(read < text.size() ? text[read] : 0);
        return bad_json(
            fmt::format("The body is not valid JSON in UTF-8 at byte {} (0x{:02x}).", read, byte));
    }
    const size_t rest = text.find_first_not_of(" \t\r\n", read);
    if (rest != std::string_view::npos) {
        return bad_json(fmt::format("The body goes on behind its JSON value at byte {}.", rest));
    }
    if (!out.root().is(JsonKind::kObject)) {
        return bad_json(
            fmt::format("The body is {}; a JSON object is expected.", out.root().describe()));
    }
    return std::nullopt;
}

}  // namespace tenon::server
