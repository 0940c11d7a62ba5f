#include "core/engine/memory_plan.h"

#include "tests/core/engine/tiny.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace tenon::engine {
namespace {

using End = model::StepShape::End;

constexpr uint64_t kGiB = uint64_t{1} << 30;

struct MemoryPlanTest : testing::Test {
    void SetUp() override { SKIP_WITHOUT("cpu"); }
    void open(const std::string& file = "llama3-tied-q4_1.gguf", uint32_t threads = 2) {
        open_path(tiny::path(file), threads);
    }
    void open_path(const std::string& path, uint32_t threads = 2) {
        Result<LoadedModel> opened = LoadedModel::open(path);
        ASSERT_OK(opened);
        model = std::make_unique<LoadedModel>(std::move(*opened));
        config::EngineConfig config = tiny::config();
        config.threads = threads;
        Result<OpenedDevice> made = open_device(config);
        ASSERT_OK(made);
        device = std::move(*made);
        options.end = End::kSampleAndLogits;
        request.context_length = 64;
        request.chunked_prefill_size = 32;
        request.max_running_requests = 4;
    }
    Result<MemoryPlan> plan() {
        return plan_memory(device.device, device.info, host, *model->model, options, request);
    }
    std::string refusal(Code code) {
        const Result<MemoryPlan> made = plan();
        EXPECT_FALSE(made.ok());
        if (made.ok()) return "";
        EXPECT_EQ(made.error().code, code) << made.error().message;
        return made.error().message;
    }

    std::unique_ptr<LoadedModel> model;
    OpenedDevice device;
    HostMemory host{8 * kGiB, 6 * kGiB, "/proc/meminfo", "/proc/meminfo"};
    RunnerOptions options;
    MemoryRequest request;
};

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(MemoryPlanTest, TermsAreWhatTheRunnerThenHolds) {
    const End ends[] = {End::kLogits, End::kSample, End::kSampleAndLogits};
    uint32_t kind = 0;
    for (const char* file : {"llama3-tied-q4_1.gguf", "llama3-untied-bf16.gguf", "mistral-f32.gguf",
                             "llama-q8_0.gguf", "mistral-q4_0.gguf", "llama3-tied-f16.gguf"}) {
        SCOPED_TRACE(file);
        open(file, 1 + kind % 3);
        options.end = ends[kind % 3];
        options.embeddings = kind % 2 == 0;
        options.compute = kind % 2 == 0 ? TENON_COMPUTE_FAST : TENON_COMPUTE_PRECISE;
        options.kv_dtype = kind % 2 == 0 ? TENON_F16 : TENON_F32;
        options.deterministic = kind % 3 == 0;
        request.max_running_requests = 1 + kind * 3;
        ++kind;
        const Result<MemoryPlan> made = plan();
        ASSERT_OK(made);
        const Result<std::unique_ptr<ModelRunner>> runner = ModelRunner::create(
            std::move(device.device), *model->model, model->source, made->runner);
        ASSERT_OK(runner);
        const RunnerMemory& held = (*runner)->memory();
        EXPECT_EQ(made->bytes("weights"), held.weights);
        EXPECT_EQ(made->bytes("kv_pool"), held.kv_pool);
        EXPECT_EQ(made->bytes("scratch"), held.scratch);
        EXPECT_EQ(made->bytes("buffers"), held.buffers);
        EXPECT_GT(held.weights, 0u);
        EXPECT_GT(held.scratch, 0u);
        EXPECT_EQ((*runner)->blocks().count(), made->kv_blocks);
        EXPECT_EQ((*runner)->options().sequences_max, made->max_running_requests);
    }
}

TEST_F(MemoryPlanTest, RefusesWithTheSumBeforeAWeightIsRead) {
    // Reading any byte of a weight would end the process: the file is cut behind its header.
    const std::vector<char> bytes = tiny::read_bytes(tiny::path("llama3-tied-q4_1.gguf"));
    const tiny::ScratchFile file("planned.gguf", bytes);
    open_path(file.path());
    std::filesystem::resize_file(file.path(), 4096);
    ASSERT_OK(plan());
    host.available = 3 << 20;
    host.available_of = "/sys/fs/cgroup/memory.max";
    const std::string text = refusal(Code::kOomHost);
    EXPECT_SAYS(text, "3.0 MiB are available of 8192.0 MiB (/sys/fs/cgroup/memory.max)");
    for (const char* term : {"weights 0.", "kv_pool 0.", "scratch 0.", "margin 64.0 MiB"})
        EXPECT_SAYS(text, term);
    EXPECT_SAYS(text, "MiB are needed");
}

TEST_F(MemoryPlanTest, ObeysTheControlGroup) {
    open();
    const std::filesystem::path root =
        std::filesystem::temp_directory_path() / ("plan-" + std::to_string(getpid()));
    const auto write = [&](const char* name, const char* text) {
        std::filesystem::create_directories((root / name).parent_path());
        std::ofstream(root / name) << text;
    };
    write("proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 7000000 kB\n");
    write("proc/self/cgroup", "0::/tenon\n");
    write("sys/fs/cgroup/tenon/memory.max", "100000000\n");
    write("sys/fs/cgroup/tenon/memory.current", "1000000\n");
    const Result<HostMemory> read = read_host_memory(root.string());
    std::filesystem::remove_all(root);
    ASSERT_OK(read);
    host = *read;
    request.max_running_requests = 0;
    const Result<MemoryPlan> made = plan();
    ASSERT_OK(made);
    EXPECT_EQ(made->budget.total, 100'000'000u);
    EXPECT_EQ(made->budget.available, 99'000'000u);
    EXPECT_LE(made->sum, 99'000'000u);
    EXPECT_SAYS(made->to_text(), "/sys/fs/cgroup/tenon/memory.max");
    request.max_total_tokens = 2'000'000;
    EXPECT_SAYS(refusal(Code::kOomHost), "/sys/fs/cgroup/tenon/memory.max");
}

TEST_F(MemoryPlanTest, ACpuTakesNoMoreThanItsRequestsNeed) {
    open();
    const Result<MemoryPlan> made = plan();
    ASSERT_OK(made);
    EXPECT_EQ(made->kv_blocks, 4u * 4);  // 4 requests of 64 tokens
    EXPECT_EQ(made->max_total_tokens, 256u);
    EXPECT_EQ(made->runner.kv_blocks, made->kv_blocks);
    request.max_running_requests = 0;
    EXPECT_EQ(plan().value().max_running_requests, 32u);
}

TEST_F(MemoryPlanTest, FewerRequestsWhereEachWouldGetTooLittle) {
    open();
    host.available = kGiB;  // small enough for the fixed margin
    request.max_running_requests = 0;
    const MemoryPlan ample = plan().value();
    ASSERT_EQ(ample.max_running_requests, 32u);
    host.available = ample.sum - ample.bytes("kv_pool") * 3 / 4;
    const Result<MemoryPlan> made = plan();
    ASSERT_OK(made);
    EXPECT_LT(made->max_running_requests, 32u);
    EXPECT_GE(made->kv_blocks, made->max_running_requests * 4);  // 64 tokens each
    EXPECT_EQ(made->runner.sequences_max, made->max_running_requests);
    EXPECT_LE(made->sum, host.available);
    request.max_running_requests = 32;  // asked for: never changed silently
    const Result<MemoryPlan> told = plan();
    ASSERT_OK(told);
    EXPECT_EQ(told->max_running_requests, 32u);
    EXPECT_LT(told->kv_blocks, 32u * 4);
}

TEST_F(MemoryPlanTest, MaxTotalTokensIsThePool) {
    open();
    request.max_total_tokens = 1000;
    const Result<MemoryPlan> made = plan();
    ASSERT_OK(made);
    EXPECT_EQ(made->kv_blocks, 63u);
    request.max_total_tokens = 32;
    EXPECT_SAYS(refusal(Code::kConfig),
                "max_total_tokens is 32, less than one sequence of "
                "context_length 64");
    request.max_total_tokens = UINT32_MAX;
    EXPECT_SAYS(refusal(Code::kConfig), "block tables count to");
}

TEST_F(MemoryPlanTest, MemFractionStaticIsWeightsAndPool) {
    open();
    request.mem_fraction_static = 0.25;
    const Result<MemoryPlan> made = plan();
    ASSERT_OK(made);
    const uint64_t both = made->bytes("weights") + made->bytes("kv_pool");
    EXPECT_LE(both, 2 * kGiB);
    EXPECT_GT(both, 2 * kGiB - 2 * kGiB / 8);  // the index of its blocks counts as well
    request.mem_fraction_static = 0.9;         // more than is free
    EXPECT_SAYS(refusal(Code::kOomHost), "are available of 8192.0 MiB");
    request.mem_fraction_static = 1e-6;
    EXPECT_SAYS(refusal(Code::kOomHost), "mem_fraction_static 1e-06 of 8192.0 MiB leaves 0.0 MiB");
    request.mem_fraction_static = 1e-4;
    request.max_total_tokens = 1'000'000;
    EXPECT_SAYS(refusal(Code::kOomHost), "for max_total_tokens 1000000");
    request.mem_fraction_static = 1.5;
    EXPECT_SAYS(refusal(Code::kConfig), "it is a share");
}

TEST_F(MemoryPlanTest, NeverClipsTheContext) {
    open();
    const uint32_t trained = model->model->config().context_length;
    ASSERT_GT(trained, 0u);
    request.context_length = trained + 1;
    EXPECT_SAYS(refusal(Code::kConfig), "context_length is " + std::to_string(trained + 1) +
                                            " tokens, the model was trained for " +
                                            std::to_string(trained));
    request.context_length = 0;
    EXPECT_EQ(plan().value().runner.context_length, trained);
}

TEST_F(MemoryPlanTest, ADeviceWithItsOwnMemoryHasTwoBudgets) {
    open();
    device.info.kind = TENON_DEVICE_GPU;
    device.info.memory_bytes = 2 * kGiB;
    device.info.memory_free_bytes = kGiB;
    request.max_running_requests = 0;
    const Result<MemoryPlan> made = plan();
    ASSERT_OK(made);
    EXPECT_EQ(made->max_running_requests, 256u);
    EXPECT_EQ(made->budget.total, 2 * kGiB);
    EXPECT_EQ(made->host_budget.total, 8 * kGiB);
    ASSERT_EQ(made->host.size(), 1u);
    EXPECT_EQ(made->bytes("margin"), 256u << 20);
    EXPECT_LE(made->sum, kGiB);
    EXPECT_GT(made->sum, kGiB - (1 << 20));  // the pool takes the rest
    device.info.memory_free_bytes = 256 << 20;
    EXPECT_SAYS(refusal(Code::kOomDevice), "device '");
    device.info.memory_free_bytes = kGiB;
    host.available = 1 << 20;
    EXPECT_SAYS(refusal(Code::kOomHost), "host memory of");
}

TEST_F(MemoryPlanTest, PrintsEveryTerm) {
    open();
    const Result<MemoryPlan> made = plan();
    ASSERT_OK(made);
    const std::string text = made->to_text(), json = made->to_json();
    uint64_t sum = 0;
    for (const MemoryTerm& term : made->terms) {
        sum += term.bytes;
        EXPECT_SAYS(text, term.name + " ");
        EXPECT_SAYS(json,
                    "{\"name\":\"" + term.name + "\",\"bytes\":" + std::to_string(term.bytes));
    }
    EXPECT_EQ(sum, made->sum);
    EXPECT_SAYS(json, "\"sum_bytes\":" + std::to_string(sum));
    EXPECT_SAYS(json, "\"kv_blocks\":16");
    EXPECT_SAYS(text, "16 blocks of 16 tokens");
    EXPECT_SAYS(text, "of 6144.0 MiB available, 8192.0 MiB in all (/proc/meminfo)");
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 6);
}

}  // namespace
}  // namespace tenon::engine
