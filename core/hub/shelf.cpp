#include "core/hub/shelf.h"

#include "core/hub/catalog.h"
#include "core/hub/file_lock.h"
#include "core/hub/output_file.h"
#include "core/hub/quantization.h"
#include "core/hub/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <system_error>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace tenon::hub {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartial = ".tenon.incomplete";

bool fill_status(ShelfModel& model, const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
    model.bytes += static_cast<uint64_t>(status.st_size);
    model.last_used =
        std::max<int64_t>(model.last_used, std::max(status.st_atim.tv_sec, status.st_mtim.tv_sec));
    model.files.push_back(path);
    return true;
}

// Downloads that were begun take what they hold, not what they will.
void fill_unfinished(ShelfModel& model, const std::string& path) {
    struct stat status {};
    model.state = ShelfModel::State::kUnfinished;
    model.files.push_back(path);
    if (lstat(path.c_str(), &status) == 0) {
        model.bytes += static_cast<uint64_t>(status.st_blocks) * 512;
        model.last_used = status.st_mtim.tv_sec;
    }
}

std::vector<std::string> files_in(const fs::path& folder) {
    std::vector<std::string> found;
    std::error_code fault;
    for (fs::directory_iterator at(folder, fault), end; !fault && at != end; at.increment(fault)) {
        std::error_code ignored;
        if (at->is_regular_file(ignored)) found.push_back(at->path().string());
    }
    std::sort(found.begin(), found.end());
    return found;
}

void add_file(std::vector<ShelfModel>& models, const std::string& path, ShelfModel::Kind kind,
              const std::string& name) {
    ShelfModel model;
    model.kind = kind;
    model.name = name;
    if (path.ends_with(kPartial) || path.ends_with(std::string(kPartial) + ".refused")) {
        fill_unfinished(model, path);
        model.quant = quantization_of(path.substr(0, path.find(kPartial)));
    } else if (!is_model_file(path) || !fill_status(model, path)) {
        return;
    } else {
        model.quant = quantization_of(path);
    }
    models.push_back(std::move(model));
}

// The process that has this file open or mapped; 0: none that this user may see.
int process_using(const std::string& path) {
    struct stat wanted {};
    if (stat(path.c_str(), &wanted) != 0) return 0;
    // Device and inode as /proc/PID/maps writes them.
    const std::string key = fmt::format(" {:02x}:{:02x} {} ", major(wanted.st_dev),
                                        minor(wanted.st_dev), wanted.st_ino);
    std::error_code fault;
    for (fs::directory_iterator at("/proc", fault), end; !fault && at != end; at.increment(fault)) {
        const std::string name = at->path().filename().string();
        int process = 0;
        const auto [last, error] = std::from_chars(name.data(), name.data() + name.size(), process);
        if (error != std::errc{} || last != name.data() + name.size() || process == getpid())
            continue;
        std::ifstream maps(at->path() / "maps");
        for (std::string line; std::getline(maps, line);) {
            if (line.find(key) != std::string::npos) return process;
        }
        std::error_code hidden;
        for (fs::directory_iterator fd(at->path() / "fd", hidden), none; !hidden && fd != none;
             fd.increment(hidden)) {
            struct stat open {};
            if (stat(fd->path().c_str(), &open) == 0 && open.st_ino == wanted.st_ino &&
                open.st_dev == wanted.st_dev) {
                return process;
            }
        }
    }
    return 0;
}

// Without the suffixes of a download that was begun.
std::string final_path(const std::string& path) {
    const size_t at = path.rfind(kPartial);
    return at == std::string::npos ? path : path.substr(0, at);
}

std::string lock_of(const ShelfModel& model, const std::string& path, const Places& places) {
    if (model.kind == ShelfModel::Kind::kHub) {
        const std::string blob = final_path(path);
        return HubCache(places.cache)
            .lock_path(model.cached.front().repo, fs::path(blob).filename().string());
    }
    const fs::path name = fs::path(final_path(path)).lexically_relative(places.models);
    return places.models + "/.locks/" + name.string() + ".lock";
}

}  // namespace

const char* name_of(ShelfModel::State state) noexcept {
    switch (state) {
        case ShelfModel::State::kFetched: return "fetched";
        case ShelfModel::State::kUnfinished: return "unfinished";
        case ShelfModel::State::kAbsent: return "absent";
    }
    return "";
}

Result<std::vector<ShelfModel>> list_models(const Places& places) {
    TENON_TRY(const std::vector<CatalogEntry> entries, read_catalog(places.catalogs));
    std::vector<ShelfModel> models;
    for (const std::string& path : files_in(places.models)) {
        const std::string file = fs::path(final_path(path)).filename().string();
        const auto entry = std::find_if(entries.begin(), entries.end(),
                                        [&](const CatalogEntry& e) { return e.file == file; });
        add_file(models, path, ShelfModel::Kind::kCatalog,
                 entry != entries.end() ? entry->name : file);
    }
    std::error_code fault;
    for (fs::directory_iterator at(places.models + "/urls", fault), end; !fault && at != end;
         at.increment(fault)) {
        for (const std::string& path : files_in(at->path())) {
            add_file(models, path, ShelfModel::Kind::kUrl,
                     fs::path(final_path(path)).filename().string());
        }
    }
    for (const CatalogEntry& entry : entries) {
        const bool is_listed = std::any_of(models.begin(), models.end(), [&](const ShelfModel& m) {
            return m.name == entry.name;
        });
        if (is_listed) continue;
        ShelfModel model;
        model.name = entry.name;
        model.quant = quantization_of(entry.file);
        if (const std::optional<std::string> path = find_entry(entry, places)) {
            fill_status(model, *path);
        } else {
            model.state = ShelfModel::State::kAbsent;
            model.bytes = entry.size;
        }
        models.push_back(std::move(model));
    }
    const HubCache cache(places.cache);
    std::set<std::string> seen;
    for (const CachedModel& cached : cached_models(cache.scan())) {
        ShelfModel model;
        model.kind = ShelfModel::Kind::kHub;
        model.quant = cached.model.quant;
        model.name =
            cached.repo.id() + ":" + (model.quant.empty() ? cached.model.stem : model.quant);
        for (const CachedFile& file : cached.files)
            fill_status(model, file.path);
        model.cached = cached.files;
        // An older commit's is the same name again: its files go with the first.
        const auto same = std::find_if(models.begin(), models.end(), [&](const ShelfModel& other) {
            return other.kind == ShelfModel::Kind::kHub && !other.cached.empty() &&
                   other.cached.front().repo == cached.repo &&
                   other.cached.front().name == cached.files.front().name;
        });
        if (same != models.end()) {
            same->cached.insert(same->cached.end(), cached.files.begin(), cached.files.end());
        } else {
            if (!seen.insert(model.name).second)
                model.name = cached.repo.id() + ":" + cached.model.stem;
            models.push_back(std::move(model));
        }
    }
    for (const UnfinishedBlob& blob : cache.unfinished()) {
        ShelfModel model;
        model.kind = ShelfModel::Kind::kHub;
        model.name = blob.repo.id();
        model.cached = {CachedFile{blob.repo, {}, {}, blob.path, blob.path, 0, 0}};
        fill_unfinished(model, blob.path);
        models.push_back(std::move(model));
    }
    std::stable_sort(models.begin(), models.end(), [](const ShelfModel& a, const ShelfModel& b) {
        return std::tie(a.state, a.name) < std::tie(b.state, b.name);
    });
    return models;
}

Result<Removal> plan_removal(const std::string& text, const Places& places) {
    TENON_TRY(const std::vector<ShelfModel> models, list_models(places));
    TENON_TRY(const std::vector<CatalogEntry> entries, read_catalog(places.catalogs));
    TENON_TRY(const Reference reference, parse_reference(text, places.endpoint));
    std::string name = text, url_path;
    for (const CatalogEntry& entry : entries) {
        if (entry.is_called(text)) name = entry.name;
    }
    if (reference.kind == Reference::Kind::kUrl) {
        TENON_TRY(url_path, path_of_url(reference.url, places));
    }
    Removal removal;
    std::string own;
    for (const ShelfModel& model : models) {
        if (model.state == ShelfModel::State::kAbsent) continue;
        bool is_meant = model.name == name;
        if (reference.kind == Reference::Kind::kRepo && model.kind == ShelfModel::Kind::kHub) {
            const CachedFile& first = model.cached.front();
            std::string quant = reference.quant;
            for (char& c : quant)
                c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
            is_meant = first.repo == reference.repo &&
                       (is_meant || (quant.empty() && reference.file.empty()) ||
                        (!quant.empty() && model.quant == quant) ||
                        (!reference.file.empty() && first.name == reference.file));
        } else if (reference.kind == Reference::Kind::kUrl &&
                   model.kind == ShelfModel::Kind::kUrl) {
            is_meant = final_path(model.files.front()) == url_path;
        }
        if (!is_meant) continue;
        // A name of the catalog for a file of the hub's cache: its model there is meant.
        const auto holder =
            std::find_if(models.begin(), models.end(), [&](const ShelfModel& other) {
                return model.kind == ShelfModel::Kind::kCatalog &&
                       other.kind == ShelfModel::Kind::kHub &&
                       other.files.front() == model.files.front();
            });
        if (holder != models.end()) {
            removal.models.push_back(*holder);
            removal.bytes += holder->bytes;
            continue;
        }
        // A file that the catalog only points at is the user's.
        const fs::path below = fs::path(model.files.front()).lexically_relative(places.models);
        const bool is_ours =
            model.kind == ShelfModel::Kind::kHub || (!below.empty() && *below.begin() != "..");
        if (!is_ours) {
            own = model.files.front();
            continue;
        }
        removal.models.push_back(model);
        removal.bytes += model.bytes;
    }
    if (!removal.models.empty()) return removal;
    if (!own.empty()) {
        return Error{Code::kInvalid,
                     fmt::format("{} is the file {}, which was not fetched by tenon; "
                                 "it is not removed",
                                 text, own)};
    }
    return Error{Code::kInvalid,
                 fmt::format("nothing called '{}' was fetched; 'tenon models' lists "
                             "what was",
                             text)};
}

Result<uint64_t> remove_models(const Removal& removal, const Places& places) {
    std::map<std::string, FileLock> locks;  // by path: a file and its unfinished twin share one
    for (const ShelfModel& model : removal.models) {
        std::vector<std::string> files = model.files;
        if (!model.cached.empty()) {
            files.clear();
            for (const CachedFile& file : model.cached)
                files.push_back(file.blob);
        }
        std::sort(files.begin(), files.end());
        files.erase(std::unique(files.begin(), files.end()), files.end());
        for (const std::string& file : files) {
            const std::string path = lock_of(model, file, places);
            if (locks.count(path) == 0) {
                TENON_TRY(std::optional<FileLock> lock, FileLock::try_lock(path));
                if (!lock) {
                    return Error{Code::kBusy,
                                 fmt::format("{} is being fetched by another process", model.name)};
                }
                locks.emplace(path, std::move(*lock));
            }
            if (const int process = process_using(file); process != 0) {
                return Error{Code::kBusy,
                             fmt::format("{} is in use by process {}", model.name, process)};
            }
        }
    }
    uint64_t freed = 0;
    for (const ShelfModel& model : removal.models) {
        if (model.kind == ShelfModel::Kind::kHub && model.state == ShelfModel::State::kFetched) {
            TENON_TRY(const uint64_t bytes,
                      HubCache(places.cache).remove(model.cached.front().repo, model.cached));
            freed += bytes;
            continue;
        }
        for (const std::string& path : model.files) {
            struct stat status {};
            const bool is_there = lstat(path.c_str(), &status) == 0;
            if (unlink(path.c_str()) != 0 && is_there) {
                return Error{Code::kInvalid,
                             fmt::format("cannot remove {}: {}", path, std::strerror(errno))};
            }
            if (is_there) freed += static_cast<uint64_t>(status.st_blocks) * 512;
            static_cast<void>(unlink((path + ".parts").c_str()));
            if (model.kind == ShelfModel::Kind::kUrl) {
                static_cast<void>(rmdir(fs::path(path).parent_path().c_str()));
            } else if (model.kind == ShelfModel::Kind::kHub) {
                static_cast<void>(HubCache(places.cache).remove(model.cached.front().repo, {}));
            }
        }
    }
    return freed;
}

}  // namespace tenon::hub
