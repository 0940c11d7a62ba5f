// fcfs: first come, first served. What the host does by itself, as a plugin: the one to copy for a
// policy of your own.
#include <tenon/plugin.hpp>

namespace {

namespace sdk = tenon::sdk;

class Fcfs {
public:
    static sdk::Status create(sdk::Span<const tenon_option> options,
                              std::unique_ptr<Fcfs>& policy) {
        TENON_SDK_CHECK(sdk::OptionReader(options).finish());
        policy = std::make_unique<Fcfs>();
        return {};
    }

    sdk::Status plan(const tenon_sched_view& view, tenon_sched_plan& plan) {
        planner_.plan(view, tenon::reference::SchedArrival(), plan);
        return {};
    }

private:
    tenon::reference::SchedPlanner planner_;
};

sdk::Status activate(const tenon_host&) { return {}; }
void deactivate() {}
const void* iface(const char* id) {
    return sdk::same(id, TENON_IFACE_SCHED) ? sdk::Sched<Fcfs>::table() : nullptr;
}

}  // namespace

TENON_PLUGIN("fcfs", "0.1.0", activate, deactivate, iface)
