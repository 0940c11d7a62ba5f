#include "core/config/environment.h"

#include <gtest/gtest.h>

#include <cstring>

namespace tenon::config {
namespace {

TEST(Environment, SetsTheNamedFields) {
    EngineConfig config;
    const Status status = read_environment(config, [](const char* name) -> const char* {
        return std::strcmp(name, "TENON_THREADS") == 0 ? "3" : nullptr;
    });
    ASSERT_TRUE(status.ok());
    EXPECT_EQ(config.threads, 3u);
}

TEST(Environment, NamesTheVariableThatIsWrong) {
    EngineConfig config;
    const Status status = read_environment(config, [](const char* name) -> const char* {
        return std::strcmp(name, "TENON_COMPUTE") == 0 ? "quick" : nullptr;
    });
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message,
              "TENON_COMPUTE: compute: expected one of fast, precise, got 'quick'");
}

}  // namespace
}  // namespace tenon::config
