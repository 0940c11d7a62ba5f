// One dispatch of one shader variant on the first Vulkan device, for the tests of a family:
//
//   TEST_F(DeviceTest, Adds) {
//       std::vector<float> sums(n);
//       Dispatch add("elementwise", "add");
//       add.push(ElementwiseParams{...}).in(1, a).in(2, b).out(3, sums);
//       SHADER_OK(add.run({groups, 1, 1}, rows));
//   }
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "shaders/include/step.h"
#include "tests/shaders/test_device.h"

namespace tenon::shaders {

// Skips every test of the fixture, with the reason, where no device is; fails a test during which
// the validation layer had something to say.
class DeviceTest : public ::testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;
    const TestDevice& device() const;
};

// Built, run and dropped on one thread. Step buffer, error words, pipeline and memory are its own.
class Dispatch {
public:
    // The entry of a dispatch in the step buffer that the harness makes, and its error words.
    static constexpr uint32_t kDispatch = 1, kStepWords = 8;

    Dispatch(std::string family, std::string variant)
        : family_(std::move(family)), variant_(std::move(variant)) {}

    // The push constants. `dispatch` and `step_words`, their first two words, are filled in by run.
    template <class Params>
    Dispatch& push(const Params& params) {
        push_.resize(sizeof params);
        std::memcpy(push_.data(), &params, sizeof params);
        return *this;
    }
    Dispatch& spec(uint32_t constant_id, uint32_t value) {
        specs_[constant_id] = value;
        return *this;
    }
    // A second size of the step: `rows` of entry 0 of the step buffer, which is its word 3.
    Dispatch& other_rows(uint32_t rows) {
        other_rows_ = rows;
        return *this;
    }
    // Contents of a binding; copied when run. An empty vector binds four bytes.
    template <class T>
    Dispatch& in(uint32_t binding, const std::vector<T>& data) {
        bound_[binding] = {reinterpret_cast<const std::byte*>(data.data()), nullptr,
                           data.size() * sizeof(T)};
        return *this;
    }
    // Uploaded as `in` does, and read back into `data` after run.
    template <class T>
    Dispatch& out(uint32_t binding, std::vector<T>& data) {
        auto* bytes = reinterpret_cast<std::byte*>(data.data());
        bound_[binding] = {bytes, bytes, data.size() * sizeof(T)};
        return *this;
    }

    // One indirect dispatch of `groups` for `rows` rows, waited for; `times` of them in a row for
    // measuring. An Error when the variant is not in the list, does not fit the device
    // (kUnsupported), its push constants or bindings are not those of the shader, or it wrote
    // outside a buffer.
    Status run(std::array<uint32_t, 3> groups, uint32_t rows, uint32_t times = 1);

    // Of the last run: what the shader reported, and the time of all its dispatches.
    const StepError& error() const { return error_; }
    double seconds() const { return seconds_; }

private:
    struct Bound {
        const std::byte* from;
        std::byte* to;  // null: not read back
        size_t bytes;
    };
    std::string family_, variant_;
    std::vector<std::byte> push_;
    std::map<uint32_t, uint32_t> specs_;
    std::map<uint32_t, Bound> bound_;
    uint32_t other_rows_ = 0;
    StepError error_{};
    double seconds_ = 0;
};

// Fails the test with the sentence, or skips it when the device cannot run the variant.
#define SHADER_OK(status)                                                     \
    do {                                                                      \
        const ::tenon::Status shader_status_ = (status);                      \
        if (!shader_status_.ok()) {                                           \
            if (shader_status_.error().code == ::tenon::Code::kUnsupported) { \
                GTEST_SKIP() << shader_status_.error().message;               \
            }                                                                 \
            FAIL() << shader_status_.error().message;                         \
        }                                                                     \
    } while (false)

}  // namespace tenon::shaders
