#include "core/host/declared_format.h"

#include <gtest/gtest.h>
#include <tenon/reference/dequant.h>

#include <fmt/format.h>

#include <random>

#include "tests/core/host/plugin_folder.h"

namespace tenon::host {
namespace {

const std::string kHead = "id: toy\nversion: 1.0.0\nkinds: [quant]\nformats:\n";

// Line 5 of a manifest and on: three bits, groups of 96, a codebook.
std::string codebook_format(const std::string& name = "q3_toy", const std::string& id = "toy.q3/0",
                            uint32_t number = 1003) {
    return fmt::format(
        "  - id: {}\n    name: {}\n    gguf_type: {}\n    class: lut_group\n"
        "    bits: 3\n    group: 96\n    block_elems: 96\n    block_bytes: 38\n"
        "    packing: lsb_first\n    codes_offset: 2\n"
        "    scale: {{type: f16, offset: 0}}\n"
        "    lut: [-1.5, -0.75, -0.3, -0.1, 0.1, 0.3, 0.75, 1.5e0]\n",
        id, name, number);
}

// The layout of q4_k under another name.
const std::string kFieldsFormat = R"(  - id: toy.k4/1
    name: k4_toy
    gguf_type: 1012
    class: affine_group
    bits: 4
    group: 32
    block_elems: 256
    block_bytes: 144
    packing: fields
    fields: [{count: 256, offset: 16, lanes: 32, bits: 4}]
    zero_point: 0
    scale:
      type: f16
      offset: 0
      fields:
        - {count: 4, offset: 4, lanes: 4, bits: 6}
        - {first: 4, count: 4, offset: 12, lanes: 4, bits: 4}
        - {first: 4, count: 4, offset: 4, lanes: 4, bits: 2, shift: 6, place: 4}
    min:
      type: f16
      offset: 2
      subtracted: true
      fields:
        - {count: 4, offset: 8, lanes: 4, bits: 6}
        - {first: 4, count: 4, offset: 12, lanes: 4, bits: 4, shift: 4}
        - {first: 4, count: 4, offset: 8, lanes: 4, bits: 2, shift: 6, place: 4}
)";

std::string refusal(const std::string& text) {
    const auto manifest = parse_manifest(text, "m");
    EXPECT_FALSE(manifest.ok()) << text;
    return manifest.ok() ? std::string() : manifest.error().message;
}

// The refusal of the codebook format with one text in place of another.
std::string bent(const std::string& from, const std::string& to) {
    std::string text = kHead + codebook_format();
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return refusal(text.replace(at, from.size(), to));
}

TEST(DeclaredFormat, ReadsACodebook) {
    const auto manifest = parse_manifest(kHead + codebook_format(), "m");
    ASSERT_TRUE(manifest.ok()) << manifest.error().message;
    EXPECT_TRUE(manifest->is_data());
    ASSERT_EQ(manifest->formats.size(), 1u);
    const DeclaredFormat copy = manifest->formats[0];
    EXPECT_EQ(copy.where, "m:5");
    EXPECT_EQ(copy.gguf_type, 1003u);
    const tenon_format f = copy.format();
    EXPECT_EQ(std::string(f.id.p, f.id.n), "toy.q3/0");
    EXPECT_EQ(f.size, sizeof f);
    EXPECT_EQ(f.cls, static_cast<uint32_t>(TENON_FORMAT_LUT_GROUP));
    EXPECT_EQ(f.lut_n, 8u);
    EXPECT_EQ(f.lut, copy.lut.data());
    // Block: scale 2, codes 0, 1, 2 ... in three bits each.
    uint8_t block[38] = {0x00, 0x40};
    for (uint32_t i = 0; i < 96; ++i)
        for (uint32_t bit = 0; bit < 3; ++bit)
            block[2 + (i * 3 + bit) / 8] |=
                static_cast<uint8_t>(((i % 8) >> bit & 1) << ((i * 3 + bit) % 8));
    float out[96];
    ASSERT_TRUE(reference::dequant_row(f, block, 96, out));
    EXPECT_EQ(out[0], -3.0f);
    EXPECT_EQ(out[2], 2 * -0.3f);
    EXPECT_EQ(out[95], 3.0f);
}

TEST(DeclaredFormat, ReadsFieldsOfCodesScalesAndMins) {
    const auto manifest = parse_manifest(kHead + codebook_format() + kFieldsFormat, "m");
    ASSERT_TRUE(manifest.ok()) << manifest.error().message;
    ASSERT_EQ(manifest->formats.size(), 2u);
    const tenon_format f = manifest->formats[1].format();
    EXPECT_EQ(f.packing, static_cast<uint32_t>(TENON_PACK_FIELDS));
    EXPECT_EQ(f.n_code_fields, 1u);
    EXPECT_EQ(f.n_scale_fields, 3u);
    EXPECT_EQ(f.n_min_fields, 3u);
    EXPECT_EQ(f.flags, static_cast<uint32_t>(TENON_FORMAT_MIN_SUBTRACTED));
    EXPECT_EQ(f.scale_fields[2].place, 4u);
    EXPECT_EQ(f.scale_fields[0].radix, 2u);
    EXPECT_EQ(f.code_fields[0].lanes, 32u);
}

TEST(DeclaredFormat, RefusalsHaveALine) {
    EXPECT_EQ(bent("gguf_type: 1003", "gguf_typ: 1003").substr(0, 41),
              "m:7: unknown key 'gguf_typ' in a format; ");
    EXPECT_EQ(bent("    gguf_type: 1003\n", ""), "m:5: key 'gguf_type' is missing.");
    EXPECT_EQ(bent("gguf_type: 1003", "gguf_type: 0x3eb"),
              "m:7: gguf_type is '0x3eb', wanted a whole number from 0 to 4294967294.");
    EXPECT_EQ(bent("class: lut_group", "class: opaque"),
              "m:8: class is 'opaque', wanted one of affine_group, lut_group.");
    EXPECT_EQ(
        bent("packing: lsb_first", "packing: msb_first"),
        "m:13: packing is 'msb_first', wanted one of bytes, nibble_halves, lsb_first, fields.");
    EXPECT_EQ(bent("bits: 3", "bits: 9"), "m:9: bits is '9', wanted a whole number from 1 to 8.");
    EXPECT_EQ(bent("bits: 3", "bits: 4"), "m:16: 'lut' has 8 entries, wanted 16 numbers.");
    EXPECT_EQ(bent("-0.3", ".inf"), "m:16: an entry of 'lut' is '.inf', wanted a finite number.");
    EXPECT_EQ(bent("-0.3", "1e99"), "m:16: an entry of 'lut' is '1e99', wanted a finite number.");
    EXPECT_EQ(bent("type: f16", "type: f64"),
              "m:15: type is 'f64', wanted one of f32, f16, bf16, e8m0.");
    EXPECT_EQ(bent("id: toy.q3/0", "id: toy.q3"),
              "m:5: id is 'toy.q3', wanted one such as toy.q3/0.");
    EXPECT_EQ(bent("name: q3_toy", "name: Q3"),
              "m:6: name is 'Q3', wanted a lower-case letter, then letters, digits and '_'.");
    EXPECT_EQ(bent("    lut:", "    zero_point: 4\n    lut:"),
              "m:16: class lut_group has no 'zero_point'.");
    EXPECT_EQ(bent("    lut:", "    min: {type: f16, offset: 0}\n    lut:"),
              "m:16: a lut_group has no 'min'; its codebook can hold any level.");
    EXPECT_EQ(bent("codes_offset: 2", "fields: []"), "m:14: packing lsb_first has no 'fields'.");
    EXPECT_EQ(bent("offset: 0}", "offset: 0, zero: 3}"),
              "m:15: 'signed' and 'zero' are of scales that have 'fields'.");
    // What only the description as a whole can show.
    EXPECT_EQ(bent("block_bytes: 38", "block_bytes: 37"),
              "m:5: format 'q3_toy': the codes leave the block.");
    EXPECT_EQ(bent("group: 96", "group: 64"),
              "m:5: format 'q3_toy': group does not divide block_elems.");
    EXPECT_EQ(bent("codes_offset: 2", "codes_offset: 1048576"),
              "m:5: format 'q3_toy': the codes leave the block.");
}

TEST(DeclaredFormat, RefusesWhatContradictsTheRest) {
    EXPECT_EQ(refusal("id: toy\nversion: 1.0.0\nkinds: [quant]\n"),
              "m: 'formats' is no list of 1 to 64 formats.");
    EXPECT_EQ(refusal(kHead + "  - 3\n"), "m:5: an entry of 'formats' is no mapping.");
    EXPECT_EQ(refusal(kHead + codebook_format() + "file: toy.so\n"),
              "m:17: 'file' is of plugins with a library; quant is data alone.");
    EXPECT_EQ(refusal("id: toy\nversion: 1.0.0\nkinds: [quant, backend]\n"),
              "m:3: quant is data and stands alone; give the library a folder of its own.");
    EXPECT_EQ(refusal("id: toy\nversion: 1.0.0\nkinds: [backend]\nformats: []\n"),
              "m:4: 'formats' is of plugins with kinds: [quant].");
    EXPECT_EQ(refusal(kHead + codebook_format() + codebook_format("other", "toy.other/0")),
              "m:17: format 'other' has the name, id or gguf_type of 'q3_toy' (m:5).");
    std::string many = kHead;
    for (int i = 0; i < 65; ++i)
        many += "  - {}\n";
    EXPECT_EQ(refusal(many), "m:5: 'formats' is no list of 1 to 64 formats.");
    std::string fields = kHead + kFieldsFormat;
    std::string list = "fields: [";
    for (int i = 0; i < 17; ++i)
        list += "{count: 256, offset: 16, lanes: 32, bits: 4},";
    const std::string one = "fields: [{count: 256, offset: 16, lanes: 32, bits: 4}";
    fields.replace(fields.find(one), one.size(), list.substr(0, list.size() - 1));
    EXPECT_EQ(refusal(fields), "m:14: 'fields' is no list of 1 to 16 mappings.");
}

TEST(DeclaredFormat, SurvivesMutants) {
    const unsigned seed = std::random_device{}();
    std::mt19937 random(seed);
    const std::string base = kHead + codebook_format() + kFieldsFormat;
    for (int round = 0; round < 2000; ++round) {
        std::string text = base;
        for (unsigned edit = 0; edit < 1 + random() % 4; ++edit) {
            const size_t at = random() % text.size();
            switch (random() % 3) {
                case 0: text[at] = "0123456789-.{}[]:, \n"[random() % 20]; break;
                case 1: text.erase(at, 1 + random() % 6); break;
                default: text.insert(at, text.substr(random() % text.size(), random() % 20));
            }
        }
        const auto manifest = parse_manifest(text, "m");
        if (!manifest.ok()) {
            EXPECT_EQ(manifest.error().message.rfind("m:", 0), 0u) << "seed " << seed;
            continue;
        }
        for (const DeclaredFormat& format : manifest->formats)
            EXPECT_EQ(reference::format_problem(format.format()), nullptr) << "seed " << seed;
    }
}

class QuantFolder : public PluginFolderTest {
protected:
    void install_data(const std::string& id, const std::string& formats, std::string folder = {}) {
        if (folder.empty()) folder = plugins_;
        make_folder(folder + "/" + id);
        const std::string path = folder + "/" + id + "/plugin.yaml";
        write_text(path, "id: " + id + "\nversion: 1.0.0\nkinds: [quant]\nformats:\n" + formats);
        set_mode(path, 0644);
    }
    Registry scan_formats() const {
        return Registry::scan_formats({{plugins_, SearchPlace::Origin::kConfigured, {}}}, {});
    }
};

TEST_F(QuantFolder, IsFoundAndHasNoCode) {
    install_data("toy", codebook_format());
    for (const Registry& registry : {scan(), scan_formats()}) {
        const Candidate* found = registry.find("toy");
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(found->reason, "It is data: q3_toy (number 1003).");
        EXPECT_TRUE(found->has_kind("quant"));
        ASSERT_EQ(found->formats.size(), 1u);
        EXPECT_EQ(found->sha256, digest_of(read_text(plugins_ + "/toy/plugin.yaml")));
    }
    const auto loaded = scan().load("toy");
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().message, "Plugin toy is no backend; its manifest says: quant.");
}

TEST_F(QuantFolder, TheAllowlistNamesItByItsManifest) {
    install_data("toy", codebook_format());
    Trust trust;
    trust.mode = Trust::Mode::kAllowlist;
    EXPECT_EQ(refusal("toy", trust), "Plugin toy is not on the allowlist.");
    trust.allowed.push_back({"toy", "1.0.0", digest_of(read_text(plugins_ + "/toy/plugin.yaml"))});
    EXPECT_NE(scan(trust).find("toy"), nullptr);
    write_text(plugins_ + "/toy/plugin.yaml",
               read_text(plugins_ + "/toy/plugin.yaml") + "# more\n");
    EXPECT_NE(refusal("toy", trust).find("the allowlist names"), std::string::npos);
}

TEST_F(QuantFolder, TheOwnerRuleHoldsForIt) {
    install_data("toy", codebook_format());
    set_mode(plugins_ + "/toy/plugin.yaml", 0666);
    EXPECT_NE(refusal("toy").find("can be written by everyone"), std::string::npos);
}

TEST_F(QuantFolder, ConflictsNameBothAndUseNeither) {
    install_data("toy", codebook_format());
    install_data("toy2", codebook_format("q3_other", "toy.other/0"));
    install_data("toy3", codebook_format("q3_third", "toy.third/0", 1005));
    const std::string first =
        plugins_ + "/toy/plugin.yaml:5: format 'q3_toy' (toy.q3/0, number 1003)";
    const std::string second =
        plugins_ + "/toy2/plugin.yaml:5: format 'q3_other' (toy.other/0, number 1003)";
    const std::string rest = " share a name, an id or a number, so neither plugin is used.";
    EXPECT_EQ(refusal("toy"), first + " and " + second + rest);
    EXPECT_EQ(refusal("toy2"), second + " and " + first + rest);
    EXPECT_NE(scan().find("toy3"), nullptr);
    EXPECT_NE(scan_formats().find("toy3"), nullptr);
    EXPECT_EQ(scan_formats().find("toy"), nullptr);
}

TEST_F(QuantFolder, AnIdTakenByALibraryIsNotUsed) {
    make_folder(root_ + "/other");
    install_data("good", codebook_format());
    install("good", {}, root_ + "/other");
    const std::vector<SearchPlace> places = {
        {plugins_, SearchPlace::Origin::kConfigured, {}},
        {root_ + "/other", SearchPlace::Origin::kConfigured, {}}};
    for (const Registry& registry :
         {Registry::scan(places, {}), Registry::scan_formats(places, {})}) {
        EXPECT_EQ(registry.find("good"), nullptr);
        ASSERT_FALSE(registry.candidates().empty());
        EXPECT_NE(registry.candidates()[0].reason.find("an id may be found once"),
                  std::string::npos);
    }
}

}  // namespace
}  // namespace tenon::host
