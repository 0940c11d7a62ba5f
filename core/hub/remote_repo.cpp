#include "core/hub/remote_repo.h"

#include "core/config/serve_config.h"
#include "core/hub/json_tree.h"
#include "core/hub/range_headers.h"
#include "core/net/url.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::hub {

namespace {

using std::chrono::milliseconds;

constexpr uint64_t kListingBytes = 32u << 20;
constexpr uint64_t kFileBytesMax = uint64_t{1} << 50;

bool is_hex(std::string_view text, size_t size) {
    return text.size() == size &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

net::Headers headers_for(const Places& places) {
    net::Headers headers;
    if (!places.token.empty()) headers.add("Authorization", "Bearer " + places.token);
    return headers;
}

// 401, 403 and 404 in the words of who asked; the hub hides what a caller may not see behind 401.
Error explain(const FetchAnswer& answer, const Places& places, const RepoName& repo,
              const std::string& what) {
    const std::string* const code = answer.headers.find("X-Error-Code");
    const std::string reason = code != nullptr ? *code : "";
    const std::string page = places.endpoint + "/" + repo.id();
    const bool has_token = !places.token.empty();
    const auto error = [](std::string text) { return Error{Code::kInvalid, std::move(text)}; };
    if (reason == "GatedRepo" || (answer.status == 403 && reason.empty())) {
        return error(fmt::format("{} is gated: accept its terms at {} {}", repo.id(), page,
                                 has_token
                                     ? "with the account of the token in " + places.token_origin
                                     : "and set HF_TOKEN to a token of that account"));
    }
    if (answer.status == 401) {
        return error(
            has_token ? fmt::format(
                            "{} does not exist, or the token in {} is not valid or may not read it",
                            repo.id(), places.token_origin)
                      : fmt::format(
                            "{} does not exist or is private; for a private one set HF_TOKEN to a "
                            "token that may read it",
                            repo.id()));
    }
    if (answer.status == 403) {
        return error(fmt::format("the token in {} may not read {} ({})", places.token_origin,
                                 repo.id(), reason));
    }
    if (answer.status == 404 && reason == "RevisionNotFound") {
        return error(fmt::format("{} has no such revision", repo.id()));
    }
    if (answer.status == 404 && reason == "EntryNotFound") {
        return error(fmt::format("{} has no file {}", repo.id(), what));
    }
    if (answer.status == 404) {
        return error(
            fmt::format("{} does not exist at {}; is the name right?", repo.id(), places.endpoint));
    }
    return explain_status(answer, what);
}

Error malformed(std::string_view what) {
    return {Code::kData, fmt::format("the hub's list of files cannot be read: {}", what)};
}

}  // namespace

std::string url_encoded(std::string_view path) {
    std::string out;
    for (const char c : path) {
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
                              c == '~' || c == '/';
        out += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

Result<RepoListing> parse_listing(std::string_view text) {
    Result<JsonNode> root = read_json(text);
    if (!root.ok()) return malformed(root.error().message);
    RepoListing listing;
    listing.commit = root->text_of("sha");
    if (!is_hex(listing.commit, 40)) return malformed("it has no commit");
    const JsonNode* const siblings = root->find("siblings");
    if (siblings == nullptr || siblings->kind != JsonNode::Kind::kArray) {
        return malformed("it has no files");
    }
    for (const JsonNode& sibling : siblings->items) {
        RepoFile file;
        file.name = sibling.text_of("rfilename");
        if (!is_safe_path(file.name)) continue;
        file.size = sibling.whole_of("size").value_or(0);
        file.etag = sibling.text_of("blobId");
        if (const JsonNode* lfs = sibling.find("lfs"); lfs != nullptr && !lfs->keys.empty()) {
            file.sha256 = lfs->text_of("sha256");
            file.etag = file.sha256;
            file.size = lfs->whole_of("size").value_or(file.size);
            if (!is_hex(file.sha256, 64)) return malformed(file.name + " has no sha256");
        }
        if (!is_hex(file.etag, 40) && !is_hex(file.etag, 64)) {
            if (is_model_file(file.name)) return malformed(file.name + " has no digest");
            continue;
        }
        if (file.size > kFileBytesMax) return malformed(file.name + " has an impossible size");
        listing.files.push_back(std::move(file));
    }
    return listing;
}

Status check_token_goes_safely(const Places& places) {
    if (places.token.empty()) return {};
    TENON_TRY(const net::Url url, net::parse_url(places.endpoint + "/"));
    if (url.tls || config::is_loopback(url.host)) return {};
    return Error{Code::kConfig,
                 fmt::format("HF_ENDPOINT {} is not encrypted, and the token in {} would go there; "
                             "use https, or unset the token",
                             places.endpoint, places.token_origin)};
}

Result<RepoListing> fetch_listing(Fetcher& fetcher, const Places& places, const RepoName& repo,
                                  const std::string& revision, const TransferOptions& options,
                                  const TransferWatch& watch) {
    TENON_CHECK(check_token_goes_safely(places));
    net::ClientRequest request;
    request.url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", places.endpoint, repo.id(),
                              url_encoded(revision));
    request.headers = headers_for(places);
    request.headers.add("Accept", "application/json");
    Error last;
    milliseconds time = options.retry_delay;
    for (uint32_t attempt = 0; attempt <= options.retries; ++attempt, time *= 2) {
        std::string body;
        const Result<FetchAnswer> answer = fetcher.get_text(request, kListingBytes, body);
        milliseconds pause = time;
        if (!answer.ok()) {
            // A connection that broke is worth a second try; a hub that is not there is not.
            last = answer.error();
            if ((last.code != Code::kData && last.code != Code::kTimeout) || attempt > 0)
                return last;
        } else if (answer->status == 200) {
            return parse_listing(body);
        } else {
            last = explain(*answer, places, repo, "the list of files");
            if (last.code != Code::kBusy) return last;
            pause = retry_after(answer->headers).value_or(time);
            if (pause > options.retry_after_max) {
                last.message += fmt::format("; it asks to come back in {} s", pause.count() / 1000);
                return last;
            }
        }
        if (attempt == options.retries) break;
        if (pause >= milliseconds(1000) && watch.on_note) {
            watch.on_note(fmt::format("{}; trying again in {} s", last.message,
                                      (pause.count() + 500) / 1000));
        }
        if (!fetcher.wait(pause)) return Error{Code::kCancelled, "interrupted"};
    }
    return last;
}

RemoteFile remote_file(const Places& places, const RepoName& repo, const RepoListing& listing,
                       const RepoFile& file) {
    RemoteFile remote;
    remote.url = fmt::format("{}/{}/resolve/{}/{}", places.endpoint, repo.id(), listing.commit,
                             url_encoded(file.name));
    remote.what = file.name;
    remote.size = file.size;
    remote.sha256 = file.sha256;
    if (file.sha256.empty()) remote.git_blob = file.etag;
    remote.linked_etag = file.etag;
    remote.headers = [places] { return headers_for(places); };
    remote.explain = [places, repo, name = file.name](const FetchAnswer& answer) {
        // Beyond the hub, at whom it redirects to, other rules hold.
        const bool is_hub = answer.sent.url.starts_with(places.endpoint + "/");
        return is_hub ? explain(answer, places, repo, name) : explain_status(answer, name);
    };
    return remote;
}

}  // namespace tenon::hub
