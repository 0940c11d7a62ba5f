// Structs longer or shorter than the plugin's, dirty tails, wrong numbers: refused with a sentence.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "tests/conformance/tiny_model.h"

namespace {

using namespace tenon;
using namespace tenon::conformance;

// A struct of a newer ABI: T and 64 bytes more, zero unless soiled.
template <class T>
class Longer {
public:
    explicit Longer(const T& object) : bytes_(std::make_unique<std::max_align_t[]>(kWords)) {
        std::memset(static_cast<void*>(bytes_.get()), 0, kWords * sizeof(std::max_align_t));
        std::memcpy(static_cast<void*>(bytes_.get()), &object, sizeof object);
        get()->size = sizeof(T) + 64;
    }
    T* get() { return reinterpret_cast<T*>(bytes_.get()); }
    void soil() { reinterpret_cast<unsigned char*>(bytes_.get())[sizeof(T) + 40] = 1; }

private:
    static constexpr size_t kWords = (sizeof(T) + 64) / sizeof(std::max_align_t) + 1;
    std::unique_ptr<std::max_align_t[]> bytes_;
};

tenon_error fresh_error() {
    tenon_error error{};
    error.size = sizeof error;
    return error;
}

// A clean longer struct passes, a dirty one is UNSUPPORTED, a short one INVALID; each refusal has a
// text.
template <class T, class Call>
void expect_size_rules(const T& object, Call&& call) {
    tenon_error error = fresh_error();
    Longer<T> clean(object);
    EXPECT_EQ(call(clean.get(), &error), TENON_OK) << "a zero tail: " << error.msg;
    error = fresh_error();
    Longer<T> dirty(object);
    dirty.soil();
    EXPECT_EQ(call(dirty.get(), &error), TENON_UNSUPPORTED) << "a dirty tail";
    EXPECT_NE(error.msg[0], '\0');
    EXPECT_NE(std::memchr(error.msg, 0, sizeof error.msg), nullptr);
    error = fresh_error();
    T small = object;
    small.size = 4;
    EXPECT_EQ(call(&small, &error), TENON_INVALID) << "a short struct";
    EXPECT_NE(error.msg[0], '\0');
    T absurd = object;
    absurd.size = 0xffffffffu;
    EXPECT_NE(call(&absurd, nullptr), TENON_OK) << "an absurd size";
}

struct Rig {
    Random random{Target::instance().seed(), 800};
    Trial trial = make_tiny_model("f32", TENON_F16, random);
    const tenon_backend_table& table = Target::instance().table();
    tenon_device* device = Target::instance().device().handle();
};

TEST(Refusal, BufferDesc) {
    Rig rig;
    const tenon_buffer_desc desc{sizeof desc, TENON_BUF_INPUT, 64, 64};
    expect_size_rules(desc, [&](const tenon_buffer_desc* d, tenon_error* err) {
        tenon_buffer* buffer = nullptr;
        const int32_t code = rig.table.buffer_alloc(rig.device, d, &buffer, err);
        if (buffer != nullptr) rig.table.buffer_free(buffer);
        return code;
    });
    tenon_error error = fresh_error();
    tenon_buffer* buffer = nullptr;
    tenon_buffer_desc odd = desc;
    odd.align = 48;
    EXPECT_EQ(rig.table.buffer_alloc(rig.device, &odd, &buffer, &error), TENON_INVALID);
    EXPECT_EQ(buffer, nullptr);
}

TEST(Refusal, KvDesc) {
    Rig rig;
    tenon_kv_info info{};
    info.size = sizeof info;
    if (rig.table.kv_query(rig.device, &*rig.trial.kv, &info, nullptr) != TENON_OK) {
        GTEST_SKIP() << "unsupported: a KV pool of f16";
    }
    expect_size_rules(*rig.trial.kv, [&](const tenon_kv_desc* d, tenon_error* err) {
        tenon_kv_pool* pool = nullptr;
        const int32_t code = rig.table.kv_create(rig.device, d, &pool, err);
        if (pool != nullptr) rig.table.kv_free(pool);
        return code;
    });
}

TEST(Refusal, Weight) {
    Rig rig;
    const TrialWeight& from = rig.trial.weights[0];
    tenon_weight weight{};
    weight.size = sizeof weight;
    weight.uses = from.uses;
    weight.name = {from.name.data(), from.name.size()};
    weight.format = &from.format;
    weight.rows = from.rows;
    weight.cols = from.cols;
    weight.n_planes = 1;
    weight.fuse_group = TENON_NONE;
    weight.planes[0] = from.bytes.data();
    weight.plane_bytes[0] = from.bytes.size();
    expect_size_rules(weight, [&](const tenon_weight* w, tenon_error* err) {
        tenon_weights* set = nullptr;
        int32_t code = rig.table.weights_begin(rig.device, 1, from.bytes.size(), &set, err);
        uint32_t entry = 0;
        if (code == TENON_OK) code = rig.table.weights_put(set, w, &entry, err);
        if (set != nullptr) rig.table.weights_free(set);
        return code;
    });
}

TEST(Refusal, BindAndSync) {
    Rig rig;
    ops::ProgramBuilder b;
    const ops::ValueId x = b.input("x", 0, TENON_F32, {32});
    b.mark_output(b.add("y", x, x), 1);
    Trial trial;
    trial.program = b.build();
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    auto in = Target::instance().device().buffer(128, TENON_BUF_INPUT);
    auto out = Target::instance().device().buffer(128, TENON_BUF_OUTPUT);
    CONFORMANCE_MADE(in);
    CONFORMANCE_MADE(out);
    tenon_buffer* buffers[] = {in->handle(), out->handle()};
    tenon_bind bind{};
    bind.size = sizeof bind;
    bind.n_slots = 2;
    bind.buffers = buffers;
    expect_size_rules(bind, [&](const tenon_bind* p, tenon_error* err) {
        return rig.table.submit(runner->queue().handle(), runner->exec().handle(), p, nullptr, err);
    });
    tenon_sync sync{};
    sync.size = sizeof sync;
    expect_size_rules(sync, [&](const tenon_sync* p, tenon_error* err) {
        return rig.table.submit(runner->queue().handle(), runner->exec().handle(), &bind, p, err);
    });
    const tenon_point done = runner->timeline().at(runner->next_value());
    uint64_t word = 0;
    const tenon_copy copy = host::copy_in(*in, 0, &word, 8);
    CONFORMANCE_OK(runner->queue().copy({&copy, 1}, {{}, {&done, 1}}));
    CONFORMANCE_OK(runner->wait());
}

TEST(Refusal, Prepare) {
    Rig rig;
    ops::ProgramBuilder b;
    const ops::ValueId x = b.input("x", 0, TENON_F32, {ops::Dim::of(b.symbol("T", 8)), 32});
    b.mark_output(b.add("y", x, x), 1);
    const ops::Program program = b.build();
    auto set = Target::instance().device().weights(0, 0);
    CONFORMANCE_MADE(set);
    auto info_of_set = set->finish();
    CONFORMANCE_MADE(info_of_set);
    const int64_t largest[] = {8};
    const tenon_bucket bucket{largest};
    tenon_prepare how{};
    how.size = sizeof how;
    how.compute = TENON_COMPUTE_PRECISE;
    how.n_buckets = 1;
    how.buckets = &bucket;
    how.weights = set->handle();
    const auto prepare = [&](const tenon_program* p, const tenon_prepare* h, tenon_error* err) {
        tenon_exec* exec = nullptr;
        tenon_exec_info info{};
        info.size = sizeof info;
        const int32_t code = rig.table.prepare(rig.device, p, h, &exec, &info, err);
        if (exec != nullptr) rig.table.exec_free(exec);
        return code;
    };
    expect_size_rules(how, [&](const tenon_prepare* h, tenon_error* err) {
        return prepare(&program.view(), h, err);
    });
    expect_size_rules(program.view(), [&](const tenon_program* p, tenon_error* err) {
        return prepare(p, &how, err);
    });
}

// A program that uses an op nobody knows, or leads out of its arrays, is refused by query and
// prepare.
TEST(Refusal, WrongPrograms) {
    Rig rig;
    const tenon_program good = rig.trial.view();
    std::vector<tenon_node> nodes(good.nodes, good.nodes + good.n_nodes);
    tenon_program bad = good;
    bad.nodes = nodes.data();
    nodes[1].op = 999;
    auto verdicts = Target::instance().device().query(bad, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(verdicts);
    EXPECT_EQ((*verdicts)[1].kind, static_cast<uint32_t>(TENON_VERDICT_NO));
    EXPECT_NE((*verdicts)[1].reason[0], '\0');
    EXPECT_NE((*verdicts)[0].kind, static_cast<uint32_t>(TENON_VERDICT_NO))
        << (*verdicts)[0].reason;
    nodes[1] = good.nodes[1];
    const uint32_t outside[] = {good.n_values, good.n_values};
    nodes[1].inputs = outside;
    EXPECT_FALSE(Target::instance().device().query(bad, TENON_COMPUTE_PRECISE).ok());
    nodes[1] = good.nodes[1];
    bad.node_stride = 8;
    EXPECT_FALSE(Target::instance().device().query(bad, TENON_COMPUTE_PRECISE).ok());
}

// Longer strides are a newer ABI's arrays; the plugin must step by them.
TEST(Refusal, LongerStridesAreFollowed) {
    Rig rig;
    struct LongNode {
        tenon_node node;
        uint64_t more;
    };
    const tenon_program good = rig.trial.view();
    std::vector<LongNode> nodes;
    for (uint32_t i = 0; i < good.n_nodes; ++i)
        nodes.push_back({good.nodes[i], 0});
    tenon_program longer = good;
    longer.nodes = &nodes[0].node;
    longer.node_stride = sizeof(LongNode);
    auto plain = Target::instance().device().query(good, TENON_COMPUTE_PRECISE);
    auto strided = Target::instance().device().query(longer, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(plain);
    CONFORMANCE_MADE(strided);
    for (uint32_t i = 0; i < good.n_nodes; ++i)
        EXPECT_EQ((*plain)[i].kind, (*strided)[i].kind) << i;
}

}  // namespace
