#include "core/server/openai_completions.h"

#include "core/server/generation_job.h"
#include "core/server/openai_json.h"
#include "core/server/prompt_list.h"
#include "core/server/request_fields.h"
#include "core/server/request_ids.h"
#include "core/server/sse_writer.h"
#include "core/server/token_logprobs.h"

#include <fmt/format.h>

namespace tenon::server {

namespace {

class CompletionForm : public AnswerForm {
public:
    // `echoes`: texts in front of the answers to each prompt; empty: none.
    CompletionForm(const Service& service, const GenerationFields& fields, size_t prompts,
                   std::vector<std::string> echoes)
        : tokenizer_(service.model->tokenizer),
          has_logprobs_(fields.logprobs >= 0),
          include_usage_(fields.include_usage),
          n_(fields.n),
          echoes_(std::move(echoes)),
          offsets_(prompts * fields.n),
          has_echoed_(prompts * fields.n) {
        head_ = open_object(make_id("cmpl-"), "text_completion", unix_time(), fields.model) +
                ",\"choices\":[";
    }

    std::string whole(const std::vector<Choice>& choices, const Usage& usage) override {
        std::string out = head_;
        for (const Choice& choice : choices) {
            if (choice.index > 0) out += ',';
            item(choice.index, echo_of(choice) + choice.text, choice.tokens,
                 quoted(finish_reason_of(choice)), out);
        }
        JsonWriter used;
        write_usage(used, usage);
        return out + "],\"usage\":" + used.text() + "}";
    }

    bool has_news(const engine::OutputDelta& delta) const override {
        return !delta.text.empty() || (has_logprobs_ && !delta.tokens.empty());
    }
    void delta(const Choice& choice, const engine::OutputDelta& delta, std::string& out) override {
        const bool has_tokens = has_logprobs_ && !delta.tokens.empty();
        if (delta.text.empty() && !has_tokens && !choice.finish) return;
        std::string text = delta.text;
        if (!has_echoed_[choice.index]) {
            has_echoed_[choice.index] = true;
            text.insert(0, echo_of(choice));
        }
        if (!text.empty() || has_tokens) chunk(choice.index, text, delta.tokens, "null", out);
        if (choice.finish) chunk(choice.index, "", {}, quoted(finish_reason_of(choice)), out);
    }

    void end(const std::vector<Choice>&, const Usage& usage, std::string& out) override {
        if (include_usage_) {
            JsonWriter used;
            write_usage(used, usage);
            append_event(out, head_ + "],\"usage\":" + used.text() + "}");
        }
        out += kDoneEvent;
    }

private:
    std::string echo_of(const Choice& choice) const {
        return echoes_.empty() ? std::string() : echoes_[choice.index / n_];
    }
    void item(uint32_t index, std::string_view text, const std::vector<engine::OutputToken>& tokens,
              std::string_view finish, std::string& out) {
        std::string logprobs = "null";
        if (has_logprobs_ && !tokens.empty()) {
            JsonWriter json;
            write_completion_logprobs(json, tokenizer_, tokens, offsets_[index]);
            logprobs = json.text();
        }
        fmt::format_to(std::back_inserter(out),
                       R"({{"index":{},"text":{},"logprobs":{},"finish_reason":{}}})", index,
                       quoted(text), logprobs, finish);
    }
    void chunk(uint32_t index, std::string_view text,
               const std::vector<engine::OutputToken>& tokens, std::string_view finish,
               std::string& out) {
        out.append("data: ").append(head_);
        item(index, text, tokens, finish, out);
        out.append(include_usage_ ? "],\"usage\":null}\n\n" : "]}\n\n");
    }

    const tokenizer::Tokenizer& tokenizer_;
    bool has_logprobs_, include_usage_;
    uint32_t n_;
    std::vector<std::string> echoes_;
    std::vector<size_t> offsets_;  // characters of each choice's tokens so far
    std::vector<bool> has_echoed_;
    std::string head_;
};

}  // namespace

void run_completion(Service& service, std::shared_ptr<RequestContext> context,
                    const JsonBody& body) {
    FieldReader fields(body.root());
    GenerationFields wanted;
    read_model(fields, service, wanted.model);
    refuse_unsupported(fields);
    read_stream(fields, wanted);
    read_answer_count(fields, service.limits, wanted);
    read_max_tokens(fields, {"max_tokens"}, wanted);
    read_sampling(fields, service, wanted);
    read_stop_strings(fields, "stop", service.limits, wanted);
    read_extensions(fields, service, wanted);
    if (const auto top = fields.integer("logprobs", 0, service.limits.top_logprobs)) {
        wanted.logprobs = static_cast<int32_t>(*top);
    }
    const bool echo = fields.flag("echo").value_or(false);
    if (echo && wanted.logprobs >= 0) {
        fields.refuse("echo",
                      "This server has log probabilities of answers alone, not of prompts.");
    }
    if (fields.text("suffix", SIZE_MAX).value_or("") != "") {
        fields.refuse("suffix", "This server fills in no text in front of a suffix.");
    }
    std::vector<Prompt> prompts;
    if (!fields.failed()) {
        prompts = read_prompts(fields, "prompt", service, service.limits.completion_prompts);
    }
    if (const auto error = fields.finish(service.strict)) return context->fail(*error);
    context->model = wanted.model;

    GenerationPlan plan;
    std::vector<std::string> echoes;
    const size_t prompt_count = prompts.size();
    for (Prompt& prompt : prompts) {
        uint32_t max_tokens = 0;
        if (const auto error =
                fit_context(service, wanted, prompt.ids.size(), "prompt", max_tokens)) {
            return context->fail(*error);
        }
        append_requests(service, wanted, context->caller, std::move(prompt.ids), max_tokens,
                        plan.requests);
        if (echo) echoes.push_back(std::move(prompt.text));
    }
    plan.answers_per_prompt = wanted.n;
    plan.form = std::make_unique<CompletionForm>(service, wanted, prompt_count, std::move(echoes));
    plan.stream = wanted.stream;
    GenerationJob::start(service, std::move(context), std::move(plan));
}

}  // namespace tenon::server
