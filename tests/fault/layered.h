// A tiny model on the plugin, with the fault layer in front of its driver.
#pragma once

#include <gtest/gtest.h>

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "core/host/host_table.h"
#include "tests/core/engine/tiny.h"
#include "tests/fault/fault_layer.h"

namespace tenon::fault {

namespace tiny = engine::tiny;

inline constexpr char kBackend[] = "vulkan";

// Skips where there is no backend or no device. Every test begins behind one run without a fault.
class Layered : public testing::Test {
protected:
    using Logits = std::vector<float>;
    using Options = std::map<std::string, std::string>;

    void SetUp() override {
        SKIP_WITHOUT(kBackend);
        setenv("VK_ADD_LAYER_PATH", FAULT_LAYER_FOLDER, 1);
        setenv("VK_INSTANCE_LAYERS", "VK_LAYER_TENON_fault", 1);
        void* file = dlopen(FAULT_LAYER_FOLDER "/fault_layer.so", RTLD_NOW);
        ASSERT_NE(file, nullptr) << dlerror();
        arm_ = reinterpret_cast<ArmFn>(dlsym(file, kArmName));
        counts_ = reinterpret_cast<CountsFn>(dlsym(file, kCountsName));
        ASSERT_TRUE(arm_ != nullptr && counts_ != nullptr);
        arm_(Call::kNone, 0, false);
        const Result<Logits> clean = run();
        if (!clean.ok() && clean.error().code == Code::kUnsupported &&
            clean.error().message.find("finds no device") != std::string::npos) {
            GTEST_SKIP() << clean.error().message;
        }
        ASSERT_OK(clean);
        expected_ = *clean;
    }

    // Opens the device, loads the model and takes a few steps; the last logits.
    static Result<Logits> run(const Options& options = {}) {
        config::EngineConfig config = tiny::config(kBackend);
        for (const auto& [key, value] : options)
            config.plugins[kBackend][key] = value;
        TENON_TRY(tiny::Opened opened,
                  tiny::open(tiny::path("llama3-tied-f32.gguf"), tiny::logits_options(32), config));
        TENON_TRY(engine::Sequence sequence, opened.runner->open());
        const std::vector<int32_t> ids = tiny::ids(7);
        for (const size_t count : {5, 1, 1}) {
            const auto tokens = std::span(ids).subspan(sequence.length(), count);
            const engine::StepItem item{&sequence, tokens, 1, {}};
            TENON_CHECK(opened.runner->step({&item, 1}));
        }
        const std::span<const float> last = opened.runner->logits();
        return Logits(last.begin(), last.end());
    }

    void expect_nothing_left() const {
        const Counts counts = counts_();
        EXPECT_EQ(counts.memories, 0);
        EXPECT_EQ(counts.devices, 0);
        EXPECT_EQ(counts.instances, 0);
        EXPECT_EQ(host::plugin_bytes_live(), 0u);
    }

    ArmFn arm_ = nullptr;
    CountsFn counts_ = nullptr;
    Logits expected_;
};

}  // namespace tenon::fault
