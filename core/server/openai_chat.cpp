#include "core/server/openai_chat.h"

#include "core/server/chat_prompt.h"
#include "core/server/generation_job.h"
#include "core/server/openai_json.h"
#include "core/server/request_ids.h"
#include "core/server/sse_writer.h"
#include "core/server/token_logprobs.h"

#include <fmt/format.h>

namespace tenon::server {

namespace {

class ChatForm : public AnswerForm {
public:
    ChatForm(const Service& service, const GenerationFields& fields)
        : tokenizer_(service.model->tokenizer),
          has_logprobs_(fields.logprobs >= 0),
          include_usage_(fields.include_usage),
          has_role_(fields.n) {
        const std::string id = make_id("chatcmpl-");
        const int64_t created = unix_time();
        whole_ = open_object(id, "chat.completion", created, fields.model) + ",\"choices\":";
        chunk_ = open_object(id, "chat.completion.chunk", created, fields.model) + ",\"choices\":[";
    }

    std::string whole(const std::vector<Choice>& choices, const Usage& usage) override {
        JsonWriter json;
        json.begin_array();
        for (const Choice& choice : choices) {
            json.begin_object().field("index", choice.index).key("message").begin_object();
            json.field("role", "assistant").field("content", choice.text);
            json.key("refusal").null().end_object();
            json.key("logprobs");
            write_logprobs(json, choice.tokens);
            json.field("finish_reason", finish_reason_of(choice)).end_object();
        }
        json.end_array();
        JsonWriter used;
        write_usage(used, usage);
        return whole_ + json.text() + ",\"usage\":" + used.text() + "}";
    }

    bool has_news(const engine::OutputDelta& delta) const override {
        return !delta.text.empty() || (has_logprobs_ && !delta.tokens.empty());
    }
    void delta(const Choice& choice, const engine::OutputDelta& delta, std::string& out) override {
        const bool has_tokens = has_logprobs_ && !delta.tokens.empty();
        if (!delta.text.empty() || has_tokens || choice.finish) ensure_role(choice.index, out);
        if (!delta.text.empty() || has_tokens) {
            std::string logprobs = "null";
            if (has_tokens) {
                JsonWriter json;
                write_logprobs(json, delta.tokens);
                logprobs = json.text();
            }
            chunk(choice.index, "{\"content\":" + quoted(delta.text) + "}", logprobs, "null", out);
        }
        if (choice.finish) {
            chunk(choice.index, "{}", "null", quoted(finish_reason_of(choice)), out);
        }
    }

    void end(const std::vector<Choice>&, const Usage& usage, std::string& out) override {
        if (include_usage_) {
            JsonWriter used;
            write_usage(used, usage);
            append_event(out, chunk_ + "],\"usage\":" + used.text() + "}");
        }
        out += kDoneEvent;
    }

private:
    void ensure_role(uint32_t index, std::string& out) {
        if (has_role_[index]) return;
        has_role_[index] = true;
        chunk(index, R"({"role":"assistant","content":""})", "null", "null", out);
    }
    // The parts are JSON.
    void chunk(uint32_t index, std::string_view message, std::string_view logprobs,
               std::string_view finish, std::string& out) {
        fmt::format_to(std::back_inserter(out),
                       R"(data: {}{{"index":{},"delta":{},"logprobs":{},"finish_reason":{}}}]{}}})"
                       "\n\n",
                       chunk_, index, message, logprobs, finish,
                       include_usage_ ? ",\"usage\":null" : "");
    }
    void write_logprobs(JsonWriter& json, const std::vector<engine::OutputToken>& tokens) {
        if (!has_logprobs_) {
            json.null();
            return;
        }
        json.begin_object().key("content");
        write_chat_logprobs(json, tokenizer_, tokens);
        json.key("refusal").null().end_object();
    }

    const tokenizer::Tokenizer& tokenizer_;
    bool has_logprobs_, include_usage_;
    std::vector<bool> has_role_;
    std::string whole_, chunk_;
};

void read_chat_logprobs(FieldReader& fields, const config::Limits& limits, GenerationFields& out) {
    const bool wanted = fields.flag("logprobs").value_or(false);
    const auto top = fields.integer("top_logprobs", 0, limits.top_logprobs);
    if (wanted) out.logprobs = static_cast<int32_t>(top.value_or(0));
    if (!wanted && top.value_or(0) > 0) {
        fields.refuse("top_logprobs", "'top_logprobs' needs 'logprobs': true.");
    }
}

}  // namespace

std::unique_ptr<AnswerForm> make_chat_form(const Service& service, const GenerationFields& fields) {
    return std::make_unique<ChatForm>(service, fields);
}

void run_chat(Service& service, std::shared_ptr<RequestContext> context, const JsonBody& body) {
    FieldReader fields(body.root());
    GenerationFields wanted;
    engine::ChatInput chat;
    read_model(fields, service, wanted.model);
    refuse_unsupported(fields);
    read_stream(fields, wanted);
    read_answer_count(fields, service.limits, wanted);
    read_max_tokens(fields, {"max_completion_tokens", "max_tokens"}, wanted);
    read_sampling(fields, service, wanted);
    read_stop_strings(fields, "stop", service.limits, wanted);
    read_extensions(fields, service, wanted);
    read_chat_logprobs(fields, service.limits, wanted);
    read_messages(fields, service.limits, {"messages", kOpenAiRoles, kTextPart}, chat);
    read_template_options(fields, chat);
    if (const auto error = fields.finish(service.strict)) return context->fail(*error);
    context->model = wanted.model;

    engine::EncodedChat prompt;
    if (const auto error = encode_chat(service, chat, prompt)) return context->fail(*error);
    uint32_t max_tokens = 0;
    if (const auto error =
            fit_context(service, wanted, prompt.ids.size(), "messages", max_tokens)) {
        return context->fail(*error);
    }
    GenerationPlan plan;
    append_requests(service, wanted, context->caller, std::move(prompt.ids), max_tokens,
                    plan.requests);
    plan.answers_per_prompt = wanted.n;
    plan.form = make_chat_form(service, wanted);
    plan.stream = wanted.stream;
    GenerationJob::start(service, std::move(context), std::move(plan));
}

}  // namespace tenon::server
