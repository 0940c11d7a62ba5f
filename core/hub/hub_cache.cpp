#include "core/hub/hub_cache.h"

#include "core/hub/output_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

namespace tenon::hub {

namespace {

namespace fs = std::filesystem;

constexpr int kDepthMax = 8;  // folders below a snapshot
constexpr size_t kFilesMax = 100'000;
constexpr std::string_view kPartial = ".tenon.incomplete";

Error failed(std::string_view what, const fs::path& path, const std::error_code& fault) {
    return {fault == std::errc::no_space_on_device ? Code::kOomHost : Code::kInvalid,
            fmt::format("cannot {} {}: {}", what, path.string(), fault.message())};
}

// Visits what lies in a snapshot, links not followed: visit(path below the snapshot).
template <class Visit>
void walk(const fs::path& snapshot, const Visit& visit) {
    std::error_code fault;
    size_t count = 0;
    fs::recursive_directory_iterator at(snapshot, fs::directory_options::skip_permission_denied,
                                        fault);
    for (const fs::recursive_directory_iterator end; !fault && at != end; at.increment(fault)) {
        if (++count > kFilesMax) return;
        if (at.depth() >= kDepthMax) at.disable_recursion_pending();
        if (!at->is_directory(fault) || at->is_symlink(fault)) {
            visit(at->path().lexically_relative(snapshot).generic_string());
        }
        fault.clear();
    }
}

std::vector<fs::path> folders_in(const fs::path& parent) {
    std::vector<fs::path> found;
    std::error_code fault;
    for (fs::directory_iterator at(parent, fault), end; !fault && at != end; at.increment(fault)) {
        std::error_code ignored;
        if (at->is_directory(ignored)) found.push_back(at->path());
    }
    std::sort(found.begin(), found.end());
    return found;
}

// What refs say: commits in use.
std::set<std::string> commits_of_refs(const fs::path& refs) {
    std::set<std::string> commits;
    walk(refs,
         [&](const std::string& name) { commits.insert(read_whole((refs / name).string(), 256)); });
    return commits;
}

uint64_t disk_bytes(const std::string& path) {
    struct stat status {};
    return lstat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
}

}  // namespace

std::string HubCache::blob_path(const RepoName& repo, const std::string& etag) const {
    return folder(repo) + "/blobs/" + etag;
}

std::string HubCache::partial_path(const RepoName& repo, const std::string& etag) const {
    return blob_path(repo, etag) + std::string(kPartial);
}

std::string HubCache::lock_path(const RepoName& repo, const std::string& etag) const {
    return root_ + "/.locks/" + repo.folder() + "/" + etag + ".lock";
}

std::string HubCache::snapshot_path(const RepoName& repo, const std::string& commit,
                                    const std::string& file) const {
    return folder(repo) + "/snapshots/" + commit + "/" + file;
}

std::optional<std::string> HubCache::commit_of(const RepoName& repo,
                                               const std::string& revision) const {
    const std::string text = read_whole(folder(repo) + "/refs/" + revision, 256);
    const std::string commit = text.substr(0, text.find_first_of(" \r\n"));
    std::error_code fault;
    if (is_safe_tag(commit)) return commit;
    if (is_safe_tag(revision) && fs::is_directory(folder(repo) + "/snapshots/" + revision, fault)) {
        return revision;
    }
    return std::nullopt;
}

Status HubCache::prepare(const RepoName& repo) const {
    std::error_code fault;
    for (const char* name : {"blobs", "snapshots", "refs"}) {
        const fs::path path = fs::path(folder(repo)) / name;
        fs::create_directories(path, fault);
        if (fault) return failed("make the folder", path, fault);
    }
    // What backup programs look for, with the text that their convention prescribes.
    const fs::path tag = fs::path(root_) / "CACHEDIR.TAG";
    if (!fs::exists(tag, fault)) {
        static_cast<void>(
            write_whole(tag.string(), "Signature: 8a477f597d28d172789f06886806bc55\n"));
    }
    return {};
}

Result<std::string> HubCache::publish(const RepoName& repo, const std::string& revision,
                                      const std::string& commit, const RepoFile& file) const {
    if (!is_safe_tag(commit) || !is_safe_tag(revision) || !is_safe_path(file.name)) {
        return Error{Code::kInvalid, "a name that may not leave the cache"};
    }
    const fs::path snapshot = fs::path(folder(repo)) / "snapshots" / commit;
    const fs::path link = snapshot / file.name;
    std::error_code fault;
    fs::create_directories(link.parent_path(), fault);
    if (fault) return failed("make the folder", link.parent_path(), fault);
    // Nothing on the way may lead elsewhere.
    const fs::path inside = fs::weakly_canonical(snapshot, fault);
    const fs::path parent = fs::weakly_canonical(link.parent_path(), fault);
    const fs::path below = parent.lexically_relative(inside);
    if (fault || below.empty() || *below.begin() == "..") {
        return Error{Code::kInvalid,
                     fmt::format("{} leads out of the cache", link.parent_path().string())};
    }
    const fs::path target = fs::path(folder(repo)) / "blobs" / file.etag;
    const fs::path relative = target.lexically_relative(link.parent_path());
    if (fs::read_symlink(link, fault) != relative || fault) {
        // Replaced whole: another process may read it.
        const fs::path fresh = link.parent_path() / fmt::format(".tenon-{}.link", getpid());
        fs::remove(fresh, fault);
        fs::create_symlink(relative, fresh, fault);
        if (fault) return failed("make the link", link, fault);
        fs::rename(fresh, link, fault);
        if (fault) return failed("make the link", link, fault);
    }
    if (revision != commit) {
        const std::string ref = folder(repo) + "/refs/" + revision;
        if (read_whole(ref, 256) != commit) TENON_CHECK(write_whole(ref, commit));
    }
    return link.string();
}

std::vector<CachedFile> HubCache::scan(const std::optional<RepoName>& only) const {
    std::vector<CachedFile> found;
    for (const fs::path& place : folders_in(root_)) {
        const std::optional<RepoName> repo = parse_repo_folder(place.filename().string());
        if (!repo || (only && *repo != *only)) continue;
        const std::set<std::string> current = commits_of_refs(place / "refs");
        std::vector<fs::path> snapshots = folders_in(place / "snapshots");
        std::stable_partition(snapshots.begin(), snapshots.end(), [&](const fs::path& snapshot) {
            return current.count(snapshot.filename().string()) > 0;
        });
        for (const fs::path& snapshot : snapshots) {
            std::vector<CachedFile> files;
            walk(snapshot, [&](const std::string& name) {
                if (!is_model_file(name)) return;
                CachedFile file{
                    *repo, snapshot.filename().string(), name, (snapshot / name).string(), {}, 0,
                    0};
                struct stat status {};
                if (stat(file.path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
                std::error_code fault;
                file.blob = fs::canonical(file.path, fault).string();
                file.size = static_cast<uint64_t>(status.st_size);
                file.last_used = std::max(status.st_atim.tv_sec, status.st_mtim.tv_sec);
                files.push_back(std::move(file));
            });
            std::sort(files.begin(), files.end(),
                      [](const CachedFile& a, const CachedFile& b) { return a.name < b.name; });
            found.insert(found.end(), files.begin(), files.end());
        }
    }
    return found;
}

std::vector<UnfinishedBlob> HubCache::unfinished(const std::optional<RepoName>& only) const {
    std::vector<UnfinishedBlob> found;
    for (const fs::path& place : folders_in(root_)) {
        const std::optional<RepoName> repo = parse_repo_folder(place.filename().string());
        if (!repo || (only && *repo != *only)) continue;
        walk(place / "blobs", [&](const std::string& name) {
            if (!name.ends_with(kPartial) && !name.ends_with(std::string(kPartial) + ".refused"))
                return;
            const std::string path = (place / "blobs" / name).string();
            found.push_back({*repo, path, disk_bytes(path)});
        });
    }
    return found;
}

Result<uint64_t> HubCache::remove(const RepoName& repo,
                                  const std::vector<CachedFile>& files) const {
    std::error_code fault;
    const fs::path place = folder(repo);
    const fs::path blobs = fs::weakly_canonical(place / "blobs", fault);
    std::set<fs::path> candidates;
    uint64_t freed = 0;
    for (const CachedFile& file : files) {
        const fs::path link = file.path;
        if (fs::is_symlink(link, fault)) {
            const fs::path target = fs::read_symlink(link, fault);
            candidates.insert(
                (target.is_absolute() ? target : link.parent_path() / target).lexically_normal());
        } else {
            freed += disk_bytes(file.path);
        }
        if (unlink(link.c_str()) != 0 && errno != ENOENT) {
            return Error{Code::kInvalid,
                         fmt::format("cannot remove {}: {}", file.path, std::strerror(errno))};
        }
    }
    // What any file of any snapshot still names.
    std::set<fs::path> used;
    for (const fs::path& snapshot : folders_in(place / "snapshots")) {
        walk(snapshot, [&](const std::string& name) {
            const fs::path link = snapshot / name;
            std::error_code ignored;
            const fs::path target = fs::read_symlink(link, ignored);
            if (!ignored) {
                used.insert((target.is_absolute() ? target : link.parent_path() / target)
                                .lexically_normal());
            }
        });
    }
    for (const fs::path& blob : candidates) {
        if (used.count(blob) > 0 || fs::weakly_canonical(blob.parent_path(), fault) != blobs)
            continue;
        struct stat status {};
        const bool is_last = lstat(blob.c_str(), &status) == 0 && status.st_nlink == 1;
        const uint64_t bytes = is_last ? disk_bytes(blob.string()) : 0;
        if (unlink(blob.c_str()) == 0) freed += bytes;
    }
    // Folders that became empty, deepest first.
    std::vector<fs::path> emptied;
    for (fs::recursive_directory_iterator at(place / "snapshots", fault), end; !fault && at != end;
         at.increment(fault)) {
        std::error_code ignored;
        if (at->is_directory(ignored) && !at->is_symlink(ignored)) emptied.push_back(at->path());
    }
    std::sort(emptied.rbegin(), emptied.rend());
    for (const fs::path& path : emptied)
        static_cast<void>(rmdir(path.c_str()));
    walk(place / "refs", [&](const std::string& name) {
        const std::string commit = read_whole((place / "refs" / name).string(), 256);
        std::error_code ignored;
        if (!is_safe_tag(commit) || !fs::exists(place / "snapshots" / commit, ignored)) {
            static_cast<void>(unlink((place / "refs" / name).c_str()));
        }
    });
    for (const char* name : {"snapshots", "refs", "blobs", ""})
        static_cast<void>(rmdir((place / name).c_str()));
    return freed;
}

}  // namespace tenon::hub
