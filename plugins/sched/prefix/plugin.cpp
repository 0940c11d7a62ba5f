// prefix: of the waiting rows, the one with the longest cached prefix first, at any queue length.
//
// Waiting ages: a second is worth view.age_weight prefix tokens, so nobody waits for ever. A row that
// would compute what an earlier row is about to compute waits for it, but not once it is old.
#include <tenon/plugin.hpp>

namespace {

namespace sdk = tenon::sdk;

// From this age on a row no longer waits for the prefix of another one.
constexpr uint32_t kShareAgeMaxMs = 10000;

struct LongestPrefix {
    const tenon_sched_view& view;  // not owned
    uint32_t share_tokens;

    // In tokens.
    double score(uint32_t row) const {
        const double seconds = view.age_ms[row] / 1000.0;
        return view.cached_tokens[row] + static_cast<double>(view.age_weight) * seconds;
    }
    // Whether at least share_tokens are shared, and one block of them is not cached yet.
    bool waits(uint32_t row) const {
        const uint64_t shared = view.shared_tokens[row];
        return shared >= share_tokens &&
               shared >= uint64_t{view.cached_tokens[row]} + view.block_tokens &&
               view.age_ms[row] < kShareAgeMaxMs;
    }
};

class Prefix {
public:
    static sdk::Status create(sdk::Span<const tenon_option> options,
                              std::unique_ptr<Prefix>& policy) {
        auto made = std::make_unique<Prefix>();
        sdk::OptionReader reader(options);
        reader.integer("share_tokens", &made->share_tokens_, 1, 1000000);
        TENON_SDK_CHECK(reader.finish());
        policy = std::move(made);
        return {};
    }

    sdk::Status plan(const tenon_sched_view& view, tenon_sched_plan& plan) {
        planner_.plan(view, LongestPrefix{view, share_tokens_}, plan);
        return {};
    }

private:
    tenon::reference::SchedPlanner planner_;
    uint32_t share_tokens_ = 32;
};

sdk::Status activate(const tenon_host&) { return {}; }
void deactivate() {}
const void* iface(const char* id) {
    return sdk::same(id, TENON_IFACE_SCHED) ? sdk::Sched<Prefix>::table() : nullptr;
}

}  // namespace

TENON_PLUGIN("prefix", "0.1.0", activate, deactivate, iface)
