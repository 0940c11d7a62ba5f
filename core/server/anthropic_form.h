// The shape of Anthropic's messages and of their events.
#pragma once

#include "core/server/answer_form.h"

#include <string>
#include <vector>

namespace tenon::server {

class AnthropicForm : public AnswerForm {
public:
    // `stops`: the strings whose match is told as stop_sequence.
    AnthropicForm(std::string model, std::vector<std::string> stops, uint64_t prompt_tokens);

    std::string whole(const std::vector<Choice>& choices, const Usage& usage) override;
    void begin(std::string& out) override;
    void delta(const Choice& choice, const engine::OutputDelta& delta, std::string& out) override;
    void end(const std::vector<Choice>& choices, const Usage& usage, std::string& out) override;
    void error(const ApiError& error, std::string& out) const override;
    std::string_view ping() const override { return "event: ping\ndata: {\"type\":\"ping\"}\n\n"; }

private:
    // "stop_reason":..,"stop_sequence":..
    std::string stop_of(const Choice& choice) const;
    std::string message(const std::string& content, const std::string& stop,
                        const std::string& usage) const;

    std::string id_, model_;
    std::vector<std::string> stops_;
    uint64_t prompt_tokens_;
};

}  // namespace tenon::server
