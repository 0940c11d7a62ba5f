// Plugins of kind sched: who is taken for one, and what a policy may answer.
#include "core/host/sched_policy.h"

#include "tests/core/host/plugin_folder.h"

namespace tenon::host {
namespace {

class SchedKind : public PluginFolderTest {
protected:
    void install_as(const std::string& kinds) {
        ManifestText manifest;
        manifest.kinds = kinds;
        install("good", manifest);
    }
    std::string sched_error() const {
        const auto plugin = scan().load_sched("good");
        EXPECT_FALSE(plugin.ok());
        return plugin.ok() ? std::string() : plugin.error().message;
    }
};

TEST_F(SchedKind, ABackendIsNoPolicy) {
    install_as("backend");
    EXPECT_EQ(sched_error(), "Plugin good is no sched; its manifest says: backend.");
}

TEST_F(SchedKind, AManifestThatPromisesAPolicyIsNotBelieved) {
    install_as("backend, sched");
    EXPECT_EQ(sched_error(), "Plugin good does not offer tenon.sched/0.");
    EXPECT_TRUE(scan().load("good").ok());
}

TEST_F(SchedKind, OnlyPoliciesAreOfferedInsteadOfAnUnknownOne) {
    install_as("backend");
    EXPECT_EQ(
        scan().load_sched("best").error().message,
        "There is no scheduler 'best'; found: none. `tenon plugins list --why` shows every place "
        "that was searched.");
}

int32_t create_nothing(const tenon_option*, uint32_t, tenon_sched_policy**, tenon_error*) {
    return TENON_OK;
}
int32_t plan_nothing(tenon_sched_policy*, const tenon_sched_view*, tenon_sched_plan*,
                     tenon_error*) {
    return TENON_OK;
}
int32_t plan_too_much(tenon_sched_policy*, const tenon_sched_view*, tenon_sched_plan* plan,
                      tenon_error*) {
    plan->n_preempt = plan->capacity + 1;
    return TENON_OK;
}
void destroy_nothing(tenon_sched_policy*) {}

tenon_sched_table whole() {
    return {sizeof(tenon_sched_table), create_nothing, plan_nothing, destroy_nothing};
}

TEST(SchedTable, EverySlotIsMandatory) {
    tenon_sched_table table = whole();
    EXPECT_TRUE(check_sched_table(&table).ok());
    table.plan = nullptr;
    EXPECT_EQ(check_sched_table(&table).error().message,
              "Slot 1 of the sched table is null; every slot is mandatory.");
    table = whole();
    table.size -= 8;
    EXPECT_EQ(
        check_sched_table(&table).error().message,
        fmt::format("The sched table has {} bytes, wanted {}.", sizeof table - 8, sizeof table));
}

TEST(SchedPolicy, OkWithoutAPolicyIsAnError) {
    const tenon_sched_table table = whole();
    const auto made = SchedPlugin("p", "1", &table).create();
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().message, "create returned OK and a null handle.");
}

TEST(SchedPolicy, CountsStayWithinTheirRoom) {
    tenon_sched_table table = whole();
    tenon_sched_view view{};
    tenon_sched_plan plan{};
    plan.capacity = 4;
    plan.n_run = 9;  // left over; starts anew
    EXPECT_TRUE(SchedPolicy("p", &table, nullptr).plan(view, plan).ok());
    EXPECT_EQ(plan.n_run, 0u);
    table.plan = plan_too_much;
    const Status status = SchedPolicy("p", &table, nullptr).plan(view, plan);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kInternal);
    EXPECT_EQ(status.error().message,
              "plan counts 0 rows to run and 5 to preempt; there is room for 4.");
}

}  // namespace
}  // namespace tenon::host
