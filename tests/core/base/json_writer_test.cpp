#include "core/base/json_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace tenon {
namespace {

TEST(JsonWriter, NestsAndSeparates) {
    JsonWriter json;
    json.begin_object().field("a", 1).field("b", true).array("c", std::vector<int>{1, 2});
    json.key("d").begin_array().begin_object().end_object().null().end_array();
    json.field("e", 0.5).end_object();
    EXPECT_EQ(json.text(), R"({"a":1,"b":true,"c":[1,2],"d":[{},null],"e":0.5})");
}

TEST(JsonWriter, EscapesAndRepairsText) {
    JsonWriter json;
    json.begin_array()
        .value("q\"\\\n\t\x01")
        .value("\xC3\xA9\xF0\x9F\x98\x80")
        .value(
            "\xFF"
            "a\xC3");
    json.value(NAN).end_array();
    EXPECT_EQ(json.text(),
              "[\"q\\\"\\\\\\n\\t\\u0001\",\"\xC3\xA9\xF0\x9F\x98\x80\","
              "\"\xEF\xBF\xBD"
              "a\xEF\xBF\xBD\",null]");
}

}  // namespace
}  // namespace tenon
