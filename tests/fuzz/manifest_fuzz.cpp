// Bytes -> plugin manifest, or plugin ELF file when they start like one: what the host reads before it
// trusts a plugin. Oracle beside "no crash": a refusal has a sentence that starts with the place, and
// what is accepted stays in its folder and describes formats that the reference decodes.
#include <cstdlib>
#include <span>
#include <string_view>

#include <tenon/reference/dequant.h>

#include "core/host/elf_note.h"
#include "core/host/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (text.substr(0, 4) ==
        "\x7f"
        "ELF") {
        const auto elf = tenon::host::parse_plugin_elf(std::as_bytes(std::span(data, size)), "f");
        if (!elf.ok() && elf.error().message.rfind("f: ", 0) != 0) std::abort();
        return 0;
    }
    const auto manifest = tenon::host::parse_manifest(text, "f");
    if (!manifest.ok()) {
        if (manifest.error().message.rfind("f:", 0) != 0) std::abort();
        return 0;
    }
    for (const tenon::host::DeclaredFormat& format : manifest->formats) {
        if (tenon::reference::format_problem(format.format()) != nullptr) std::abort();
    }
    if (manifest->file.find('/') != std::string::npos || manifest->id.empty()) std::abort();
    return 0;
}
