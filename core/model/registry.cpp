#include "core/model/registry.h"

#include "core/formats/gguf.h"

#include <fmt/format.h>

namespace tenon::model {

// One file per architecture, one line each.
Result<std::unique_ptr<Model>> load_gemma3(const formats::GgufFile& file);
Result<std::unique_ptr<Model>> load_llama(const formats::GgufFile& file);
Result<std::unique_ptr<Model>> load_phi3(const formats::GgufFile& file);
Result<std::unique_ptr<Model>> load_qwen2(const formats::GgufFile& file);
Result<std::unique_ptr<Model>> load_qwen3(const formats::GgufFile& file);

namespace {

struct Entry {
    const char* architecture;  // general.architecture
    Result<std::unique_ptr<Model>> (*load)(const formats::GgufFile&);
};

constexpr Entry kEntries[] = {
    {"gemma3", load_gemma3},  // Gemma 3
    {"llama", load_llama},    // SmolLM2, Llama 2 and 3.x, Mistral
    {"phi3", load_phi3},      // Phi-3, Phi-3.5, Phi-4
    {"qwen2", load_qwen2},    // Qwen2, Qwen2.5, DeepSeek-R1-Distill-Qwen
    {"qwen3", load_qwen3},    // Qwen3
};

}  // namespace

Result<std::unique_ptr<Model>> load_model(const formats::GgufFile& file) {
    TENON_TRY(const std::string_view seen, file.get_string("general.architecture"));
    std::string known;
    for (const Entry& entry : kEntries) {
        if (seen == entry.architecture) return entry.load(file);
        known += fmt::format("{}{}", known.empty() ? "" : ", ", entry.architecture);
    }
    return Error{Code::kUnsupported,
                 fmt::format("architecture '{}' is not known; known are: {}", seen, known)};
}

}  // namespace tenon::model
