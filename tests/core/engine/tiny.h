// The tiny checkpoints on the plugins of this build.
#pragma once

#include "core/engine/device.h"
#include "core/engine/loaded_model.h"
#include "core/engine/model_runner.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <unistd.h>

namespace tenon::engine::tiny {

inline constexpr uint32_t kVocabulary = 288;

inline std::string path(const std::string& file) {
    return TENON_SOURCE_DIR "/tests/golden/tiny/" + file;
}

inline bool has_backend(const std::string& id) {
    return std::filesystem::exists(TENON_BINARY_DIR "/lib/tenon/plugins/" + id);
}

inline config::EngineConfig config(const std::string& backend = "cpu") {
    config::EngineConfig config;
    config.backend = backend;
    config.plugin_dirs = {TENON_BINARY_DIR "/lib/tenon/plugins"};
    return config;
}

// Ids without meaning, the same in every run.
inline std::vector<int32_t> ids(uint32_t count, uint32_t salt = 1) {
    std::vector<int32_t> ids;
    uint32_t x = salt * 2654435761u;
    for (uint32_t i = 0; i < count; ++i) {
        x = x * 1664525u + 1013904223u;
        ids.push_back(static_cast<int32_t>((x >> 16) % kVocabulary));
    }
    return ids;
}

inline RunnerOptions logits_options(uint32_t context = 128) {
    RunnerOptions options;
    options.context_length = context;
    options.end = model::StepShape::End::kLogits;
    options.step_tokens_max = context;
    options.logit_rows_max = context;
    options.deterministic = true;
    return options;
}

struct Opened {
    LoadedModel model;
    std::unique_ptr<ModelRunner> runner;
};

inline Result<Opened> open(const std::string& file, RunnerOptions options,
                           const config::EngineConfig& config = tiny::config()) {
    TENON_TRY(LoadedModel model, LoadedModel::open(file));
    TENON_TRY(OpenedDevice device, open_device(config));
    TENON_TRY(std::unique_ptr<ModelRunner> runner,
              ModelRunner::create(std::move(device.device), *model.model, model.source,
                                  std::move(options)));
    return Opened{std::move(model), std::move(runner)};
}

// A file that goes when the test ends.
class ScratchFile {
public:
    ScratchFile(const std::string& name, const std::vector<char>& bytes)
        : path_((std::filesystem::temp_directory_path() / (std::to_string(getpid()) + "-" + name))
                    .string()) {
        std::ofstream(path_, std::ios::binary)
            .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    ~ScratchFile() { std::remove(path_.c_str()); }
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

inline std::vector<char> read_bytes(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace tenon::engine::tiny

#define SKIP_WITHOUT(id)                                                           \
    if (!tenon::engine::tiny::has_backend(id)) {                                   \
        GTEST_SKIP() << "this build has no " << id << " backend (TENON_BACKENDS)"; \
    }
#define ASSERT_OK(result) ASSERT_TRUE((result).ok()) << (result).error().message
