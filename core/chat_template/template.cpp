#include "core/chat_template/template.h"

#include <algorithm>

#include "core/chat_template/interpreter.h"
#include "core/chat_template/parser.h"

namespace tenon::chat_template {

struct ChatTemplate::Tree {
    Body body;
    size_t source_bytes = 0;
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Tree> tree) : tree_(std::move(tree)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, const Limits& limits) {
    auto tree = std::make_unique<Tree>();
    TENON_TRY(tree->body, chat_template::parse(source, limits));
    tree->source_bytes = source.size();
    return ChatTemplate(std::move(tree));
}

namespace {

Rendered to_rendered(const Text& text) {
    Rendered out;
    out.text = text.bytes();
    size_t at = 0;
    for (const Span& span : text.user_spans()) {
        if (span.begin > at) out.segments.push_back({at, span.begin, false});
        out.segments.push_back({span.begin, span.end, true});
        at = span.end;
    }
    if (at < text.size()) out.segments.push_back({at, text.size(), false});
    return out;
}

std::tm local_now() {
    const std::time_t seconds = std::time(nullptr);
    std::tm now{};
    localtime_r(&seconds, &now);
    return now;
}

}  // namespace

Result<Rendered> ChatTemplate::render(const Value& messages, const RenderOptions& options) const {
    std::vector<std::pair<std::string_view, Value>> context;
    context.emplace_back("messages", messages);
    context.emplace_back("add_generation_prompt", Value::boolean(options.add_generation_prompt));
    if (!options.bos_token.empty())
        context.emplace_back("bos_token", Value::trusted(options.bos_token));
    if (!options.eos_token.empty())
        context.emplace_back("eos_token", Value::trusted(options.eos_token));
    context.emplace_back("tools", options.tools.is_undefined() ? Value::none() : options.tools);
    context.emplace_back("documents", Value::none());
    for (const auto& [name, value] : options.variables) {
        const auto known = std::find_if(
            context.begin(), context.end(),
            [&, key = std::string_view(name)](const auto& c) { return c.first == key; });
        if (known != context.end()) {
            known->second = value;
        } else {
            context.emplace_back(name, value);
        }
    }
    size_t input_bytes = tree_->source_bytes;
    for (const auto& [name, value] : context) {
        if (value.depth() > options.limits.value_depth) {
            return Error{Code::kInvalid, "the variable '" + std::string(name) +
                                             "' of a template is nested too deep."};
        }
        input_bytes += value.text_bytes(size_t{1} << 32);
    }
    Runtime runtime(options.limits, input_bytes, options.now ? *options.now : local_now());
    Interpreter interpreter(runtime, std::move(context));
    TENON_TRY(const Text text, interpreter.run(tree_->body));
    return to_rendered(text);
}

Result<Rendered> ChatTemplate::render(const std::vector<Message>& messages,
                                      const RenderOptions& options) const {
    std::vector<Value> items;
    for (const Message& message : messages) {
        items.push_back(Value::dict({{Value::trusted("role"), Value::user(message.role)},
                                     {Value::trusted("content"), Value::user(message.content)}}));
    }
    return render(Value::list(std::move(items)), options);
}

}  // namespace tenon::chat_template
