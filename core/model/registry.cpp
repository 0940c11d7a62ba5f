#include "core/model/registry.h"

#include "core/formats/gguf.h"

#include <fmt/format.h>

namespace tenon::model {

// One file per architecture, one line each.
Result<std::unique_ptr<Model>> load_llama(const formats::GgufFile& file);

namespace {

struct Entry {
    const char* architecture;  // general.architecture
    Result<std::unique_ptr<Model>> (*load)(const formats::GgufFile&);
};

constexpr Entry kEntries[] = {
    {"llama", load_llama},  // SmolLM2, Llama 2 and 3.x, Mistral
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
