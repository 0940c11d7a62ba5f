#include "core/hub/resolve.h"

#include "core/base/bytes.h"
#include "core/config/nearest.h"
#include "core/hub/file_digest.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

namespace tenon::hub {

namespace {

namespace fs = std::filesystem;

bool has_size(const std::string& path, uint64_t size) {
    std::error_code fault;
    return fs::is_regular_file(path, fault) && fs::file_size(path, fault) == size && !fault;
}

bool looks_like_path(const std::string& text) {
    std::error_code fault;
    return text.ends_with(".gguf") || text.starts_with('/') || text.starts_with('.') ||
           text.starts_with("~") || fs::exists(text, fault);
}

Error not_fetched(const std::string& text) {
    return {Code::kConfig,
            fmt::format("the model {} was not fetched yet; run: tenon pull {}", text, text)};
}

}  // namespace

std::vector<CachedModel> cached_models(const std::vector<CachedFile>& files) {
    // By repository and commit, in the order of the scan: current commits first.
    std::vector<std::pair<std::string, std::vector<CachedFile>>> snapshots;
    for (const CachedFile& file : files) {
        const std::string key = file.repo.id() + "@" + file.commit;
        if (snapshots.empty() || snapshots.back().first != key) snapshots.push_back({key, {}});
        snapshots.back().second.push_back(file);
    }
    std::vector<CachedModel> models;
    for (const auto& [key, members] : snapshots) {
        std::vector<RepoFile> listed;
        std::map<std::string, const CachedFile*> by_name;
        for (const CachedFile& file : members) {
            listed.push_back({file.name, file.size, {}, {}});
            by_name[file.name] = &file;
        }
        for (ModelFiles& group : group_models(listed)) {
            if (!group.is_complete()) continue;
            CachedModel& model = models.emplace_back(CachedModel{members.front().repo, {}, {}});
            for (const RepoFile& file : group.files)
                model.files.push_back(*by_name[file.name]);
            model.model = std::move(group);
        }
    }
    return models;
}

Result<std::optional<FoundModel>> find_cached(const Reference& reference, const Places& places) {
    const std::vector<CachedModel> cached =
        cached_models(HubCache(places.cache).scan(reference.repo));
    // The same model of an older commit does not make a choice ambiguous.
    std::vector<ModelFiles> models;
    std::vector<const CachedModel*> kept;
    for (const CachedModel& model : cached) {
        if (!reference.revision.empty() && reference.revision != "main" &&
            model.files.front().commit != reference.revision &&
            HubCache(places.cache).commit_of(reference.repo, reference.revision) !=
                model.files.front().commit) {
            continue;
        }
        const bool is_older =
            std::any_of(models.begin(), models.end(),
                        [&](const ModelFiles& other) { return other.stem == model.model.stem; });
        if (is_older) continue;
        models.push_back(model.model);
        kept.push_back(&model);
    }
    if (models.empty()) return std::optional<FoundModel>();
    const std::string& wanted = reference.file.empty() ? reference.quant : reference.file;
    Result<ModelFiles> chosen = choose_model(models, wanted, reference.repo.id() + " in the cache");
    if (!chosen.ok()) {
        if (chosen.error().code == Code::kUnsupported) return std::optional<FoundModel>();
        return chosen.error();
    }
    for (const CachedModel* model : kept) {
        if (model->model.stem != chosen->stem) continue;
        const std::string& quant = model->model.quant;
        return std::optional<FoundModel>(FoundModel{
            model->files.front().path, reference.repo.id() + (quant.empty() ? "" : ":" + quant)});
    }
    return std::optional<FoundModel>();
}

std::optional<std::string> find_entry(const CatalogEntry& entry, const Places& places) {
    for (const Source& source : entry.sources) {
        if (source.kind != Source::Kind::kPath) continue;
        const std::string path =
            source.place.starts_with("~/") ? places.home + source.place.substr(1) : source.place;
        if (has_size(path, entry.size)) return path;
    }
    const std::string own = places.models + "/" + entry.file;
    if (has_size(own, entry.size)) return own;
    for (const Source& source : entry.sources) {
        if (source.kind != Source::Kind::kHub) continue;
        const std::optional<RepoName> repo = parse_repo(source.place);
        if (!repo) continue;
        const std::string name = source.file.empty() ? entry.file : source.file;
        for (const CachedFile& file : HubCache(places.cache).scan(*repo)) {
            const bool is_it = file.name == name && file.size == entry.size;
            if (is_it && fs::path(file.blob).filename() == entry.sha256) return file.path;
        }
    }
    return std::nullopt;
}

Result<std::string> path_of_url(const std::string& url, const Places& places) {
    const std::string_view plain = std::string_view(url).substr(0, url.find_first_of("?#"));
    const std::string name(plain.substr(plain.rfind('/') + 1));
    if (plain.find('/', plain.find("://") + 3) == std::string_view::npos || !is_safe_name(name)) {
        return Error{Code::kInvalid,
                     fmt::format("'{}' does not end in the name of a file", printable(url))};
    }
    return fmt::format("{}/urls/{}/{}", places.models, sha256_of(plain).substr(0, 12), name);
}

Result<FoundModel> find_model(const std::string& text, const Places& places) {
    Result<Reference> reference = parse_reference(text, places.endpoint);
    const bool is_url =
        reference.ok() && (reference->kind == Reference::Kind::kUrl || !reference->file.empty());
    if (!is_url && (!reference.ok() || looks_like_path(text))) return FoundModel{text, ""};
    if (reference->kind == Reference::Kind::kUrl) {
        TENON_TRY(const std::string path, path_of_url(text, places));
        std::error_code fault;
        if (fs::is_regular_file(path, fault))
            return FoundModel{path, fs::path(path).stem().string()};
        return not_fetched(text);
    }
    if (reference->kind == Reference::Kind::kRepo) {
        TENON_TRY(std::optional<FoundModel> found, find_cached(*reference, places));
        if (found) return std::move(*found);
        return Error{
            Code::kConfig,
            fmt::format("{} is neither a file nor in the cache of the hub; run: tenon pull {}",
                        text, text)};
    }
    TENON_TRY(const std::vector<CatalogEntry> entries, read_catalog(places.catalogs));
    std::vector<std::string> known;
    for (const CatalogEntry& entry : entries) {
        if (entry.is_called(text)) {
            const std::optional<std::string> path = find_entry(entry, places);
            if (path) return FoundModel{*path, text};
            return not_fetched(text);
        }
        known.push_back(entry.name);
        known.insert(known.end(), entry.aliases.begin(), entry.aliases.end());
    }
    const std::string close = config::nearest(text, known);
    if (!close.empty()) {
        return Error{Code::kConfig,
                     fmt::format("'{}' is neither a file nor a model of the catalog; "
                                 "did you mean '{}'?",
                                 text, close)};
    }
    return Error{
        Code::kConfig,
        fmt::format("'{}' is neither a file nor a model of the catalog, which holds: {}", text,
                    known.empty() ? "nothing" : fmt::format("{}", fmt::join(known, ", ")))};
}

}  // namespace tenon::hub
