// The owners of backend.h over the null backend, loaded as the engine loads it.
#include "core/host/backend.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "core/host/host_table.h"
#include "core/host/registry.h"

namespace tenon::host {
namespace {

constexpr uint64_t kSecond = 1000000000;

class NullBackend : public testing::Test {
protected:
    void SetUp() override {
        const Registry registry =
            Registry::scan({{std::string(TENON_BINARY_DIR) + "/lib/tenon/plugins",
                             SearchPlace::Origin::kBundle,
                             {}}},
                           Trust());
        auto backend = registry.load("null");
        if (!backend.ok()) GTEST_SKIP() << backend.error().message;
        backend_.emplace_back(std::move(backend).value());
        auto devices = backend_[0].enumerate();
        ASSERT_TRUE(devices.ok()) << devices.error().message;
        ASSERT_EQ(devices->size(), 1u);
        info_ = devices->at(0);
        auto device = backend_[0].open(info_.uuid);
        ASSERT_TRUE(device.ok()) << device.error().message;
        device_ = std::move(device).value();
        auto queue = device_.queue();
        ASSERT_TRUE(queue.ok());
        queue_ = std::move(queue).value();
        auto timeline = device_.timeline();
        ASSERT_TRUE(timeline.ok());
        done_ = std::move(timeline).value();
    }

    std::vector<Backend> backend_;
    tenon_device_info info_{};
    Device device_;
    Queue queue_;
    Timeline done_;
};

TEST_F(NullBackend, SaysWhatItIs) {
    EXPECT_EQ(backend_[0].id(), "null");
    EXPECT_EQ(info_.kind, TENON_DEVICE_NULL);
    EXPECT_STREQ(info_.name, "null");
    EXPECT_GT(info_.memory_bytes, 0u);
    EXPECT_EQ(device_.find_extension("tenon.collective/0"), nullptr);
}

TEST_F(NullBackend, RefusesUnknownOptionByName) {
    const DeviceOption options[] = {{"warp_speed", "9"}};
    const auto device = backend_[0].open(info_.uuid, options);
    ASSERT_FALSE(device.ok());
    EXPECT_EQ(device.error().code, Code::kInvalid);
    EXPECT_EQ(device.error().message, "Unknown option 'warp_speed'; known are: none.");
}

TEST_F(NullBackend, CopiesInAndOutInOrder) {
    const auto a = device_.buffer(64, TENON_BUF_INPUT);
    const auto b = device_.buffer(64, TENON_BUF_OUTPUT);
    ASSERT_TRUE(a.ok() && b.ok());
    std::vector<uint8_t> in(64);
    std::vector<uint8_t> out(64, 0xee);
    for (size_t i = 0; i < in.size(); ++i)
        in[i] = static_cast<uint8_t>(i);
    const tenon_copy copies[] = {copy_in(a.value(), 8, in.data(), 56),
                                 copy_within(b.value(), 0, a.value(), 0, 64),
                                 copy_out(out.data(), b.value(), 0, 64)};
    const tenon_point signal[] = {done_.at(1)};
    ASSERT_TRUE(queue_.copy(copies, {{}, signal}).ok());
    ASSERT_TRUE(done_.wait(1, kSecond).ok());
    EXPECT_EQ(std::vector<uint8_t>(out.begin(), out.begin() + 8), std::vector<uint8_t>(8, 0));
    EXPECT_TRUE(std::equal(out.begin() + 8, out.end(), in.begin()));
}

TEST_F(NullBackend, StridedCopyTouchesItsRowsAlone) {
    const auto buffer = device_.buffer(32, TENON_BUF_INPUT);
    ASSERT_TRUE(buffer.ok());
    const uint8_t in[4] = {1, 2, 3, 4};
    tenon_copy copy = copy_in(buffer.value(), 1, in, 2);
    copy.rows = 2;
    copy.dst_pitch = 16;
    std::vector<uint8_t> out(32);
    const tenon_copy copies[] = {copy, copy_out(out.data(), buffer.value(), 0, 32)};
    const tenon_point signal[] = {done_.at(1)};
    ASSERT_TRUE(queue_.copy(copies, {{}, signal}).ok());
    ASSERT_TRUE(done_.wait(1, kSecond).ok());
    std::vector<uint8_t> wanted(32);
    wanted[1] = 1;
    wanted[2] = 2;
    wanted[17] = 3;
    wanted[18] = 4;
    EXPECT_EQ(out, wanted);
}

TEST_F(NullBackend, CopyOutsideItsBufferIsInvalid) {
    const auto buffer = device_.buffer(16, TENON_BUF_INPUT);
    ASSERT_TRUE(buffer.ok());
    uint8_t in[32] = {};
    const tenon_copy far[] = {copy_in(buffer.value(), UINT64_MAX - 4, in, 8)};
    const Status status = queue_.copy(far, {});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kInvalid);
    EXPECT_EQ(status.error().message, "Copy 0 leaves its buffer.");
}

TEST_F(NullBackend, WorkWaitsForTheHostAndKeepsQueueOrder) {
    const auto buffer = device_.buffer(8, TENON_BUF_INPUT);
    auto gate = device_.timeline(5);
    ASSERT_TRUE(buffer.ok() && gate.ok());
    uint64_t first = 1;
    uint64_t second = 2;
    uint64_t out = 0;
    const tenon_copy in1[] = {copy_in(buffer.value(), 0, &first, 8)};
    const tenon_copy in2[] = {copy_in(buffer.value(), 0, &second, 8)};
    const tenon_copy back[] = {copy_out(&out, buffer.value(), 0, 8)};
    const tenon_point wait[] = {gate->at(6)};
    const tenon_point signal[] = {done_.at(1)};
    ASSERT_TRUE(queue_.copy(in1, {wait, {}}).ok());
    ASSERT_TRUE(queue_.copy(in2, {}).ok());
    ASSERT_TRUE(queue_.copy(back, {{}, signal}).ok());
    EXPECT_EQ(done_.query().value(), 0u);
    const Status early = done_.wait(1, 1000000);
    ASSERT_FALSE(early.ok());
    EXPECT_EQ(early.error().code, Code::kTimeout);
    std::thread host([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        EXPECT_TRUE(gate->signal(6).ok());
    });
    EXPECT_TRUE(done_.wait(1, 10 * kSecond).ok());
    host.join();
    EXPECT_EQ(out, 2u);
    const Status back_in_time = gate->signal(3);
    ASSERT_FALSE(back_in_time.ok());
    EXPECT_EQ(back_in_time.error().message, "The timeline is at 6 and cannot go back to 3.");
}

TEST_F(NullBackend, FailurePoisonsWhatWaitsForIt) {
    auto gate = device_.timeline();
    ASSERT_TRUE(gate.ok());
    const tenon_point wait[] = {gate->at(1)};
    const tenon_point signal[] = {done_.at(1)};
    ASSERT_TRUE(queue_.copy({}, {wait, signal}).ok());
    ASSERT_TRUE(gate->signal(1, Code::kDeviceLost).ok());
    const Status status = done_.wait(1, kSecond);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kDeviceLost);
    EXPECT_EQ(done_.query().error().code, Code::kDeviceLost);
}

TEST_F(NullBackend, NotifiesOnceWhenReachedOrFailed) {
    static std::atomic<uint64_t> cookies{0};
    static std::atomic<int> calls{0};
    static std::atomic<int32_t> last{-1};
    set_notify(
        [](void*, uint64_t cookie, int32_t status) {
            cookies += cookie;
            ++calls;
            last = status;
        },
        nullptr);
    ASSERT_TRUE(done_.notify(2, 100).ok());
    ASSERT_TRUE(done_.notify(0, 1).ok());
    EXPECT_EQ(cookies.load(), 1u);
    ASSERT_TRUE(done_.signal(2).ok());
    EXPECT_EQ(cookies.load(), 101u);
    EXPECT_EQ(last.load(), TENON_OK);
    ASSERT_TRUE(done_.notify(9, 1000).ok());
    ASSERT_TRUE(done_.signal(0, Code::kCancelled).ok());
    EXPECT_EQ(cookies.load(), 1101u);
    EXPECT_EQ(last.load(), TENON_CANCELLED);
    EXPECT_EQ(calls.load(), 3);
    set_notify(nullptr, nullptr);
}

TEST_F(NullBackend, BuffersAreCountedByTheHost) {
    const uint64_t before = plugin_bytes_live();
    {
        const auto buffer = device_.buffer(4096, TENON_BUF_INPUT, 4096);
        ASSERT_TRUE(buffer.ok());
        EXPECT_EQ(plugin_bytes_live(), before + 4096);
    }
    EXPECT_EQ(plugin_bytes_live(), before);
    const auto odd = device_.buffer(64, TENON_BUF_INPUT, 48);
    ASSERT_FALSE(odd.ok());
    EXPECT_EQ(odd.error().message, "Buffer alignment is 48, wanted a power of two up to 4096.");
}

// One EMBED whose output has T rows of 4 floats.
struct TinyProgram {
    tenon_symbol symbol = {{"T", 1}, 8};
    tenon_value values[3] = {};
    uint32_t inputs[2] = {0, 1};
    uint32_t outputs[1] = {2};
    tenon_attr_embed attrs = {sizeof(tenon_attr_embed), 1.0f};
    tenon_node node = {};
    tenon_program program = {};

    TinyProgram() {
        const tenon_dim rows = {0, 1, 0};
        const tenon_dim four = {TENON_NONE, 0, 4};
        values[0] = {sizeof(tenon_value), TENON_VALUE_WEIGHT, TENON_F32, 2,
                     {four, four},        TENON_NONE,         0,         {"table", 5}};
        values[1] = {sizeof(tenon_value), TENON_VALUE_INPUT, TENON_I32, 1, {rows}, 0,
                     TENON_NONE,          {"ids", 3}};
        values[2] = {sizeof(tenon_value), TENON_VALUE_OUTPUT,
                     TENON_F32,           2,
                     {rows, four},        1,
                     TENON_NONE,          {"x", 1}};
        node = {sizeof(tenon_node), TENON_OP_EMBED, 0,       2,      1,
                TENON_NONE,         inputs,         outputs, &attrs, {"embed", 5}};
        program = {sizeof(tenon_program),
                   1,
                   3,
                   1,
                   2,
                   sizeof(tenon_symbol),
                   sizeof(tenon_value),
                   sizeof(tenon_node),
                   &symbol,
                   values,
                   &node};
    }
};

class NullProgram : public NullBackend {
protected:
    void SetUp() override {
        NullBackend::SetUp();
        if (IsSkipped() || HasFatalFailure()) return;
        auto weights = device_.weights(1, 64);
        ASSERT_TRUE(weights.ok());
        weights_ = std::move(weights).value();
        tenon_format format = {};
        format.size = sizeof format;
        format.cls = TENON_FORMAT_FLOAT;
        format.block_elems = 1;
        format.block_bytes = 4;
        format.scale_type = TENON_F32;
        tenon_weight weight = {};
        weight.uses = TENON_USE_ROWS;
        weight.format = &format;
        weight.rows = 4;
        weight.cols = 4;
        weight.n_planes = 1;
        const float table[16] = {};
        weight.planes[0] = table;
        weight.plane_bytes[0] = sizeof table;
        const auto entry = weights_.put(weight);
        ASSERT_TRUE(entry.ok()) << entry.error().message;
        EXPECT_EQ(entry.value(), 0u);
        ASSERT_FALSE(weights_.put(weight).ok()) << "one more than announced";
        const auto info = weights_.finish();
        ASSERT_TRUE(info.ok());
        EXPECT_EQ(info->entries, 1u);
        how_.compute = TENON_COMPUTE_FAST;
        how_.n_buckets = 1;
        how_.buckets = &bucket_;
        how_.weights = weights_.handle();
    }

    TinyProgram tiny_;
    WeightSet weights_;
    int64_t bucket_max_ = 8;
    tenon_bucket bucket_ = {&bucket_max_};
    tenon_prepare how_ = {};
};

TEST_F(NullProgram, WritesZerosToItsOutput) {
    const auto verdicts = device_.query(tiny_.program, TENON_COMPUTE_FAST);
    ASSERT_TRUE(verdicts.ok());
    EXPECT_EQ(verdicts->at(0).kind, static_cast<uint32_t>(TENON_VERDICT_NATIVE));
    const auto exec = device_.prepare(tiny_.program, how_);
    ASSERT_TRUE(exec.ok()) << exec.error().message;
    const auto ids = device_.buffer(32, TENON_BUF_INPUT);
    const auto x = device_.buffer(8 * 16, TENON_BUF_OUTPUT);
    ASSERT_TRUE(ids.ok() && x.ok());
    std::vector<float> rows(32, 7.0f);
    const tenon_copy fill[] = {copy_in(x.value(), 0, rows.data(), 128)};
    ASSERT_TRUE(queue_.copy(fill, {}).ok());
    tenon_buffer* buffers[] = {ids->handle(), x->handle()};
    const int64_t tokens = 3;
    uint64_t progress = 0;
    tenon_bind bind = {};
    bind.n_slots = 2;
    bind.buffers = buffers;
    bind.symbols = &tokens;
    bind.progress = &progress;
    ASSERT_TRUE(queue_.submit(exec.value(), bind, {}).ok());
    const tenon_copy back[] = {copy_out(rows.data(), x.value(), 0, 128)};
    const tenon_point signal[] = {done_.at(1)};
    ASSERT_TRUE(queue_.copy(back, {{}, signal}).ok());
    ASSERT_TRUE(done_.wait(1, kSecond).ok());
    for (size_t i = 0; i < 12; ++i)
        EXPECT_EQ(rows[i], 0.0f);
    for (size_t i = 12; i < 32; ++i)
        EXPECT_EQ(rows[i], 7.0f) << "rows past T are not touched";
    EXPECT_EQ(progress, 1u);
}

TEST_F(NullProgram, CancelledStepFailsItsSignal) {
    const auto exec = device_.prepare(tiny_.program, how_);
    ASSERT_TRUE(exec.ok());
    tenon_buffer* buffers[] = {nullptr, nullptr};
    const int64_t tokens = 1;
    const uint32_t cancel = 1;
    tenon_bind bind = {};
    bind.n_slots = 2;
    bind.buffers = buffers;
    bind.symbols = &tokens;
    bind.cancel = &cancel;
    const tenon_point signal[] = {done_.at(1)};
    ASSERT_TRUE(queue_.submit(exec.value(), bind, {{}, signal}).ok());
    EXPECT_EQ(done_.wait(1, kSecond).error().code, Code::kCancelled);
}

TEST_F(NullProgram, StepBeyondItsBucketIsInvalid) {
    const auto exec = device_.prepare(tiny_.program, how_);
    ASSERT_TRUE(exec.ok());
    tenon_buffer* buffers[] = {nullptr, nullptr};
    const int64_t tokens = 9;
    tenon_bind bind = {};
    bind.n_slots = 2;
    bind.buffers = buffers;
    bind.symbols = &tokens;
    const Status status = queue_.submit(exec.value(), bind, {});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message, "Symbol 0 is 9, the bucket allows 0 to 8.");
}

TEST_F(NullProgram, UnknownOpGetsAReason) {
    tiny_.node.op = 999;
    const auto verdicts = device_.query(tiny_.program, TENON_COMPUTE_FAST);
    ASSERT_TRUE(verdicts.ok());
    EXPECT_EQ(verdicts->at(0).kind, static_cast<uint32_t>(TENON_VERDICT_NO));
    EXPECT_STREQ(verdicts->at(0).reason, "Op 999 version 0 is not known.");
    const auto exec = device_.prepare(tiny_.program, how_);
    ASSERT_FALSE(exec.ok());
    EXPECT_EQ(exec.error().code, Code::kUnsupported);
}

TEST_F(NullProgram, IndexOutsideTheProgramIsInvalid) {
    tiny_.inputs[1] = 77;
    const auto exec = device_.prepare(tiny_.program, how_);
    ASSERT_FALSE(exec.ok());
    EXPECT_EQ(exec.error().message, "Input 1 of node 0 names value 77 of 3.");
}

TEST_F(NullBackend, KvPoolsCostWhatTheySay) {
    tenon_kv_desc desc = {};
    desc.n_layers = 2;
    desc.n_kv_heads = 3;
    desc.dim_k = 64;
    desc.dim_v = 64;
    desc.block_tokens = 16;
    desc.dtype = TENON_F16;
    desc.n_blocks = 4;
    const auto info = device_.kv_query(desc);
    ASSERT_TRUE(info.ok());
    EXPECT_EQ(info->block_bytes, 2u * 3 * 128 * 16 * 2);
    EXPECT_EQ(info->pool_bytes, 4 * info->block_bytes);
    const auto pool = device_.kv_pool(desc);
    ASSERT_TRUE(pool.ok());
    const tenon_kv_move legal[] = {{pool->handle(), pool->handle(), 3, 0}};
    EXPECT_TRUE(queue_.kv_move(legal, {}).ok());
    const tenon_kv_move wild[] = {{pool->handle(), pool->handle(), 4, 0}};
    EXPECT_EQ(queue_.kv_move(wild, {}).error().message,
              "Move 0 goes from block 0 of 4 to block 4 of 4.");
    desc.n_blocks = UINT32_MAX;
    desc.n_layers = UINT32_MAX;
    EXPECT_EQ(device_.kv_query(desc).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace tenon::host
