// submit: replay, allocations, the cancel word, progress, profiles, order with copies.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "tests/conformance/malloc_count.h"
#include "tests/conformance/tiny_model.h"

namespace {

using namespace tenon;
using namespace tenon::conformance;

struct Rig {
    Random random{Target::instance().seed(), 700};
    Trial trial = make_tiny_model("q8_0", TENON_F16, random);
    Sequences sequences = Sequences::make(3, 16, 4, &random);

    Step step() {
        Step made = make_tiny_step(sequences, {{1, 2, 3, 4, 5}, {6}, {7, 8}});
        made.prepare_outputs(trial.view());
        return made;
    }
};

// An address within the plugin.
const void* plugin_code() {
    return reinterpret_cast<const void*>(Target::instance().table().submit);
}

TEST(Replay, IsBitEqual) {
    Rig rig;
    auto runner = Runner::create(rig.trial, TENON_COMPUTE_FAST);
    CONFORMANCE_MADE(runner);
    Step first = rig.step();
    Step again = first;
    CONFORMANCE_OK(runner->run(first));
    CONFORMANCE_OK(runner->copy_inputs(again));
    for (int round = 0; round < 12; ++round) {
        CONFORMANCE_OK(runner->submit(again, nullptr, nullptr));
        CONFORMANCE_OK(runner->wait());
    }
    CONFORMANCE_OK(runner->copy_outputs(again));
    EXPECT_TRUE(equal_bits(first.get<float>(kTinyLogits), again.get<float>(kTinyLogits)));
    EXPECT_EQ(first.get<int32_t>(kTinyToken), again.get<int32_t>(kTinyToken));
}

TEST(Replay, AllocatesNothing) {
    if (!counts_allocations()) GTEST_SKIP() << "a sanitizer owns malloc in this build";
    Rig rig;
    auto runner = Runner::create(rig.trial, TENON_COMPUTE_FAST);
    CONFORMANCE_MADE(runner);
    Step step = rig.step();
    CONFORMANCE_OK(runner->run(step));
    Status submitted;
    Status waited;
    for (int round = 0; round < 12; ++round) {
        // A backend may finish its own start, such as waking threads, in the first two rounds.
        const uint64_t host_before = Target::instance().host_allocs;
        uint64_t allocated = 0;
        {
            const AllocationWatch watch(plugin_code());
            submitted = runner->submit(step, nullptr, nullptr);
            waited = runner->wait();
            allocated = watch.count();
        }
        const uint64_t host_after = Target::instance().host_allocs;
        CONFORMANCE_OK(submitted);
        CONFORMANCE_OK(waited);
        if (round < 2) continue;
        EXPECT_EQ(host_after - host_before, 0u) << "host.alloc was called in round " << round;
        EXPECT_EQ(allocated, 0u) << "memory was allocated in round " << round;
    }
}

// Without this, a plugin whose allocations escape the counters would pass the case above.
TEST(Replay, TheCountersSeeThePlugin) {
    if (!counts_allocations()) GTEST_SKIP() << "a sanitizer owns malloc in this build";
    const uint64_t before = allocations() + Target::instance().host_allocs;
    auto buffer = Target::instance().device().buffer(4096, TENON_BUF_INPUT);
    CONFORMANCE_MADE(buffer);
    EXPECT_GT(allocations() + Target::instance().host_allocs, before);
}

// The same for what the plugin's own threads do, which a thread of the test's stands for here.
TEST(Replay, TheWatchSeesThePluginOnEveryThread) {
    if (!counts_allocations()) GTEST_SKIP() << "a sanitizer owns malloc in this build";
    uint64_t others = 0;
    uint64_t plugins = 0;
    Status made;
    const auto allocate = [] {
        void* volatile memory = std::malloc(4096);
        std::free(memory);
    };
    const auto open_buffer = [&made] {
        auto buffer = Target::instance().device().buffer(4096, TENON_BUF_INPUT);
        if (!buffer.ok()) made = buffer.error();
    };
    {
        std::atomic<int> turn{0};
        const auto wait_for = [&turn](int wanted) {
            while (turn.load() != wanted)
                std::this_thread::yield();
        };
        std::thread thread([&] {
            wait_for(1);
            allocate();
            turn = 2;
            wait_for(3);
            open_buffer();
            turn = 4;
        });
        const AllocationWatch watch(plugin_code());
        turn = 1;
        wait_for(2);
        others = watch.count();
        turn = 3;
        wait_for(4);
        plugins = watch.count();
        thread.join();
    }
    CONFORMANCE_OK(made);
    EXPECT_EQ(others, 0u) << "an allocation that is not the plugin's was counted";
    EXPECT_GT(plugins, 0u) << "an allocation of the plugin's was not counted";
}

TEST(Replay, TwoExecsOfOneProgramAgree) {
    Rig rig;
    auto a = Runner::create(rig.trial, TENON_COMPUTE_FAST);
    auto b = Runner::create(rig.trial, TENON_COMPUTE_FAST);
    CONFORMANCE_MADE(a);
    CONFORMANCE_MADE(b);
    Step first = rig.step();
    Step second = first;
    CONFORMANCE_OK(a->run(first));
    CONFORMANCE_OK(b->run(second));
    EXPECT_TRUE(equal_bits(first.get<float>(kTinyLogits), second.get<float>(kTinyLogits)));
}

TEST(Cancel, AWordSetBeforehandEndsTheStep) {
    Rig rig;
    auto runner = Runner::create(rig.trial, TENON_COMPUTE_FAST);
    CONFORMANCE_MADE(runner);
    Step step = rig.step();
    CONFORMANCE_OK(runner->copy_inputs(step));
    const uint32_t cancel = 1;
    uint64_t progress = 0;
    Status ended = runner->submit(step, &cancel, &progress);
    if (ended.ok()) ended = runner->wait();
    CONFORMANCE_REFUSED(ended, Code::kCancelled);
    EXPECT_LT(progress, rig.trial.view().n_nodes);
    CONFORMANCE_OK(runner->renew_timeline());
    CONFORMANCE_OK(runner->run(step));
}

TEST(Cancel, ProgressCountsTheNodes) {
    Rig rig;
    auto runner = Runner::create(rig.trial, TENON_COMPUTE_FAST);
    CONFORMANCE_MADE(runner);
    const uint32_t cancel = 0;
    uint64_t progress = 5;
    Step step = rig.step();
    CONFORMANCE_OK(runner->run(step, &cancel, &progress));
    EXPECT_EQ(progress, 5 + rig.trial.view().n_nodes);
}

TEST(Profile, NamesEveryNodeOnce) {
    Rig rig;
    auto runner = Runner::create(rig.trial, TENON_COMPUTE_FAST, TENON_PREPARE_PROFILE);
    CONFORMANCE_MADE(runner);
    Step step = rig.step();
    CONFORMANCE_OK(runner->run(step));
    auto times = runner->exec().profile();
    CONFORMANCE_MADE(times);
    std::vector<int> seen(rig.trial.view().n_nodes, 0);
    for (const tenon_node_time& time : *times) {
        ASSERT_LT(time.node, seen.size());
        ++seen[time.node];
    }
    EXPECT_EQ(seen, std::vector<int>(seen.size(), 1));
    auto plain = Runner::create(rig.trial, TENON_COMPUTE_FAST);
    CONFORMANCE_MADE(plain);
    Step other = rig.step();
    CONFORMANCE_OK(plain->run(other));
    CONFORMANCE_REFUSED(status_of(plain->exec().profile()), Code::kUnsupported);
}

TEST(Submit, WrongBindingsAreRefused) {
    Rig rig;
    auto runner = Runner::create(rig.trial, TENON_COMPUTE_FAST);
    CONFORMANCE_MADE(runner);
    Step step = rig.step();
    CONFORMANCE_OK(runner->run(step));
    Step symbols = step;
    symbols.symbols[0] = 49;
    EXPECT_FALSE(runner->submit(symbols, nullptr, nullptr).ok()) << "a symbol above the bucket";
    symbols.symbols[0] = -1;
    EXPECT_FALSE(runner->submit(symbols, nullptr, nullptr).ok()) << "a negative symbol";
    CONFORMANCE_OK(runner->renew_timeline());
    const auto refused = [&](auto change) {
        std::vector<tenon_buffer*> buffers(rig.trial.view().n_slots, nullptr);
        tenon_bind bind{};
        bind.n_slots = rig.trial.view().n_slots;
        bind.buffers = buffers.data();
        bind.symbols = step.symbols.data();
        change(bind);
        return !runner->queue().submit(runner->exec(), bind, {}).ok();
    };
    EXPECT_TRUE(refused([](tenon_bind& bind) { bind.n_slots -= 1; })) << "a slot too few";
    EXPECT_TRUE(refused([](tenon_bind& bind) { bind.bucket = 1; })) << "a bucket never prepared";
    EXPECT_TRUE(refused([](tenon_bind& bind) { bind.symbols = nullptr; })) << "no symbols";
    if (Target::instance().computes()) {
        EXPECT_TRUE(refused([](tenon_bind&) {})) << "no buffers where the program has slots";
    }
    CONFORMANCE_OK(runner->run(step));
}

// A step that waits for the host, between copies on its queue, sees the one before and not the one
// after.
TEST(Submit, RunsInQueueOrderWithCopies) {
    Trial trial;
    ops::ProgramBuilder b;
    const ops::ValueId x = b.input("x", 0, TENON_F32, {64});
    b.mark_output(b.add("y", x, x), 1);
    trial.program = b.build();
    const host::Device& device = Target::instance().device();
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    auto in = device.buffer(256, TENON_BUF_INPUT);
    auto out = device.buffer(256, TENON_BUF_OUTPUT);
    auto gate = device.timeline();
    CONFORMANCE_MADE(in);
    CONFORMANCE_MADE(out);
    CONFORMANCE_MADE(gate);
    const std::vector<float> before(64, 1.5f);
    const std::vector<float> after(64, 100.0f);
    std::vector<float> seen(64, 0.0f);
    const tenon_copy first = host::copy_in(*in, 0, before.data(), 256);
    const tenon_copy second = host::copy_in(*in, 0, after.data(), 256);
    const tenon_copy read = host::copy_out(seen.data(), *out, 0, 256);
    const tenon_point opened = gate->at(1);
    tenon_buffer* buffers[] = {in->handle(), out->handle()};
    tenon_bind bind{};
    bind.n_slots = 2;
    bind.buffers = buffers;
    CONFORMANCE_OK(runner->queue().copy({&first, 1}, {{&opened, 1}, {}}));
    CONFORMANCE_OK(runner->queue().submit(runner->exec(), bind, {}));
    CONFORMANCE_OK(runner->queue().copy({&second, 1}, {}));
    const tenon_point done = runner->timeline().at(runner->next_value());
    CONFORMANCE_OK(runner->queue().copy({&read, 1}, {{}, {&done, 1}}));
    CONFORMANCE_OK(gate->signal(1));
    CONFORMANCE_OK(runner->wait());
    if (Target::instance().computes()) {
        EXPECT_EQ(seen, std::vector<float>(64, 3.0f));
    }
}

// The token of one step is the input of the next without a visit to the host.
TEST(Submit, OutputFeedsTheNextStep) {
    Trial trial;
    ops::ProgramBuilder b;
    const ops::ValueId x = b.input("x", 0, TENON_F32, {32});
    b.mark_output(b.add("y", x, x), 1);
    trial.program = b.build();
    const host::Device& device = Target::instance().device();
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    auto a = device.buffer(128, TENON_BUF_INPUT | TENON_BUF_OUTPUT);
    auto c = device.buffer(128, TENON_BUF_INPUT | TENON_BUF_OUTPUT);
    CONFORMANCE_MADE(a);
    CONFORMANCE_MADE(c);
    const std::vector<float> one(32, 1.0f);
    std::vector<float> seen(32, 0.0f);
    const tenon_copy in = host::copy_in(*a, 0, one.data(), 128);
    const tenon_copy back = host::copy_within(*a, 0, *c, 0, 128);
    const tenon_copy out = host::copy_out(seen.data(), *a, 0, 128);
    tenon_buffer* buffers[] = {a->handle(), c->handle()};
    tenon_bind bind{};
    bind.n_slots = 2;
    bind.buffers = buffers;
    CONFORMANCE_OK(runner->queue().copy({&in, 1}, {}));
    for (int i = 0; i < 10; ++i) {
        CONFORMANCE_OK(runner->queue().submit(runner->exec(), bind, {}));
        CONFORMANCE_OK(runner->queue().copy({&back, 1}, {}));
    }
    const tenon_point done = runner->timeline().at(runner->next_value());
    CONFORMANCE_OK(runner->queue().copy({&out, 1}, {{}, {&done, 1}}));
    CONFORMANCE_OK(runner->wait());
    if (Target::instance().computes()) {
        EXPECT_EQ(seen, std::vector<float>(32, 1024.0f));
    }
}

}  // namespace
