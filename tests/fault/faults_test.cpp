// A driver that runs out of memory or loses its device at any call of loading a model and of its
// steps.
#include "tests/fault/layered.h"

#include <chrono>
#include <cstdlib>

namespace tenon::fault {
namespace {

class Faults : public Layered {
protected:
    void SetUp() override {
        Layered::SetUp();
        if (testing::Test::IsSkipped() || testing::Test::HasFatalFailure()) return;
        total_ = counts_();
        ASSERT_GT(total_.allocations, 0u);
        ASSERT_GT(total_.submits, 0u);
        RecordProperty("allocations", std::to_string(total_.allocations));
        RecordProperty("submits", std::to_string(total_.submits));
        RecordProperty("waits", std::to_string(total_.waits));
        expect_nothing_left();
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
    const Result<Logits> clean = run({{"validation", "true"}});
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
            const Result<Logits> answer = run({{"validation", "true"}});
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
