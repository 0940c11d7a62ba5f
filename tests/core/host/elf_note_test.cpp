#include "core/host/elf_note.h"

#include <elf.h>

#include <random>

#include "tests/core/host/plugin_folder.h"

namespace tenon::host {
namespace {

Result<PluginElf> parse(const std::string& bytes) {
    return parse_plugin_elf(std::as_bytes(std::span(bytes.data(), bytes.size())), "x.so");
}

TEST(ElfNote, ReadsWhatThePluginSays) {
    const auto elf = parse(read_text(built_plugin("good")));
    ASSERT_TRUE(elf.ok()) << elf.error().message;
    EXPECT_EQ(elf->abi_revision, TENON_ABI_REVISION);
    EXPECT_EQ(elf->abi_fingerprint, TENON_ABI_FINGERPRINT);
    EXPECT_EQ(elf->id, "good");
}

TEST(ElfNote, RefusesAProgramAndALibrary) {
    const auto program = parse(read_text("/proc/self/exe"));
    ASSERT_FALSE(program.ok());
    EXPECT_EQ(program.error().message,
              "x.so: The plugin has no tenon note, so its ABI is unknown.");
}

TEST(ElfNote, RefusesExecutableStack) {
    std::string bytes = read_text(built_plugin("good"));
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (size_t i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment;
        char* at = bytes.data() + header.e_phoff + i * sizeof segment;
        std::memcpy(&segment, at, sizeof segment);
        if (segment.p_type == PT_GNU_STACK) segment.p_flags |= PF_X;
        std::memcpy(at, &segment, sizeof segment);
    }
    EXPECT_EQ(parse(bytes).error().message, "x.so: The plugin asks for an executable stack.");
}

TEST(ElfNote, EveryCutIsRefused) {
    const std::string bytes = read_text(built_plugin("good"));
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    const size_t headers = header.e_phoff + header.e_phnum * sizeof(Elf64_Phdr);
    for (size_t length = 0; length < headers; ++length) {
        EXPECT_FALSE(parse(bytes.substr(0, length)).ok()) << length;
    }
}

// Headers and dynamic data under random bytes: refused or read, never outside of the file (which the
// sanitizer build watches).
TEST(ElfNote, SurvivesMutants) {
    const unsigned seed = std::random_device{}();
    std::mt19937 random(seed);
    const std::string base = read_text(built_plugin("good"));
    constexpr uint64_t kEdges[] = {0, 1, 0x7fffffff, 0xffffffff, UINT64_MAX, UINT64_MAX - 7};
    size_t refused = 0;
    for (int round = 0; round < 3000; ++round) {
        std::string bytes = base;
        for (unsigned edit = 0; edit < 1 + random() % 6; ++edit) {
            const size_t reach = random() % 2 == 0 ? 1024 : bytes.size() - 8;
            const size_t at = random() % reach;
            if (random() % 2 == 0) {
                bytes[at] = static_cast<char>(random());
            } else {
                std::memcpy(bytes.data() + at, &kEdges[random() % 6], 8);
            }
        }
        refused += parse(bytes).ok() ? 0 : 1;
    }
    EXPECT_GT(refused, 300u) << "seed " << seed;
}

}  // namespace
}  // namespace tenon::host
