#include "core/host/registry.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "core/base/bytes.h"

namespace tenon::host {
namespace {

// Names inside a folder, sorted, without those that start with a dot.
std::vector<std::string> names_in(const TrustedPath& folder) {
    std::vector<std::string> names;
    const int copy = openat(folder.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return names;
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(copy), closedir);
    if (stream == nullptr) {
        close(copy);
        return names;
    }
    while (const dirent* entry = readdir(stream.get())) {
        if (entry->d_name[0] == '.') continue;
        names.emplace_back(entry->d_name);
        if (names.size() == kFoldersMax) break;
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string describe_formats(const std::vector<DeclaredFormat>& formats) {
    std::vector<std::string> names;
    for (const DeclaredFormat& format : formats) {
        names.push_back(fmt::format("{} (number {})", format.name, format.gguf_type));
    }
    return fmt::format("It is data: {}.", fmt::join(names, ", "));
}

}  // namespace

Registry Registry::scan(const std::vector<SearchPlace>& places, const Trust& trust) {
    Registry registry;
    registry.trust_ = trust;
    for (const SearchPlace& place : places)
        registry.look_into(place, false);
    registry.refuse_duplicates();
    registry.refuse_format_conflicts();
    return registry;
}

Registry Registry::scan_formats(const std::vector<SearchPlace>& places, const Trust& trust) {
    Registry registry;
    registry.trust_ = trust;
    for (const SearchPlace& place : places)
        registry.look_into(place, true);
    registry.refuse_duplicates();
    registry.refuse_format_conflicts();
    const auto is_code = [](const Candidate& candidate) { return candidate.formats.empty(); };
    std::vector<Candidate>& all = registry.candidates_;
    all.erase(std::remove_if(all.begin(), all.end(), is_code), all.end());
    return registry;
}

void Registry::look_into(const SearchPlace& place, bool only_data) {
    PlaceReport report{place, place.left_out, false};
    const auto done = [&](std::string note) {
        report.note = std::move(note);
        places_.push_back(std::move(report));
    };
    if (!place.left_out.empty()) return done(place.left_out);
    struct stat s;
    if (lstat(place.path.c_str(), &s) != 0 && errno == ENOENT) return done("It does not exist.");
    auto folder = open_trusted_folder(place.path, trust_.caller);
    if (!folder.ok()) return done(folder.error().message);
    if (fstat(folder->fd.get(), &s) != 0) return done("It cannot be examined.");
    const std::pair<uint64_t, uint64_t> identity(s.st_dev, s.st_ino);
    if (std::find(seen_.begin(), seen_.end(), identity) != seen_.end()) {
        return done("It is a place that was searched before.");
    }
    seen_.push_back(identity);
    report.searched = true;
    size_t found = 0;
    for (const std::string& name : names_in(*folder)) {
        if (fstatat(folder->fd.get(), name.c_str(), &s, AT_SYMLINK_NOFOLLOW) != 0 ||
            S_ISREG(s.st_mode)) {
            continue;
        }
        Candidate candidate;
        candidate.id = printable(name, 64);
        candidate.path = place.path + "/" + candidate.id;
        candidate.origin = place.origin;
        ++found;
        const auto verified = [&]() -> Result<VerifiedPlugin> {
            TENON_TRY(const TrustedPath inner,
                      open_trusted_folder_in(*folder, name, trust_.caller));
            return only_data ? verify_manifest(inner, name, trust_)
                             : verify_plugin(inner, name, trust_);
        }();
        if (verified.ok()) {
            const Manifest& manifest = verified.value().manifest;
            candidate.usable = true;
            candidate.version = manifest.version;
            candidate.sha256 = to_hex(manifest.sha256);
            candidate.kinds = manifest.kinds;
            candidate.device_nodes = manifest.device_nodes;
            candidate.options = manifest.options;
            candidate.formats = manifest.formats;
            candidate.reason = manifest.is_data() ? describe_formats(manifest.formats)
                               : verified.value().file.admin_owned
                                   ? "It would be loaded by its path, which only root can change."
                                   : "It would be loaded from a sealed copy in memory.";
        } else {
            candidate.reason = verified.error().message;
        }
        candidates_.push_back(std::move(candidate));
    }
    done(
        fmt::format("It was searched and holds {} plugin folder{}.", found, found == 1 ? "" : "s"));
}

void Registry::refuse_duplicates() {
    std::vector<std::pair<size_t, std::string>> refused;
    for (size_t i = 0; i < candidates_.size(); ++i) {
        for (size_t k = 0; k < candidates_.size(); ++k) {
            if (i == k || !candidates_[i].usable || !candidates_[k].usable) continue;
            if (candidates_[i].id != candidates_[k].id) continue;
            refused.emplace_back(i, candidates_[k].path);
            break;
        }
    }
    for (const auto& [index, other] : refused) {
        candidates_[index].usable = false;
        candidates_[index].reason =
            fmt::format("Plugin {} is also in {}; an id may be found once, so neither is used.",
                        candidates_[index].id, other);
    }
}

void Registry::refuse_format_conflicts() {
    std::vector<std::pair<size_t, std::string>> refused;
    for (size_t i = 0; i < candidates_.size(); ++i) {
        for (size_t k = 0; k < candidates_.size(); ++k) {
            if (i == k || !candidates_[i].usable || !candidates_[k].usable) continue;
            for (const DeclaredFormat& mine : candidates_[i].formats) {
                for (const DeclaredFormat& other : candidates_[k].formats) {
                    if (mine.name != other.name && mine.id != other.id &&
                        mine.gguf_type != other.gguf_type) {
                        continue;
                    }
                    refused.emplace_back(
                        i, fmt::format("{}: format '{}' ({}, number {}) and {}: format '{}' ({}, "
                                       "number {}) share a name, an id or a number, so neither "
                                       "plugin is used.",
                                       mine.where, mine.name, mine.id, mine.gguf_type, other.where,
                                       other.name, other.id, other.gguf_type));
                }
            }
        }
    }
    for (auto& [index, reason] : refused)
        refuse(index, std::move(reason));
}

void Registry::refuse(size_t candidate, std::string reason) {
    if (!candidates_[candidate].usable) return;
    candidates_[candidate].usable = false;
    candidates_[candidate].reason = std::move(reason);
}

const Candidate* Registry::find(const std::string& id) const noexcept {
    for (const Candidate& candidate : candidates_) {
        if (candidate.usable && candidate.id == id) return &candidate;
    }
    return nullptr;
}

Result<VerifiedPlugin> Registry::verify(const std::string& id, const std::string& kind) const {
    const Candidate* candidate = find(id);
    if (candidate == nullptr) {
        std::vector<std::string> reasons;
        for (const Candidate& other : candidates_) {
            if (other.id == id) reasons.push_back(other.reason);
        }
        std::vector<std::string> usable;
        for (const Candidate& other : candidates_) {
            if (other.usable && other.has_kind(kind)) usable.push_back(other.id);
        }
        const char* noun = kind == "sched" ? "Scheduler" : "Backend";
        if (!reasons.empty()) {
            return Error{Code::kInvalid, fmt::format("{} {} cannot be used: {}", noun, id,
                                                     fmt::join(reasons, " "))};
        }
        return Error{
            Code::kInvalid,
            fmt::format("There is no {} '{}'; found: {}. `tenon plugins list --why` "
                        "shows every place that was searched.",
                        kind == "sched" ? "scheduler" : "backend", printable(id),
                        usable.empty() ? "none" : fmt::format("{}", fmt::join(usable, ", ")))};
    }
    TENON_TRY(const TrustedPath folder, open_trusted_folder(candidate->path, trust_.caller));
    TENON_TRY(VerifiedPlugin plugin, verify_plugin(folder, id, trust_));
    if (to_hex(plugin.manifest.sha256) != candidate->sha256) {
        return Error{
            Code::kInvalid,
            fmt::format("{} changed after it was found: its sha256 was {}, now it is {}.",
                        plugin.file.path, candidate->sha256, to_hex(plugin.manifest.sha256))};
    }
    return plugin;
}

Result<Backend> Registry::load(const std::string& id) const {
    TENON_TRY(const VerifiedPlugin plugin, verify(id, "backend"));
    return load_backend(plugin);
}

Result<SchedPlugin> Registry::load_sched(const std::string& id) const {
    TENON_TRY(const VerifiedPlugin plugin, verify(id, "sched"));
    return host::load_sched(plugin);
}

}  // namespace tenon::host
