#include "core/host/manifest.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <random>
#include <string>

namespace tenon::host {
namespace {

const std::string kDigest(64, 'a');

std::string honest() {
    return "id: cpu\nversion: 0.1.0\nkinds: [backend]\n"
           "abi: {revision: 1, fingerprint: db4edbe7c324a6ac}\nos: linux\narch: x86_64\n"
           "cpu_requires: [avx2, fma]\nfile: cpu.so\nsha256: " +
           kDigest +
           "\noptions:\n"
           "  - {key: threads, type: int, default: 0, doc: Threads to compute with.}\n"
           "  - {key: force_isa, type: string, doc: Instruction set to use.}\n";
}

std::string refusal(const std::string& text) {
    const auto manifest = parse_manifest(text, "plugin.yaml");
    EXPECT_FALSE(manifest.ok()) << text;
    if (manifest.ok()) return {};
    EXPECT_EQ(manifest.error().code, Code::kInvalid);
    return manifest.error().message;
}

std::string replaced(const std::string& from, const std::string& to) {
    std::string text = honest();
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

TEST(Manifest, ReadsEveryField) {
    const auto m = parse_manifest(honest(), "plugin.yaml");
    ASSERT_TRUE(m.ok()) << m.error().message;
    EXPECT_EQ(m->id, "cpu");
    EXPECT_EQ(m->version, "0.1.0");
    EXPECT_EQ(m->kinds, std::vector<std::string>{"backend"});
    EXPECT_EQ(m->abi_revision, 1u);
    EXPECT_EQ(m->abi_fingerprint, 0xdb4edbe7c324a6acull);
    EXPECT_EQ(m->cpu_requires, (std::vector<std::string>{"avx2", "fma"}));
    EXPECT_EQ(m->file, "cpu.so");
    EXPECT_EQ(to_hex(m->sha256), kDigest);
    ASSERT_EQ(m->options.size(), 2u);
    EXPECT_EQ(m->options[0].key, "threads");
    EXPECT_EQ(m->options[0].type, OptionSpec::Type::kInt);
    EXPECT_EQ(m->options[0].default_text, "0");
    EXPECT_EQ(m->options[1].default_text, "");
}

TEST(Manifest, ReadsDeviceNodes) {
    const auto m = parse_manifest(honest() + "device_nodes: [/dev/null, /dev/dri/render*]\n", "p");
    ASSERT_TRUE(m.ok()) << m.error().message;
    EXPECT_EQ(m->device_nodes, (std::vector<std::string>{"/dev/null", "/dev/dri/render*"}));
    for (const char* node : {"/etc/passwd", "dev/null", "/dev/../etc/passwd"}) {
        EXPECT_EQ(
            refusal(honest() + "device_nodes: [" + node + "]\n"),
            fmt::format("plugin.yaml:13: device node is '{}', wanted a path below /dev/.", node));
    }
}

TEST(Manifest, LooksForDeviceNodes) {
    EXPECT_TRUE(may_have_device({}));
    EXPECT_TRUE(may_have_device({"/dev/null"}));
    EXPECT_TRUE(may_have_device({"/dev/tenon-none", "/dev/nul*"}));
    EXPECT_FALSE(may_have_device({"/dev/tenon-none", "/dev/tenon-none*"}));
}

TEST(Manifest, ReadsAQuotedNull) {
    const auto m = parse_manifest(replaced("id: cpu", "id: \"null\""), "plugin.yaml");
    ASSERT_TRUE(m.ok());
    EXPECT_EQ(m->id, "null");
}

TEST(Manifest, RefusesUnknownKeyWithItsLine) {
    EXPECT_EQ(refusal(honest() + "author: me\n"),
              "plugin.yaml:13: unknown key 'author' in the manifest; known are id, version, kinds, "
              "abi, os, arch, cpu_requires, device_nodes, file, sha256, options, formats.");
    EXPECT_EQ(
        refusal(replaced("type: int", "typ: int")),
        "plugin.yaml:11: unknown key 'typ' in an option; known are key, type, min, max, default, "
        "doc.");
}

TEST(Manifest, RefusesKeyGivenTwice) {
    EXPECT_EQ(refusal(honest() + "id: other\n"), "plugin.yaml:13: key 'id' is given twice.");
}

TEST(Manifest, RefusesMissingKeys) {
    EXPECT_EQ(refusal(replaced("file: cpu.so\n", "")), "plugin.yaml:1: key 'file' is missing.");
    EXPECT_EQ(refusal(replaced("abi: {revision: 1, fingerprint: db4edbe7c324a6ac}\n", "")),
              "plugin.yaml: 'abi' is missing, wanted {revision: N, fingerprint: HEX}.");
}

TEST(Manifest, RefusesBadValues) {
    EXPECT_EQ(
        refusal(replaced("id: cpu", "id: Cpu")),
        "plugin.yaml:1: id is 'Cpu', wanted a lower-case letter, then letters, digits, '-' and "
        "'_'.");
    EXPECT_EQ(refusal(replaced("version: 0.1.0", "version: latest")),
              "plugin.yaml:2: version is 'latest', wanted one such as 1.2.0.");
    EXPECT_EQ(refusal(replaced("[backend]", "[toaster]")),
              "plugin.yaml:3: kind 'toaster' is not known; known are backend, sched and quant.");
    EXPECT_EQ(refusal(replaced("revision: 1", "revision: -1")),
              "plugin.yaml:4: abi revision is '-1', wanted a number.");
    EXPECT_EQ(refusal(replaced("db4edbe7c324a6ac", "xyz")),
              "plugin.yaml:4: abi fingerprint is 'xyz', wanted 16 hexadecimal digits.");
    EXPECT_EQ(refusal(replaced("file: cpu.so", "file: /lib/cpu.so")),
              "plugin.yaml:8: file is '/lib/cpu.so', wanted a name in the manifest's own folder.");
    EXPECT_EQ(refusal(replaced("sha256: a", "sha256: g")),
              "plugin.yaml:9: sha256 is no string of 64 hexadecimal digits.");
    EXPECT_EQ(refusal(replaced("type: int", "type: number")),
              "plugin.yaml:11: type is 'number', wanted bool, int, float or string.");
}

TEST(Manifest, ReadsTheRangeOfAnOption) {
    const auto m =
        parse_manifest(replaced("type: int,", "type: int, min: -1, max: 64,"), "plugin.yaml");
    ASSERT_TRUE(m.ok()) << m.error().message;
    EXPECT_EQ(m->options[0].min, -1);
    EXPECT_EQ(m->options[0].max, 64);
    EXPECT_EQ(refusal(replaced("type: int,", "type: int, min: 9, max: 8,")),
              "plugin.yaml:11: max is '8', wanted a whole number from 9 to 9223372036854775807.");
    EXPECT_EQ(refusal(replaced("type: int,", "type: int, min: few,")),
              "plugin.yaml:11: min is 'few', wanted a whole number from -9223372036854775808 to "
              "9223372036854775807.");
    EXPECT_EQ(refusal(replaced("type: string,", "type: string, max: 3,")),
              "plugin.yaml:12: 'max' is of whole numbers alone.");
}

TEST(Manifest, RefusesADefaultThatTheOptionDoesNotTake) {
    EXPECT_EQ(refusal(replaced("type: int, default: 0", "type: int, min: 1, default: 0")),
              "plugin.yaml:11: default: expected a whole number of at least 1, got '0'.");
    EXPECT_EQ(refusal(replaced("type: int, default: 0", "type: bool, default: 0")),
              "plugin.yaml:11: default: expected true or false, got '0'.");
}

TEST(Manifest, RefusesAliases) {
    EXPECT_EQ(refusal("a: &x [1]\nb: *x\n"),
              "plugin.yaml: The manifest uses a YAML anchor or alias, which a manifest may not.");
}

TEST(Manifest, RefusesDeepNesting) {
    const std::string sentence = "plugin.yaml: The manifest is nested deeper than 8 levels.";
    EXPECT_EQ(refusal("id: " + std::string(9, '[') + std::string(9, ']') + "\n"), sentence);
    EXPECT_EQ(refusal(std::string(60000, '[')), sentence);
    EXPECT_EQ(refusal(std::string(60000, '{')), sentence);
    std::string dashes;
    for (int i = 0; i < 20000; ++i)
        dashes += "- ";
    EXPECT_EQ(refusal(dashes), sentence);
    std::string keys, colons;
    for (int i = 0; i < 20000; ++i)
        keys += "k: ", colons += ": ";
    EXPECT_EQ(refusal(colons), sentence);
    EXPECT_EQ(refusal(keys).rfind("plugin.yaml:1: ", 0), 0u);
    std::string steps;
    for (int i = 0; i < 200; ++i)
        steps += std::string(static_cast<size_t>(i), ' ') + "a:\n";
    EXPECT_EQ(refusal(steps), sentence);
}

TEST(Manifest, RefusesTooManyValuesAndBytes) {
    std::string many = "id: [";
    for (int i = 0; i < 5000; ++i)
        many += "a,";
    EXPECT_EQ(refusal(many + "a]\n"), "plugin.yaml: The manifest has more than 4096 values.");
    EXPECT_EQ(refusal(std::string(65537, '#')),
              "plugin.yaml: The manifest has 65537 bytes, at most 65536 are read.");
}

TEST(Manifest, RefusesWhatIsNoMapping) {
    EXPECT_EQ(refusal(""), "plugin.yaml: The manifest holds 0 YAML documents, wanted one.");
    EXPECT_EQ(refusal("a: 1\n---\nb: 2\n"),
              "plugin.yaml: The manifest holds 2 YAML documents, wanted one.");
    EXPECT_EQ(refusal("just words\n"), "plugin.yaml:1: the manifest is no mapping.");
    EXPECT_EQ(refusal(std::string("id: a\0b\n", 8)), "plugin.yaml: The manifest holds a NUL byte.");
    EXPECT_EQ(refusal("id: 'open\n").rfind("plugin.yaml:", 0), 0u);
}

TEST(Manifest, SurvivesMutants) {
    const unsigned seed = std::random_device{}();
    std::mt19937 random(seed);
    const std::string base = honest();
    for (int round = 0; round < 2000; ++round) {
        std::string text = base;
        for (unsigned edit = 0; edit < 1 + random() % 8; ++edit) {
            const size_t at = random() % text.size();
            switch (random() % 3) {
                case 0: text[at] = static_cast<char>(random()); break;
                case 1: text.erase(at, 1 + random() % 20); break;
                default: text.insert(at, text.substr(random() % text.size(), random() % 20));
            }
            if (text.empty()) break;
        }
        const auto manifest = parse_manifest(text, "m");
        if (!manifest.ok()) {
            EXPECT_FALSE(manifest.error().message.empty()) << "seed " << seed << " round " << round;
        } else {
            EXPECT_EQ(manifest->file.find('/'), std::string::npos) << "seed " << seed;
        }
    }
}

}  // namespace
}  // namespace tenon::host
