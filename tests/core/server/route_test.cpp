#include "core/server/route.h"

#include <gtest/gtest.h>

namespace tenon::server {
namespace {

Route route(const char* method, const char* path) {
    return {method, path, Access::kKey, false, false, "", {}};
}

TEST(RouteTable, MatchesExactPathsBeforeNames) {
    RouteTable table;
    table.add(route("GET", "/v1/models/{model}"));
    table.add(route("GET", "/v1/models/default"));
    table.add(route("GET", "/v1/models"));
    EXPECT_TRUE(table.fault().empty());
    EXPECT_EQ(table.match("GET", "/v1/models").route, &table.routes()[2]);
    EXPECT_EQ(table.match("GET", "/v1/models/default").route, &table.routes()[1]);
    const RouteTable::Match named = table.match("GET", "/v1/models/org/name");
    EXPECT_EQ(named.route, &table.routes()[0]);
    EXPECT_EQ(named.name, "org/name");
    EXPECT_EQ(table.match("GET", "/v1/models/").route, nullptr);
    EXPECT_EQ(table.match("GET", "/v1/modelsx").route, nullptr);
    EXPECT_EQ(table.match("GET", "").route, nullptr);
}

TEST(RouteTable, NamesTheMethodsOfAPath) {
    RouteTable table;
    table.add(route("GET", "/a"));
    table.add(route("POST", "/a"));
    const RouteTable::Match match = table.match("PUT", "/a");
    EXPECT_EQ(match.route, nullptr);
    EXPECT_EQ(match.allow, "GET, HEAD, POST");
    EXPECT_EQ(table.match("get", "/a").route, nullptr);
    EXPECT_EQ(table.match("HEAD", "/a").route, &table.routes()[0]);
    EXPECT_EQ(table.match("PUT", "/b").allow, "");
}

TEST(RouteTable, ARouteThatIsAddedTwiceIsAFault) {
    RouteTable table;
    table.add(route("GET", "/a"));
    table.add(route("GET", "/a"));
    EXPECT_EQ(table.fault(), "the route GET /a was added twice");
}

TEST(RouteTable, ARouteThatSaysNothingWantsAKey) { EXPECT_EQ(Route().access, Access::kKey); }

}  // namespace
}  // namespace tenon::server
