#include "core/config/field_list.h"

#include "core/config/environment.h"
#include "core/config/yaml.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <set>

namespace tenon::config {
namespace {

TEST(FieldList, HasEveryFieldOnceWithItsValue) {
    ServeConfig config;
    config.engine.threads = 3;
    config.limits.n = 4;
    const std::vector<FieldInfo> list = list_fields(config);
    std::set<std::string> keys;
    for (const FieldInfo& field : list) {
        EXPECT_TRUE(keys.insert(field.key).second) << field.key;
        EXPECT_NE(std::string(field.text), "") << field.key;
    }
    EXPECT_EQ(find_field(list, "threads")->value, "3");
    EXPECT_EQ(find_field(list, "limits.n")->value, "4");
    EXPECT_EQ(find_field(list, "timeouts.default")->value, "90s");
    EXPECT_EQ(find_field(list, "timeout"), nullptr);
    EXPECT_EQ(limits_text(*find_field(list, "threads")), "0 to 1024");
    EXPECT_EQ(limits_text(*find_field(list, "compute")), "one of fast, precise");
    EXPECT_EQ(limits_text(*find_field(list, "timeouts.default")), "1ms to 24h");
}

TEST(FieldList, WhatItShowsCanBeSet) {
    ServeConfig config;
    for (const FieldInfo& field : list_fields(config)) {
        if (field.value.starts_with("[") || field.value.starts_with("{") || field.value == "\"\"") {
            continue;
        }
        ServeConfig again;
        EXPECT_TRUE(set_field(again, field.key, field.value, "test").ok()) << field.key;
        EXPECT_TRUE(variable_of(field.key).starts_with("TENON_"));
    }
}

// The properties of a schema against the fields of the visitors, section by section.
void compare(const YAML::Node& properties, const std::string& path,
             const std::vector<FieldInfo>& list, size_t& seen) {
    for (const auto& property : properties) {
        const std::string key = path + property.first.as<std::string>();
        const YAML::Node& about = property.second;
        const YAML::Node& form = about["anyOf"] ? about["anyOf"][1] : about;
        if (form["properties"]) {
            compare(form["properties"], key + ".", list, seen);
            continue;
        }
        const FieldInfo* field = find_field(list, key);
        ASSERT_NE(field, nullptr) << key;
        ++seen;
        EXPECT_EQ(about["description"].as<std::string>(), field->text);
        if (field->limit.max != 0) {
            EXPECT_EQ(about["maximum"].as<int64_t>(), field->limit.max) << key;
        }
        const YAML::Node& entry = about["items"] ? about["items"] : about;
        EXPECT_EQ(entry["enum"] ? entry["enum"].size() : 0, field->limit.choices.size()) << key;
    }
}

TEST(JsonSchema, SaysWhatTheVisitorsSay) {
    const YAML::Node schema = YAML::Load(json_schema());  // JSON is YAML
    EXPECT_EQ(schema["$schema"].as<std::string>(), "https://json-schema.org/draft/2020-12/schema");
    EXPECT_FALSE(schema["additionalProperties"].as<bool>());
    const std::vector<FieldInfo> list = list_fields({});
    size_t seen = 0;
    compare(schema["properties"], "", list, seen);
    EXPECT_EQ(seen, list.size());
}

TEST(Origins, NameTheFileTheLineAndTheVariable) {
    ServeConfig config;
    Origins origins;
    ASSERT_TRUE(read_yaml("threads: 2\nlimits:\n  n: 3\ntls: offloaded\nplugins: {cpu: {a: b}}\n",
                          "f.yaml", config, &origins)
                    .ok());
    EXPECT_EQ(origins["threads"], "f.yaml:1");
    EXPECT_EQ(origins["limits.n"], "f.yaml:3");
    EXPECT_EQ(origins["tls.mode"], "f.yaml:4");
    EXPECT_EQ(origins["plugins.cpu.a"], "f.yaml:5");
    ASSERT_TRUE(read_environment(
                    config,
                    [](const char* name) -> const char* {
                        return std::string(name) == "TENON_LIMITS_N" ? "5" : nullptr;
                    },
                    &origins)
                    .ok());
    EXPECT_EQ(origins["limits.n"], "$TENON_LIMITS_N");
    EXPECT_EQ(config.limits.n, 5u);
    EXPECT_FALSE(origins.contains("compute"));
}

}  // namespace
}  // namespace tenon::config
