#include "core/host/elf_note.h"

#include <elf.h>
#include <fmt/format.h>
#include <tenon/abi.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"

namespace tenon::host {
namespace {

// Bounds on what is walked; a plugin of ours has about ten headers and one export.
constexpr uint32_t kHeadersMax = 256;
constexpr uint32_t kDynamicMax = 1024;
constexpr uint32_t kSymbolsMax = 1u << 20;
constexpr uint32_t kNoteType = 1;

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
#error "Tenon runs on x86_64 and aarch64."
#endif

std::string machine_name(uint16_t machine) {
    if (machine == EM_X86_64) return "x86_64";
    if (machine == EM_AARCH64) return "aarch64";
    return fmt::format("ELF machine {}", machine);
}

class Elf {
public:
    Elf(std::span<const std::byte> bytes, const std::string& where)
        : bytes_(bytes), where_(where) {}

    Result<PluginElf> read() {
        TENON_CHECK(read_header());
        TENON_CHECK(read_segments());
        TENON_TRY(PluginElf plugin, read_note());
        TENON_CHECK(read_dynamic());
        TENON_CHECK(check_exports());
        return plugin;
    }

private:
    Error broken(const std::string& sentence) const {
        return Error{Code::kData, fmt::format("{}: {}.", where_, sentence)};
    }
    Error refuse(const std::string& sentence) const {
        return Error{Code::kInvalid, fmt::format("{}: {}.", where_, sentence)};
    }

    template <class T>
    std::optional<T> at(uint64_t offset) const {
        if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) return std::nullopt;
        T value;
        std::memcpy(&value, bytes_.data() + offset, sizeof(T));
        return value;
    }

    // File offset of `size` bytes at a virtual address that a PT_LOAD segment maps from the file.
    std::optional<uint64_t> offset_of(uint64_t address, uint64_t size) const {
        for (const Elf64_Phdr& s : segments_) {
            if (s.p_type != PT_LOAD || address < s.p_vaddr) continue;
            const uint64_t into = address - s.p_vaddr;
            if (into > s.p_filesz || s.p_filesz - into < size) continue;
            const CheckedSize end = CheckedSize(s.p_offset) + into + size;
            if (end.fits(bytes_.size())) return s.p_offset + into;
        }
        return std::nullopt;
    }

    template <class T>
    std::optional<T> at_address(uint64_t address) const {
        const auto offset = offset_of(address, sizeof(T));
        return offset ? at<T>(*offset) : std::nullopt;
    }

    Status read_header() {
        const auto header = at<Elf64_Ehdr>(0);
        if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
            return broken("The file is no ELF object");
        }
        header_ = *header;
        if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB) {
            return Error{Code::kUnsupported,
                         fmt::format("{}: The file is no 64-bit little-endian object.", where_)};
        }
        if (header_.e_machine != kMachine) {
            return Error{Code::kUnsupported,
                         fmt::format("{}: The plugin was built for {}, this machine is {}.", where_,
                                     machine_name(header_.e_machine), host_arch())};
        }
        if (header_.e_type != ET_DYN) return refuse("The file is no shared object");
        if (header_.e_phentsize != sizeof(Elf64_Phdr) || header_.e_phnum > kHeadersMax) {
            return broken(fmt::format("The ELF header announces {} program headers of {} bytes",
                                      header_.e_phnum, header_.e_phentsize));
        }
        return {};
    }

    Status read_segments() {
        for (uint32_t i = 0; i < header_.e_phnum; ++i) {
            const CheckedSize offset =
                CheckedSize(header_.e_phoff) + CheckedSize(i) * sizeof(Elf64_Phdr);
            const auto segment = offset.ok() ? at<Elf64_Phdr>(offset.value()) : std::nullopt;
            if (!segment) return broken(fmt::format("Program header {} lies outside the file", i));
            if (segment->p_type == PT_GNU_STACK && (segment->p_flags & PF_X) != 0) {
                return refuse("The plugin asks for an executable stack");
            }
            segments_.push_back(*segment);
        }
        return {};
    }

    Result<PluginElf> read_note() const {
        std::optional<PluginElf> found;
        for (const Elf64_Phdr& s : segments_) {
            if (s.p_type != PT_NOTE || s.p_filesz == 0) continue;
            const CheckedSize end = CheckedSize(s.p_offset) + s.p_filesz;
            if (!end.fits(bytes_.size())) return broken("A note segment lies outside the file");
            const uint64_t align = s.p_align == 8 ? 8 : 4;
            uint64_t offset = s.p_offset;
            while (end.value() - offset >= sizeof(Elf64_Nhdr)) {
                const Elf64_Nhdr note = *at<Elf64_Nhdr>(offset);
                const uint64_t name = offset + sizeof note;
                const uint64_t desc = align_up(CheckedSize(name) + note.n_namesz, align).value();
                const uint64_t next = align_up(CheckedSize(desc) + note.n_descsz, align).value();
                if (desc > end.value() || end.value() - desc < note.n_descsz) {
                    return broken("A note is longer than its segment");
                }
                if (note.n_namesz == 6 && note.n_type == kNoteType &&
                    std::memcmp(bytes_.data() + name, "tenon", 6) == 0) {
                    if (found) return refuse("The plugin has two tenon notes, wanted one");
                    TENON_TRY(found, read_payload(desc, note.n_descsz));
                }
                if (next > end.value()) break;
                offset = next;
            }
        }
        if (!found) return refuse("The plugin has no tenon note, so its ABI is unknown");
        return std::move(*found);
    }

    Result<std::optional<PluginElf>> read_payload(uint64_t offset, uint64_t size) const {
        constexpr uint64_t kFixed = 12;
        if (size < kFixed + 2 || size > kFixed + 65) {
            return broken(fmt::format("The tenon note holds {} bytes, wanted 14 to 77", size));
        }
        PluginElf plugin;
        plugin.abi_revision = *at<uint32_t>(offset);
        plugin.abi_fingerprint = *at<uint64_t>(offset + 4);
        const std::string_view id = as_text(bytes_.subspan(offset + kFixed, size - kFixed));
        if (id.find('\0') != id.size() - 1) return broken("The tenon note's id is no C string");
        plugin.id = id.substr(0, id.size() - 1);
        return std::optional<PluginElf>(std::move(plugin));
    }

    Status read_dynamic() {
        const auto dynamic =
            std::find_if(segments_.begin(), segments_.end(),
                         [](const Elf64_Phdr& s) { return s.p_type == PT_DYNAMIC; });
        if (dynamic == segments_.end()) return broken("The plugin has no dynamic section");
        for (uint32_t i = 0; i < kDynamicMax; ++i) {
            const CheckedSize offset =
                CheckedSize(dynamic->p_offset) + uint64_t{i} * sizeof(Elf64_Dyn);
            const auto entry = offset.ok() && uint64_t{i} * sizeof(Elf64_Dyn) < dynamic->p_filesz
                                   ? at<Elf64_Dyn>(offset.value())
                                   : std::nullopt;
            if (!entry) return broken("The dynamic section does not end");
            switch (entry->d_tag) {
                case DT_NULL: return {};
                case DT_SYMTAB: symbols_ = entry->d_un.d_ptr; break;
                case DT_STRTAB: strings_ = entry->d_un.d_ptr; break;
                case DT_STRSZ: strings_size_ = entry->d_un.d_val; break;
                case DT_GNU_HASH: gnu_hash_ = entry->d_un.d_ptr; break;
                case DT_HASH: hash_ = entry->d_un.d_ptr; break;
                case DT_RPATH:
                case DT_RUNPATH:
                    return refuse("The plugin carries a library search path (RPATH or RUNPATH)");
                case DT_TEXTREL: return refuse("The plugin has text relocations");
                case DT_FLAGS:
                    if ((entry->d_un.d_val & DF_TEXTREL) != 0) {
                        return refuse("The plugin has text relocations");
                    }
                    break;
                default: break;
            }
        }
        return broken(fmt::format("The dynamic section has more than {} entries", kDynamicMax));
    }

    // One past the last symbol that the loader can find by name, and the first one.
    Result<std::pair<uint32_t, uint32_t>> symbol_range() const {
        if (gnu_hash_ != 0) {
            const auto buckets = at_address<uint32_t>(gnu_hash_);
            const auto first = at_address<uint32_t>(gnu_hash_ + 4);
            const auto bloom = at_address<uint32_t>(gnu_hash_ + 8);
            if (!buckets || !first || !bloom || *buckets > kSymbolsMax || *bloom > kSymbolsMax) {
                return broken("The symbol hash table is broken");
            }
            const uint64_t bucket_at = gnu_hash_ + 16 + uint64_t{*bloom} * 8;
            const uint64_t chain_at = bucket_at + uint64_t{*buckets} * 4;
            uint32_t last = 0;
            for (uint32_t i = 0; i < *buckets; ++i) {
                const auto head = at_address<uint32_t>(bucket_at + uint64_t{i} * 4);
                if (!head) return broken("The symbol hash table is broken");
                last = std::max(last, *head);
            }
            if (last < *first) return std::pair(0u, 0u);
            for (; last < kSymbolsMax; ++last) {
                const auto link = at_address<uint32_t>(chain_at + uint64_t{last - *first} * 4);
                if (!link) return broken("The symbol hash table is broken");
                if ((*link & 1) != 0) return std::pair(*first, last + 1);
            }
            return broken("The symbol hash table does not end");
        }
        if (hash_ != 0) {
            const auto count = at_address<uint32_t>(hash_ + 4);
            if (!count || *count > kSymbolsMax) return broken("The symbol hash table is broken");
            return std::pair(1u, *count);
        }
        return broken("The plugin has no symbol hash table");
    }

    Result<std::string> symbol_name(uint32_t offset) const {
        if (offset >= strings_size_) return broken("A symbol's name lies outside its table");
        std::string name;
        for (uint64_t i = offset; i < strings_size_ && name.size() < 256; ++i) {
            const auto c = at_address<char>(strings_ + i);
            if (!c) return broken("A symbol's name lies outside the file");
            if (*c == '\0') return name;
            name += *c;
        }
        return broken("A symbol's name does not end");
    }

    Status check_exports() const {
        TENON_TRY(const auto range, symbol_range());
        bool found = false;
        for (uint32_t i = range.first; i < range.second; ++i) {
            const auto symbol = at_address<Elf64_Sym>(symbols_ + uint64_t{i} * sizeof(Elf64_Sym));
            if (!symbol) return broken(fmt::format("Symbol {} lies outside the file", i));
            if (symbol->st_shndx == SHN_UNDEF || ELF64_ST_BIND(symbol->st_info) == STB_LOCAL) {
                continue;
            }
            TENON_TRY(const std::string name, symbol_name(symbol->st_name));
            if (name != TENON_PLUGIN_OPEN_SYMBOL) {
                return refuse(fmt::format("The plugin exports '{}'; its only export may be {}",
                                          printable(name), TENON_PLUGIN_OPEN_SYMBOL));
            }
            if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC) {
                return refuse(fmt::format("{} is no function", TENON_PLUGIN_OPEN_SYMBOL));
            }
            if (found) return refuse(fmt::format("{} is exported twice", TENON_PLUGIN_OPEN_SYMBOL));
            found = true;
        }
        if (!found) {
            return refuse(fmt::format("The plugin does not export {}", TENON_PLUGIN_OPEN_SYMBOL));
        }
        return {};
    }

    std::span<const std::byte> bytes_;
    const std::string& where_;
    Elf64_Ehdr header_{};
    std::vector<Elf64_Phdr> segments_;
    uint64_t symbols_ = 0;
    uint64_t strings_ = 0;
    uint64_t strings_size_ = 0;
    uint64_t gnu_hash_ = 0;
    uint64_t hash_ = 0;
};

}  // namespace

const char* host_arch() noexcept { return kMachine == EM_X86_64 ? "x86_64" : "aarch64"; }

Result<PluginElf> parse_plugin_elf(std::span<const std::byte> bytes, const std::string& where) {
    return Elf(bytes, where).read();
}

}  // namespace tenon::host
