// POST /v1/embeddings: the model's pooling of each input, scaled to length 1.
#include "core/server/generation_job.h"
#include "core/server/json_route.h"
#include "core/server/openai_json.h"
#include "core/server/prompt_list.h"
#include "core/server/request_fields.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

namespace tenon::server {

namespace {

// Of the vector's floats in little-endian order.
std::string base64(const std::vector<float>& vector) {
    constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    uint32_t bits = 0;
    int held = 0;  // bytes in `bits`
    const auto flush = [&](int digits) {
        for (int i = 0; i < digits; ++i)
            out += kDigits[(bits >> (18 - 6 * i)) & 63];
        for (int i = digits; i < 4; ++i)
            out += '=';
        bits = 0;
        held = 0;
    };
    for (const float number : vector) {
        const uint32_t word = std::bit_cast<uint32_t>(number);
        for (int shift = 0; shift < 32; shift += 8) {
            bits |= ((word >> shift) & 0xff) << (16 - 8 * held);
            if (++held == 3) flush(4);
        }
    }
    if (held > 0) flush(held + 1);
    return out;
}

// Scaled to length 1; a vector of zeros stays.
std::vector<float> normalised(const std::vector<float>& vector) {
    double squares = 0;
    for (const float x : vector)
        squares += static_cast<double>(x) * static_cast<double>(x);
    const double scale = squares > 0 ? 1 / std::sqrt(squares) : 1;
    std::vector<float> out;
    out.reserve(vector.size());
    for (const float x : vector)
        out.push_back(static_cast<float>(static_cast<double>(x) * scale));
    return out;
}

class EmbeddingForm : public AnswerForm {
public:
    EmbeddingForm(std::string model, bool is_base64)
        : model_(std::move(model)), is_base64_(is_base64) {}

    std::string whole(const std::vector<Choice>& choices, const Usage& usage) override {
        std::string out = R"({"object":"list","data":[)";
        for (const Choice& choice : choices) {
            if (choice.index > 0) out += ',';
            fmt::format_to(std::back_inserter(out),
                           R"({{"object":"embedding","index":{},"embedding":)", choice.index);
            append_vector(normalised(choice.embedding), out);
            out += '}';
        }
        fmt::format_to(std::back_inserter(out),
                       R"(],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})",
                       quoted(model_), usage.prompt_tokens, usage.prompt_tokens);
        return out;
    }

private:
    void append_vector(const std::vector<float>& vector, std::string& out) const {
        if (is_base64_) {
            out.append("\"").append(base64(vector)).append("\"");
            return;
        }
        char separator = '[';
        for (const float number : vector) {
            out += separator;
            fmt::format_to(std::back_inserter(out), "{}", std::isfinite(number) ? number : 0.0f);
            separator = ',';
        }
        out += vector.empty() ? "[]" : "]";
    }

    std::string model_;
    bool is_base64_;
};

void run_embeddings(Service& service, std::shared_ptr<RequestContext> context,
                    const JsonBody& body) {
    FieldReader fields(body.root());
    GenerationFields wanted;
    read_model(fields, service, wanted.model);
    const auto format = fields.text("encoding_format", 64).value_or("float");
    if (format != "float" && format != "base64") {
        fields.refuse("encoding_format",
                      fmt::format("'encoding_format' is '{}'; float or base64 is "
                                  "expected.",
                                  format));
    }
    const auto info = service.engine->info();
    const int64_t size = info ? info->embedding_size : 0;
    const auto dimensions = fields.integer("dimensions", 1, INT32_MAX);
    if (dimensions && *dimensions != size) {
        fields.refuse("dimensions", fmt::format("'dimensions' is {}; this model has {} and is not "
                                                "cut.",
                                                *dimensions, size));
    }
    read_extensions(fields, service, wanted);
    std::vector<Prompt> prompts;
    if (!fields.failed()) {
        prompts = read_prompts(fields, "input", service, service.limits.embedding_inputs);
    }
    if (const auto error = fields.finish(service.strict)) return context->fail(*error);
    context->model = wanted.model;

    GenerationPlan plan;
    wanted.max_tokens = 1;
    wanted.max_tokens_name = "input";
    for (Prompt& prompt : prompts) {
        uint32_t max_tokens = 0;
        if (const auto error =
                fit_context(service, wanted, prompt.ids.size(), "input", max_tokens)) {
            return context->fail(*error);
        }
        append_requests(service, wanted, context->caller, std::move(prompt.ids), 1, plan.requests);
        plan.requests.back().kind = engine::GenerationRequest::Kind::kEmbed;
    }
    plan.form = std::make_unique<EmbeddingForm>(wanted.model, format == "base64");
    GenerationJob::start(service, std::move(context), std::move(plan));
}

}  // namespace

void add_embedding_routes(RouteTable& table, Service& service) {
    table.add(json_route(service, "/v1/embeddings", "Vectors of texts.", run_embeddings));
}

}  // namespace tenon::server
