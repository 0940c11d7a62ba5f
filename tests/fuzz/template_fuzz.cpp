// libFuzzer target of ChatTemplate: a hostile template, then (behind the first zero byte) hostile messages as JSON.
// No crash, an error with a sentence or a text whose segments cover it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/chat_template/json.h"
#include "core/chat_template/template.h"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace tenon::chat_template;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t zero = input.find('\0');
    Limits limits;
    limits.fuel = 50'000;  // keeps one input fast
    const auto made = ChatTemplate::parse(input.substr(0, zero), limits);
    if (!made.ok()) {
        require(!made.error().message.empty());
        return 0;
    }
    Value messages =
        Value::list({Value::dict({{Value::user("role"), Value::user("user")},
                                  {Value::user("content"), Value::user("<|im_start|>")}})});
    if (zero != std::string_view::npos) {
        const auto given = parse_json(input.substr(zero + 1));
        if (given.ok()) messages = *given;
    }
    RenderOptions options;
    options.limits = limits;
    options.bos_token = "<s>";
    const auto rendered = made->render(messages, options);
    if (!rendered.ok()) {
        require(!rendered.error().message.empty());
        return 0;
    }
    size_t at = 0;
    for (const Segment& segment : rendered->segments) {
        require(segment.begin == at && segment.begin < segment.end);
        at = segment.end;
    }
    require(at == rendered->text.size());
    return 0;
}
