// Chat templates: conversations to prompt text, as jinja2 renders them for transformers, by an
// interpreter of our own that gives a template no way out of its limits.
//
// The output says which bytes a user wrote. Only bytes outside of user segments may be read as
// control tokens; a token that lies in a user segment, even in part, is text.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/chat_template/limits.h"
#include "core/chat_template/value.h"

namespace tenon::chat_template {

struct Segment {
    size_t begin = 0;  // byte offsets into Rendered::text, half open
    size_t end = 0;
    bool is_user = false;
};

struct Rendered {
    std::string text;
    std::vector<Segment> segments;  // in order, cover the text, kinds alternate
};

// One turn; both strings count as user text.
struct Message {
    std::string role;
    std::string content;
};

struct RenderOptions {
    bool add_generation_prompt = true;
    // Trusted: control tokens in these count. Empty: the template sees an undefined name.
    std::string bos_token;
    std::string eos_token;
    // A list of dicts. Undefined: the template sees none.
    Value tools;
    // More names; Value::user and Value::trusted say whose the strings are.
    std::vector<std::pair<std::string, Value>> variables;
    // Local time that strftime_now prints; the time of the render when absent.
    std::optional<std::tm> now;
    Limits limits;
};

// Whether render() failed because the template called raise_exception: it does not take this
// conversation. Every other failure is the template's own.
bool is_refusal(const Error& error) noexcept;

// A parsed template. Immutable: one may serve many threads.
class ChatTemplate {
public:
    // Refuses syntax beyond the subset by name and line.
    static Result<ChatTemplate> parse(std::string_view source, const Limits& limits = {});

    // `messages`: a list of dicts, such as parse_json returns.
    Result<Rendered> render(const Value& messages, const RenderOptions& options) const;
    Result<Rendered> render(const std::vector<Message>& messages,
                            const RenderOptions& options) const;

    ChatTemplate(ChatTemplate&&) noexcept;
    ChatTemplate& operator=(ChatTemplate&&) noexcept;
    ~ChatTemplate();

private:
    struct Tree;
    explicit ChatTemplate(std::unique_ptr<const Tree> tree);

    std::unique_ptr<const Tree> tree_;
};

}  // namespace tenon::chat_template
