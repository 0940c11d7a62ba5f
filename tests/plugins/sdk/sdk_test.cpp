// The SDK's edges: errors, sized structs, options, exceptions, and the fake host.
#include <gtest/gtest.h>
#include <tenon/plugin.hpp>
#include <tenon/sdk/fake_host.hpp>

#include <cstddef>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/core/host/plugins/minimal_backend.h"

namespace {

namespace sdk = tenon::sdk;

tenon_error make_error() {
    tenon_error error{};
    error.size = sizeof error;
    return error;
}

TEST(SdkStatus, ReportsCodeNodeAndSentence) {
    tenon_error error = make_error();
    const int32_t code = sdk::at_boundary(
        &error, [] { return sdk::fail(TENON_DATA, "Byte %d is bad.", 7).at_node(3); });
    EXPECT_EQ(code, TENON_DATA);
    EXPECT_EQ(error.code, TENON_DATA);
    EXPECT_EQ(error.node, 3u);
    EXPECT_STREQ(error.msg, "Byte 7 is bad.");
}

TEST(SdkStatus, CutsLongSentencesAndWorksWithoutAnError) {
    tenon_error error = make_error();
    EXPECT_EQ(sdk::fail(TENON_INVALID, std::string(1000, 'x')).report(&error), TENON_INVALID);
    EXPECT_EQ(std::strlen(error.msg), sizeof error.msg - 1);
    EXPECT_EQ(sdk::fail(TENON_INVALID, std::string("y")).report(nullptr), TENON_INVALID);
}

TEST(SdkStatus, NeverWritesPastTheCallersSize) {
    tenon_error error = make_error();
    std::memset(error.msg, 'z', sizeof error.msg);
    error.size = offsetof(tenon_error, msg) + 8;
    (void)sdk::fail(TENON_INVALID, "0123456789").report(&error);
    EXPECT_EQ(std::string(error.msg, 9), std::string("0123456\0z", 9));
}

TEST(SdkStatus, ExceptionsBecomeCodes) {
    tenon_error error = make_error();
    EXPECT_EQ(sdk::at_boundary(&error, []() -> sdk::Status { throw std::bad_alloc(); }),
              TENON_OOM_HOST);
    EXPECT_STREQ(error.msg, "Host memory is out.");
    EXPECT_EQ(sdk::at_boundary(&error, []() -> sdk::Status { throw std::runtime_error("boo"); }),
              TENON_INTERNAL);
    EXPECT_STREQ(error.msg, "The plugin threw an exception: boo");
    EXPECT_EQ(sdk::at_boundary(&error, []() -> sdk::Status { throw 42; }), TENON_INTERNAL);
    EXPECT_STREQ(error.msg, "The plugin threw something that is no std::exception.");
}

struct Longer {
    tenon_kv_info info;
    uint8_t tail[8];
};

TEST(SdkStructs, TailMustBeZero) {
    Longer longer{};
    longer.info.size = sizeof longer;
    EXPECT_TRUE(sdk::check_size(&longer.info, "tenon_kv_info").ok());
    longer.tail[5] = 1;
    const sdk::Status dirty = sdk::check_size(&longer.info, "tenon_kv_info");
    EXPECT_EQ(dirty.code(), TENON_UNSUPPORTED);
    EXPECT_STREQ(dirty.message(),
                 "tenon_kv_info has byte 29 set, behind the 24 bytes that this plugin knows.");
}

TEST(SdkStructs, ShortNullAndGarbageSizesAreInvalid) {
    tenon_kv_info info{};
    EXPECT_STREQ(sdk::check_size(&info, "tenon_kv_info").message(),
                 "tenon_kv_info has size 0, this plugin needs 24.");
    info.size = 0xffffffff;
    EXPECT_EQ(sdk::check_size(&info, "tenon_kv_info").code(), TENON_INVALID);
    EXPECT_STREQ(sdk::check_size<tenon_kv_info>(nullptr, "tenon_kv_info").message(),
                 "tenon_kv_info is null.");
}

TEST(SdkStructs, StridesReachLongerElements) {
    struct Wide {
        tenon_node_time time;
        uint64_t more;
    };
    std::vector<Wide> wide(3);
    const sdk::Strided<tenon_node_time> times(&wide[0].time, 3, sizeof(Wide));
    ASSERT_TRUE(times.check("times").ok());
    times[2].ns = 9;
    EXPECT_EQ(wide[2].time.ns, 9u);
    EXPECT_STREQ(sdk::Strided<tenon_node_time>(&wide[0].time, 3, 8).check("times").message(),
                 "times has stride 8, this plugin needs at least 16.");
    EXPECT_FALSE(sdk::Strided<tenon_node_time>(nullptr, 1, 16).check("times").ok());
}

tenon_option option(const char* key, const char* value) { return {sdk::str(key), sdk::str(value)}; }

TEST(SdkOptions, ReadsEveryTypeAndKeepsDefaults) {
    const tenon_option given[] = {option("threads", "12"), option("pin", "true"),
                                  option("force_isa", "avx2")};
    sdk::OptionReader reader({given, 3});
    uint32_t threads = 1;
    bool pin = false;
    std::string isa;
    int spin = 50;
    reader.integer("threads", &threads, 0, 1024);
    reader.boolean("pin", &pin);
    reader.text("force_isa", &isa);
    reader.integer("spin", &spin, -5, 100);
    EXPECT_TRUE(reader.finish().ok());
    EXPECT_EQ(threads, 12u);
    EXPECT_TRUE(pin);
    EXPECT_EQ(isa, "avx2");
    EXPECT_EQ(spin, 50);
}

std::string refusal(const std::vector<tenon_option>& given) {
    sdk::OptionReader reader({given.data(), static_cast<uint32_t>(given.size())});
    int threads = 0;
    bool pin = false;
    reader.integer("threads", &threads, 0, 1024);
    reader.boolean("pin", &pin);
    const sdk::Status status = reader.finish();
    EXPECT_EQ(status.code(), TENON_INVALID);
    return status.message();
}

TEST(SdkOptions, RefusesWhatItCannotRead) {
    EXPECT_EQ(refusal({option("thread", "1")}),
              "Unknown option 'thread'; known are: threads, pin.");
    EXPECT_EQ(refusal({option("threads", "1025")}),
              "Option 'threads' is '1025', wanted a whole number from 0 to 1024.");
    EXPECT_EQ(refusal({option("threads", "-")}),
              "Option 'threads' is '-', wanted a whole number from 0 to 1024.");
    EXPECT_EQ(refusal({option("threads", "99999999999999999999")}),
              "Option 'threads' is '99999999999999999999', wanted a whole number from 0 to 1024.");
    EXPECT_EQ(refusal({option("pin", "yes")}), "Option 'pin' is 'yes', wanted true or false.");
    EXPECT_EQ(refusal({option("pin", "true"), option("pin", "false")}),
              "Option 'pin' is given twice.");
}

TEST(SdkHost, CountsMemoryAndRecordsLines) {
    sdk::FakeHost host;
    tenon_error error = make_error();
    const auto start = [](const tenon_host&) { return sdk::Status(); };
    ASSERT_EQ(sdk::activate_plugin(host.table(), &error, start), TENON_OK);
    {
        sdk::HostMemory memory(100, 64);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data()) % 64, 0u);
        EXPECT_EQ(host.bytes_live(), 100u);
        sdk::HostMemory moved = std::move(memory);
        EXPECT_EQ(host.bytes_live(), 100u);
        host.fail_allocation_after(0);
        EXPECT_EQ(sdk::HostMemory(10, 8).data(), nullptr);
        host.fail_allocation_after(-1);
    }
    EXPECT_EQ(host.bytes_live(), 0u);
    sdk::log(TENON_LOG_WARN, "%d threads", 3);
    ASSERT_EQ(host.logs().size(), 1u);
    EXPECT_EQ(host.logs()[0].second, "3 threads");
}

TEST(SdkHost, ShortHostTableIsRefused) {
    tenon_host host{};
    host.size = 8;
    tenon_error error = make_error();
    const auto start = [](const tenon_host&) { return sdk::Status(); };
    EXPECT_EQ(sdk::activate_plugin(&host, &error, start), TENON_INVALID);
    EXPECT_STREQ(error.msg, "tenon_host has size 8, this plugin needs 48.");
}

// A slot that the ABI gets and Backend does not fill would be null.
TEST(SdkBackend, FillsEverySlot) {
    const tenon_backend_table* table = sdk::Backend<minimal::Impl>::table();
    ASSERT_EQ(table->size, sizeof *table);
    constexpr size_t kFirst = offsetof(tenon_backend_table, enumerate);
    constexpr size_t kSlots = (sizeof(tenon_backend_table) - kFirst) / sizeof(void*);
    for (size_t i = 0; i < kSlots; ++i) {
        void* slot = nullptr;
        std::memcpy(&slot, reinterpret_cast<const char*>(table) + kFirst + i * sizeof slot,
                    sizeof slot);
        EXPECT_NE(slot, nullptr) << "slot " << i << " of " << kSlots;
    }
}

TEST(SdkOpen, MismatchNamesBothSides) {
    tenon_plugin_table table{};
    table.id = sdk::str("mine");
    table.version = sdk::str("1.0.0");
    const tenon_plugin_table* plugin = nullptr;
    tenon_error error = make_error();
    EXPECT_EQ(sdk::open_plugin(table, 77, 0xabc, &plugin, &error), TENON_UNSUPPORTED);
    EXPECT_EQ(plugin, nullptr);
    char wanted[300];
    std::snprintf(
        wanted, sizeof wanted,
        "Plugin mine 1.0.0 was built for ABI revision %u, fingerprint %016llx; the host has "
        "revision 77, fingerprint 0000000000000abc. Rebuild the plugin.",
        TENON_ABI_REVISION, static_cast<unsigned long long>(TENON_ABI_FINGERPRINT));
    EXPECT_STREQ(error.msg, wanted);
    EXPECT_EQ(sdk::open_plugin(table, TENON_ABI_REVISION, TENON_ABI_FINGERPRINT, &plugin, &error),
              TENON_OK);
    EXPECT_EQ(plugin, &table);
}

}  // namespace
