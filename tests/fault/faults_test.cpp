// A driver that runs out of memory or loses its device at any call of loading a model and of its
// steps.
#include <gtest/gtest.h>

#include <dlfcn.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/host/host_table.h"
#include "tests/core/engine/tiny.h"
#include "tests/fault/fault_layer.h"

namespace tenon::fault {
namespace {

using engine::ModelRunner;
using engine::Sequence;
using engine::StepItem;
namespace tiny = engine::tiny;

constexpr char kBackend[] = "vulkan";
constexpr char kLayer[] = "VK_LAYER_TENON_fault";

class Faults : public testing::Test {
protected:
    void SetUp() override {
        SKIP_WITHOUT(kBackend);
        setenv("VK_ADD_LAYER_PATH", FAULT_LAYER_FOLDER, 1);
        setenv("VK_INSTANCE_LAYERS", kLayer, 1);
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
        total_ = counts_();
        ASSERT_GT(total_.allocations, 0u);
        ASSERT_GT(total_.submits, 0u);
        RecordProperty("allocations", std::to_string(total_.allocations));
        RecordProperty("submits", std::to_string(total_.submits));
        RecordProperty("waits", std::to_string(total_.waits));
        expect_nothing_left();
    }

    using Logits = std::vector<float>;

    // Opens the device, loads the model and takes a few steps; the last logits.
    static Result<Logits> run(bool validation = false) {
        engine::RunnerOptions options = tiny::logits_options(32);
        config::EngineConfig config = tiny::config(kBackend);
        if (validation) config.plugins[kBackend]["validation"] = "true";
        TENON_TRY(tiny::Opened opened,
                  tiny::open(tiny::path("llama3-tied-f32.gguf"), std::move(options), config));
        TENON_TRY(Sequence sequence, opened.runner->open());
        const std::vector<int32_t> ids = tiny::ids(7);
        for (const size_t count : {5, 1, 1}) {
            const auto tokens = std::span(ids).subspan(sequence.length(), count);
            const StepItem item{&sequence, tokens, 1, {}};
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

    // The `at`th call of its kind fails: an answer that is right all the same, or one error.
    void expect_one_error(Call call, uint64_t at, bool forever, Code code, const char* result) {
        SCOPED_TRACE(testing::Message() << "call " << at << (forever ? " and all later" : ""));
        const auto start = std::chrono::steady_clock::now();
        arm_(call, at, forever);
        const Result<Logits> answer = run();
        const Counts counts = counts_();
        arm_(Call::kNone, 0, false);
        EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
        if (answer.ok()) {
            EXPECT_EQ(*answer, expected_);
            EXPECT_FALSE(forever && counts.injected > 0);
        } else {
            ++errors_;
            EXPECT_EQ(answer.error().code, code) << answer.error().message;
            EXPECT_NE(answer.error().message.find(result), std::string::npos)
                << answer.error().message;
            EXPECT_EQ(answer.error().message.find('\n'), std::string::npos)
                << answer.error().message;
        }
        expect_nothing_left();
    }

    void expect_a_good_run() {
        const Result<Logits> answer = run();
        ASSERT_OK(answer);
        EXPECT_EQ(*answer, expected_);
        expect_nothing_left();
    }

    // Numbers of calls to try: all of a few, every so many of a lot, always the first and the last.
    static std::vector<uint64_t> sweep(uint64_t count) {
        const char* every = std::getenv("TENON_TEST_EVERY_FAULT");
        const uint64_t tries = every != nullptr ? count : 8;
        std::vector<uint64_t> numbers;
        for (uint64_t i = 0; i < std::min(tries, count); ++i) {
            const uint64_t last = std::min(tries, count) - 1;
            numbers.push_back(last == 0 ? 1 : 1 + i * (count - 1) / last);
        }
        return numbers;
    }

    ArmFn arm_ = nullptr;
    CountsFn counts_ = nullptr;
    Logits expected_;
    Counts total_{};
    uint32_t errors_ = 0;
};

TEST_F(Faults, DeviceMemoryEndsAtAnyAllocation) {
    for (const uint64_t at : sweep(total_.allocations)) {
        expect_one_error(Call::kAllocate, at, false, Code::kOomDevice,
                         "VK_ERROR_OUT_OF_DEVICE_MEMORY");
        expect_one_error(Call::kAllocate, at, true, Code::kOomDevice,
                         "VK_ERROR_OUT_OF_DEVICE_MEMORY");
    }
    EXPECT_GT(errors_, 0u);
    expect_a_good_run();
}

TEST_F(Faults, HostMemoryEndsAtAnyAllocation) {
    for (const uint64_t at : sweep(total_.allocations)) {
        expect_one_error(Call::kHost, at, true, Code::kOomHost, "VK_ERROR_OUT_OF_HOST_MEMORY");
    }
    EXPECT_GT(errors_, 0u);
    expect_a_good_run();
}

TEST_F(Faults, TheDeviceIsLostAtAnySubmit) {
    for (const uint64_t at : sweep(total_.submits)) {
        expect_one_error(Call::kSubmit, at, false, Code::kDeviceLost, "VK_ERROR_DEVICE_LOST");
    }
    EXPECT_GT(errors_, 0u);
    expect_a_good_run();
}

// How often the plugin waits depends on the clock: the later numbers may never come.
TEST_F(Faults, TheDeviceIsLostInAnyWait) {
    for (const uint64_t at : sweep(total_.waits)) {
        expect_one_error(Call::kWait, at, false, Code::kDeviceLost, "VK_ERROR_DEVICE_LOST");
    }
    EXPECT_GT(errors_, 0u);
    expect_a_good_run();
}

// The validation layer, behind ours, tells of every object that outlives its device.
TEST_F(Faults, NothingOutlivesTheDevice) {
    static std::vector<std::string> lines;
    host::set_log(
        [](void*, tenon_log_level level, tenon_str text) {
            if (level == TENON_LOG_ERROR) lines.emplace_back(text.p, text.n);
        },
        nullptr);
    const Result<Logits> clean = run(true);
    if (!clean.ok() && clean.error().code == Code::kUnsupported) {
        host::set_log(nullptr, nullptr);
        GTEST_SKIP() << clean.error().message;
    }
    ASSERT_OK(clean);
    for (const Call call : {Call::kAllocate, Call::kSubmit, Call::kWait}) {
        const uint64_t count = call == Call::kAllocate ? total_.allocations : total_.submits;
        for (const uint64_t at : {uint64_t{1}, count / 2, count}) {
            SCOPED_TRACE(testing::Message()
                         << "kind " << static_cast<int>(call) << ", call " << at);
            arm_(call, at, true);
            const Result<Logits> answer = run(true);
            const uint64_t injected = counts_().injected;
            arm_(Call::kNone, 0, false);
            // Copies that find the device idle need no submit: the last one is not in every run.
            EXPECT_EQ(answer.ok(), injected == 0);
            EXPECT_EQ(lines, std::vector<std::string>{});
            lines.clear();
            expect_nothing_left();
        }
    }
    host::set_log(nullptr, nullptr);
}

}  // namespace
}  // namespace tenon::fault
