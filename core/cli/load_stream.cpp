#include "core/cli/load_stream.h"

#include "core/chat_template/json.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::cli {

namespace {

using chat_template::Dict;
using chat_template::Value;

constexpr size_t kRefusalBytesMax = 300;

const Dict* dict_of(const Value* value) {
    return value != nullptr && value->is(Value::Kind::kDict) ? &value->as_dict() : nullptr;
}

bool is_text(const Value* value) {
    return value != nullptr && value->is_string() && !value->as_text().empty();
}

// Whether a choice of /completions or /chat/completions brings text.
bool has_text(const Value& choice) {
    const Dict* fields = dict_of(&choice);
    if (fields == nullptr) return false;
    if (is_text(fields->find("text"))) return true;
    const Dict* delta = dict_of(fields->find("delta"));
    return delta != nullptr &&
           (is_text(delta->find("content")) || is_text(delta->find("reasoning_content")));
}

uint32_t count_of(const Dict& usage, std::string_view name) {
    const Value* value = usage.find(name);
    if (value == nullptr || !value->is(Value::Kind::kInt)) return 0;
    return static_cast<uint32_t>(std::clamp<int64_t>(value->as_integer(), 0, UINT32_MAX));
}

// The kind of a failure below HTTP.
std::string kind_of(const Error& error) {
    switch (error.code) {
        case Code::kTimeout: return error.message.substr(0, error.message.find(':'));
        case Code::kBusy: return "connection";
        case Code::kData: return error.message.rfind("malformed", 0) == 0 ? "malformed" : "cut";
        default: return "not sent";
    }
}

}  // namespace

void LoadStream::head(int status, const net::Headers& headers) {
    status_ = status;
    const std::string* type = headers.find("Content-Type");
    is_stream_ = status == 200 && type != nullptr && type->rfind("text/event-stream", 0) == 0;
}

void LoadStream::bytes(std::string_view bytes, Clock::time_point now) {
    if (!is_stream_) {
        refusal_ += bytes.substr(0, kRefusalBytesMax - std::min(kRefusalBytesMax, refusal_.size()));
        return;
    }
    const Status status = events_.feed(bytes, [&](const net::SseEvent& event) {
        if (event.has_data) read(event.data, now);
    });
    if (!status.ok()) fail("malformed", status.error().message);
}

void LoadStream::read(std::string_view data, Clock::time_point now) {
    if (data == "[DONE]") {
        is_done_ = true;
        return;
    }
    const Result<Value> parsed = chat_template::parse_json(data);
    const Dict* event = parsed.ok() ? dict_of(&parsed.value()) : nullptr;
    if (event == nullptr) {
        fail("malformed",
             fmt::format("an event is no JSON object: {}", data.substr(0, kRefusalBytesMax)));
        return;
    }
    const Value* error = event->find("error");
    if (error != nullptr && !error->is(Value::Kind::kNone)) {
        fail("error event", std::string(data.substr(0, kRefusalBytesMax)));
        return;
    }
    if (const Dict* usage = dict_of(event->find("usage")); usage != nullptr) {
        record_.input_tokens = count_of(*usage, "prompt_tokens");
        record_.output_tokens = count_of(*usage, "completion_tokens");
    }
    const Value* choices = event->find("choices");
    if (choices == nullptr || !choices->is(Value::Kind::kList)) return;
    const std::vector<Value>& items = choices->as_list().items;
    if (std::none_of(items.begin(), items.end(), has_text)) return;
    const double at = since_due(now);
    if (pieces_ == 0) {
        record_.first_ms = at;
    } else {
        record_.gaps_ms.push_back(at - last_ms_);
    }
    last_ms_ = at;
    ++pieces_;
}

void LoadStream::fail(std::string kind, std::string message) {
    if (!record_.kind.empty()) return;  // the first one tells
    record_.kind = std::move(kind);
    record_.message = std::move(message);
}

void LoadStream::end(const Status& status, Clock::time_point now) {
    record_.end_ms = since_due(now);
    if (!status.ok() && status.error().code == Code::kCancelled) {
        record_.end = LoadRecord::End::kCancelled;
        return;
    }
    if (status_ != 0 && status_ != 200) {
        fail(fmt::format("http {}", status_), refusal_);
    } else if (!status.ok()) {
        fail(kind_of(status.error()), status.error().message);
    } else if (!is_stream_) {
        fail("no stream", refusal_);
    } else if (!is_done_) {
        fail("cut", "the stream ended without [DONE]");
    }
    // Servers that give no usage are counted by their pieces.
    if (record_.output_tokens == 0) record_.output_tokens = pieces_;
    record_.end = record_.kind.empty() ? LoadRecord::End::kOk : LoadRecord::End::kFailed;
}

}  // namespace tenon::cli
