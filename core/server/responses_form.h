// The shape of OpenAI's responses and of their events.
#pragma once

#include "core/server/answer_form.h"

#include <optional>
#include <string>
#include <string_view>

namespace tenon::server {

// What the answer repeats of the request.
struct ResponsesEcho {
    std::string model;
    std::optional<std::string> instructions;
    std::optional<uint32_t> max_output_tokens;
    double temperature = 1, top_p = 1;
};

class ResponsesForm : public AnswerForm {
public:
    explicit ResponsesForm(ResponsesEcho echo);

    std::string whole(const std::vector<Choice>& choices, const Usage& usage) override;
    void begin(std::string& out) override;
    void delta(const Choice& choice, const engine::OutputDelta& delta, std::string& out) override;
    void end(const std::vector<Choice>& choices, const Usage& usage, std::string& out) override;
    void error(const ApiError& error, std::string& out) const override;

private:
    // `status`: "in_progress", "completed" or "incomplete".
    std::string response(std::string_view status, std::string_view output,
                         std::string_view usage) const;
    std::string item(std::string_view status, std::string_view content) const;
    // One event; `fields` are JSON members, in front of which type and sequence number come.
    void event(std::string_view type, std::string_view fields, std::string& out);

    std::string id_, message_id_;
    int64_t created_;
    ResponsesEcho echo_;
    uint64_t sequence_ = 0;
};

}  // namespace tenon::server
