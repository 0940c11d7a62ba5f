// Weight sets: what they take, what they refuse, what they save.
#include <gtest/gtest.h>

#include "core/formats/format_list.h"
#include "tests/conformance/trial.h"

namespace {

using namespace tenon;
using namespace tenon::conformance;
using ops::Dim;
using ops::ProgramBuilder;
using ops::ValueId;

tenon_weight weight_of(const TrialWeight& from) {
    tenon_weight weight{};
    weight.uses = from.uses;
    weight.name = {from.name.data(), from.name.size()};
    weight.format = &from.format;
    weight.rows = from.rows;
    weight.cols = from.cols;
    weight.n_planes = 1;
    weight.fuse_group = TENON_NONE;
    weight.planes[0] = from.bytes.data();
    weight.plane_bytes[0] = from.bytes.size();
    return weight;
}

TrialWeight make_weight(const char* format, int64_t rows, int64_t cols) {
    Random random(Target::instance().seed(), 500);
    const tenon_format& stored = formats::find_format(format)->format;
    return {"w",       stored,           rows,
            cols,      TENON_USE_MATMUL, random_weight(random, stored, rows, cols),
            TENON_NONE};
}

TEST(Weights, InfoCountsWhatIsHeld) {
    const TrialWeight weight = make_weight("f16", 64, 128);
    auto set = Target::instance().device().weights(1, weight.bytes.size());
    CONFORMANCE_MADE(set);
    auto entry = set->put(weight_of(weight));
    CONFORMANCE_MADE(entry);
    EXPECT_EQ(*entry, 0u);
    auto info = set->finish();
    CONFORMANCE_MADE(info);
    EXPECT_EQ(info->entries, 1u);
    if (Target::instance().computes()) {
        EXPECT_GT(info->device_bytes + info->host_bytes, 0u);
    }
}

TEST(Weights, WrongOnesAreRefused) {
    const TrialWeight good = make_weight("q8_0", 4, 64);
    const auto put = [&](const tenon_weight& weight) -> Status {
        TENON_TRY(host::WeightSet set, Target::instance().device().weights(1, good.bytes.size()));
        return status_of(set.put(weight));
    };
    const Status taken = put(weight_of(good));
    CONFORMANCE_MADE(taken);
    tenon_weight bad = weight_of(good);
    bad.cols = 63;
    EXPECT_FALSE(put(bad).ok()) << "columns that cut a block";
    bad = weight_of(good);
    bad.rows = 0;
    EXPECT_FALSE(put(bad).ok()) << "no rows";
    if (!Target::instance().computes()) return;
    bad = weight_of(good);
    bad.plane_bytes[0] -= 1;
    EXPECT_FALSE(put(bad).ok()) << "a plane shorter than its rows";
    bad = weight_of(good);
    bad.rows = int64_t{1} << 62;
    EXPECT_FALSE(put(bad).ok()) << "a size that wraps";
    bad = weight_of(good);
    tenon_format opaque = good.format;
    opaque.cls = TENON_FORMAT_OPAQUE;
    bad.format = &opaque;
    CONFORMANCE_REFUSED(put(bad), Code::kUnsupported);
}

TEST(Weights, TakesNoMoreThanAnnouncedAndNoneAfterFinish) {
    const TrialWeight weight = make_weight("f32", 1, 32);
    auto set = Target::instance().device().weights(1, weight.bytes.size());
    CONFORMANCE_MADE(set);
    auto first = set->put(weight_of(weight));
    CONFORMANCE_MADE(first);
    EXPECT_FALSE(set->put(weight_of(weight)).ok()) << "one more than announced";
    auto info = set->finish();
    CONFORMANCE_MADE(info);
    EXPECT_FALSE(set->put(weight_of(weight)).ok()) << "after finish";
}

// y = x w^T, prepared on a set that the caller fills.
struct Product {
    TrialWeight weight = make_weight("q4_1", 33, 96);
    std::optional<ops::Program> program;

    Product() {
        ProgramBuilder b;
        const Dim tokens = Dim::of(b.symbol("T", 4));
        const ValueId x = b.input("x", 0, TENON_F32, {tokens, 96});
        b.mark_output(b.matmul("y", x, b.weight("w", 0, {33, 96})), 1);
        program = b.build();
    }
    Result<std::vector<float>> run(const host::WeightSet& set, const std::vector<float>& x) const {
        const host::Device& device = Target::instance().device();
        const int64_t symbols[] = {2};
        const tenon_bucket bucket{symbols};
        tenon_prepare how{};
        how.size = sizeof how;
        how.compute = TENON_COMPUTE_PRECISE;
        how.n_buckets = 1;
        how.buckets = &bucket;
        how.weights = set.handle();
        TENON_TRY(const host::Exec exec, device.prepare(program->view(), how));
        TENON_TRY(const host::Buffer in, device.buffer(2 * 96 * 4, TENON_BUF_INPUT));
        TENON_TRY(const host::Buffer out, device.buffer(2 * 33 * 4, TENON_BUF_OUTPUT));
        TENON_TRY(const host::Timeline timeline, device.timeline());
        TENON_TRY(const host::Queue queue, device.queue());
        std::vector<float> y(2 * 33);
        const tenon_copy copy_x = host::copy_in(in, 0, x.data(), x.size() * 4);
        const tenon_copy copy_y = host::copy_out(y.data(), out, 0, y.size() * 4);
        tenon_buffer* buffers[] = {in.handle(), out.handle()};
        tenon_bind bind{};
        bind.n_slots = 2;
        bind.buffers = buffers;
        bind.symbols = symbols;
        const tenon_point done = timeline.at(1);
        TENON_CHECK(queue.copy({&copy_x, 1}, {}));
        TENON_CHECK(queue.submit(exec, bind, {}));
        TENON_CHECK(queue.copy({&copy_y, 1}, {{}, {&done, 1}}));
        TENON_CHECK(timeline.wait(1, uint64_t{10} * 1000 * 1000 * 1000));
        return y;
    }
};

TEST(Weights, SavedAndRestoredSetsComputeTheSame) {
    Product product;
    Random random(Target::instance().seed(), 501);
    const std::vector<float> x = random.normals(2 * 96);
    const host::Device& device = Target::instance().device();
    auto set = device.weights(1, product.weight.bytes.size());
    CONFORMANCE_MADE(set);
    auto entry = set->put(weight_of(product.weight));
    CONFORMANCE_MADE(entry);
    auto info = set->finish();
    CONFORMANCE_MADE(info);
    auto blob = set->save();
    CONFORMANCE_MADE(blob);
    auto restored = device.weights(1, product.weight.bytes.size());
    CONFORMANCE_MADE(restored);
    CONFORMANCE_OK(restored->restore(*blob));
    auto restored_info = restored->finish();
    CONFORMANCE_MADE(restored_info);
    EXPECT_EQ(restored_info->entries, 1u);
    auto wanted = product.run(*set, x);
    CONFORMANCE_MADE(wanted);
    auto got = product.run(*restored, x);
    CONFORMANCE_MADE(got);
    EXPECT_TRUE(equal_bits(*wanted, *got));
    for (const size_t size : {size_t{0}, size_t{1}, blob->size() / 2, blob->size() - 1}) {
        auto broken = device.weights(1, product.weight.bytes.size());
        CONFORMANCE_MADE(broken);
        EXPECT_FALSE(broken->restore({blob->data(), size}).ok()) << size << " of " << blob->size();
    }
}

TEST(Weights, RestoreOfGarbageIsRefused) {
    auto set = Target::instance().device().weights(1, 4096);
    CONFORMANCE_MADE(set);
    Random random(Target::instance().seed(), 502);
    std::vector<std::byte> garbage(4096);
    for (std::byte& byte : garbage)
        byte = static_cast<std::byte>(random.bits() & 0xff);
    const Status restored = set->restore(garbage);
    ASSERT_FALSE(restored.ok());
    EXPECT_TRUE(restored.error().code == Code::kData || restored.error().code == Code::kUnsupported)
        << restored.error().message;
}

// The planes are the caller's again on return: their bytes may change at once.
TEST(Weights, PlanesAreTheCallersAfterPut) {
    Product product;
    Random random(Target::instance().seed(), 503);
    const std::vector<float> x = random.normals(2 * 96);
    const auto result = [&](bool overwrite) -> Result<std::vector<float>> {
        TENON_TRY(host::WeightSet set,
                  Target::instance().device().weights(1, product.weight.bytes.size()));
        TrialWeight copy = product.weight;
        TENON_CHECK(status_of(set.put(weight_of(copy))));
        if (overwrite) copy.bytes.assign(copy.bytes.size(), std::byte{0x5A});
        TENON_CHECK(status_of(set.finish()));
        return product.run(set, x);
    };
    auto wanted = result(false);
    CONFORMANCE_MADE(wanted);
    auto got = result(true);
    CONFORMANCE_MADE(got);
    EXPECT_TRUE(equal_bits(*wanted, *got));
}

// What a load will cost is known without its bytes, and nothing else is done with such a set.
TEST(Weights, MeasuringTellsWhatKeepingCosts) {
    const host::Device& device = Target::instance().device();
    Product product;
    TrialWeight gain = make_weight("f32", 1, 96);
    gain.uses = TENON_USE_ELEMENTWISE;
    TrialWeight tied = make_weight("q8_0", 70, 64);
    tied.uses = TENON_USE_MATMUL | TENON_USE_ROWS;
    const auto filled = [&](bool kept, tenon_weights_info& info) -> Result<host::WeightSet> {
        TENON_TRY(host::WeightSet set, device.weights(3, product.weight.bytes.size()));
        for (const TrialWeight* from : {&product.weight, &gain, &tied}) {
            tenon_weight weight = weight_of(*from);
            if (!kept) weight.planes[0] = nullptr;
            TENON_CHECK(status_of(set.put(weight)));
        }
        TENON_TRY(info, set.finish());
        return set;
    };
    tenon_weights_info kept{}, measured{};
    auto real = filled(true, kept);
    CONFORMANCE_MADE(real);
    auto dry = filled(false, measured);
    CONFORMANCE_MADE(dry);
    EXPECT_EQ(measured.device_bytes, kept.device_bytes);
    EXPECT_EQ(measured.host_bytes, kept.host_bytes);
    EXPECT_EQ(measured.entries, kept.entries);

    const int64_t symbols[] = {4};
    const tenon_bucket bucket{symbols};
    tenon_prepare how{};
    how.compute = TENON_COMPUTE_FAST;
    how.n_buckets = 1;
    how.buckets = &bucket;
    how.weights = real->handle();
    auto exec = device.prepare(product.program->view(), how);
    CONFORMANCE_MADE(exec);
    how.weights = dry->handle();
    CONFORMANCE_REFUSED(status_of(device.prepare(product.program->view(), how)), Code::kInvalid);
    how.flags = TENON_PREPARE_MEASURE;
    auto sized = device.prepare(product.program->view(), how);
    CONFORMANCE_MADE(sized);
    EXPECT_EQ(sized->info().scratch_bytes, exec->info().scratch_bytes);
    EXPECT_EQ(sized->info().n_phases, exec->info().n_phases);
    EXPECT_EQ(sized->info().flags, exec->info().flags);

    auto in = device.buffer(4 * 96 * 4, TENON_BUF_INPUT);
    CONFORMANCE_MADE(in);
    auto out = device.buffer(4 * 33 * 4, TENON_BUF_OUTPUT);
    CONFORMANCE_MADE(out);
    auto queue = device.queue();
    CONFORMANCE_MADE(queue);
    tenon_buffer* buffers[] = {in->handle(), out->handle()};
    tenon_bind bind{};
    bind.n_slots = 2;
    bind.buffers = buffers;
    bind.symbols = symbols;
    CONFORMANCE_REFUSED(queue->submit(*sized, bind, {}), Code::kInvalid);
}

}  // namespace
