// The folder that the hub's programs share: models--org--repo/{blobs,refs,snapshots}, as
// huggingface_hub lays it out, so that a file fetched by either is seen by the other.
#pragma once

#include "core/base/result.h"
#include "core/hub/quantization.h"
#include "core/hub/reference.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tenon::hub {

// A model file in a snapshot.
struct CachedFile {
    RepoName repo;
    std::string commit;
    std::string name;  // in the repository
    std::string path;  // of the snapshot: usually a symlink
    std::string blob;  // what it leads to
    uint64_t size = 0;
    int64_t last_used = 0;  // seconds since 1970, as the file system noted it
};

// A download that was begun: `blob`.tenon.incomplete.
struct UnfinishedBlob {
    RepoName repo;
    std::string path;
    uint64_t bytes = 0;  // it takes on the disk
};

class HubCache {
public:
    explicit HubCache(std::string root) : root_(std::move(root)) {}

    std::string blob_path(const RepoName& repo, const std::string& etag) const;
    // Where a download is written. Not the name that huggingface_hub resumes from: that one holds a
    // front of the file, this one any of its parts.
    std::string partial_path(const RepoName& repo, const std::string& etag) const;
    std::string lock_path(const RepoName& repo, const std::string& etag) const;
    std::string snapshot_path(const RepoName& repo, const std::string& commit,
                              const std::string& file) const;

    // The commit that a branch or tag meant when it was last fetched.
    std::optional<std::string> commit_of(const RepoName& repo, const std::string& revision) const;

    // Makes the folders of a repository. kInvalid when they cannot be made.
    Status prepare(const RepoName& repo) const;
    // Names a blob that is there: the symlink of the snapshot, and the ref when `revision` is no
    // commit. Gives the snapshot's path.
    Result<std::string> publish(const RepoName& repo, const std::string& revision,
                                const std::string& commit, const RepoFile& file) const;

    // Model files of one repository, or of all; commits that refs point to come first. Folders that
    // are no repository and links that lead nowhere are left out.
    std::vector<CachedFile> scan(const std::optional<RepoName>& repo = {}) const;
    std::vector<UnfinishedBlob> unfinished(const std::optional<RepoName>& repo = {}) const;

    // Takes these files out of their snapshots, and blobs that no snapshot uses any more, empty
    // folders and refs to nothing. Gives the bytes freed.
    Result<uint64_t> remove(const RepoName& repo, const std::vector<CachedFile>& files) const;

    const std::string& root() const { return root_; }

private:
    std::string folder(const RepoName& repo) const { return root_ + "/" + repo.folder(); }

    std::string root_;
};

}  // namespace tenon::hub
