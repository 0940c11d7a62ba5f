// What a model file holds and what becomes of it here: gathered as far as it goes, so that a file
// that does not run still says why.
#pragma once

#include "core/config/fields.h"
#include "core/engine/memory_plan.h"
#include "core/formats/gguf.h"
#include "core/model/model.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tenon::cli {

// Tensors of one stored format.
struct FormatShare {
    bool is_read = false;  // Tenon knows the format
    uint64_t tensors = 0, elements = 0;
    uint64_t bytes = 0;  // 0 where the format is not known
};

// Weights of one format and one use, as the device takes them.
struct WeightGroup {
    std::string format, use;  // "q4_1", "matmul"
    std::string kernel;       // what reads them, in the backend's words; empty: it does not say
    uint32_t weights = 0;
    uint64_t stored = 0, held = 0;  // bytes in the file and, measured, on the device
    std::string refusal;            // of the device; empty: it takes them
};

struct FileSurvey {
    explicit FileSurvey(formats::LoadedGguf loaded) : source(std::move(loaded)) {}

    formats::LoadedGguf source;
    std::map<std::string, FormatShare> formats;
    std::unique_ptr<model::Model> model;  // null: see problems
    std::string tokenizer;                // "gpt2, smollm, 49152 tokens"; empty: none
    bool has_template = false;            // and it is one that runs
    std::string device, backend, detail;  // empty: no device
    std::vector<WeightGroup> weights;
    std::vector<std::string> placement;  // nodes that the device does not run as written
    uint32_t nodes = 0;                  // of the step-program
    std::optional<engine::MemoryPlan> memory;
    std::vector<std::string> problems;  // one sentence each; none: it can run
};

// The error is that of a file that is no GGUF at all. Reads no weight.
Result<FileSurvey> survey_file(const std::string& path, const config::EngineConfig& config);

}  // namespace tenon::cli
