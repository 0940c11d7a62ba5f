#include "core/hub/reference.h"

#include "core/base/bytes.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::hub {

namespace {

constexpr size_t kRepoPartBytes = 96;
constexpr size_t kNameBytes = 255;
constexpr size_t kPathBytes = 1024;

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

// "--" separates the parts of a folder's name in the cache.
bool is_repo_part(std::string_view part) {
    return !part.empty() && part.size() <= kRepoPartBytes &&
           std::all_of(part.begin(), part.end(), is_word) && part.front() != '-' &&
           part.front() != '.' && part.back() != '-' && part.back() != '.' &&
           part.find("--") == std::string_view::npos && part.find("..") == std::string_view::npos;
}

Error wrong(std::string_view text, std::string_view what) {
    return {Code::kInvalid, fmt::format("'{}' {}", printable(text), what)};
}

// "org/repo", "org/repo/resolve/main/file.gguf" or the page of the same with "blob".
Result<Reference> parse_hub_path(std::string_view text, std::string_view path) {
    Reference reference;
    reference.kind = Reference::Kind::kRepo;
    reference.text = text;
    path = path.substr(0, path.find_first_of("?#"));
    while (!path.empty() && path.back() == '/')
        path.remove_suffix(1);
    const size_t first = path.find('/');
    const size_t second = first == std::string_view::npos ? first : path.find('/', first + 1);
    std::string_view id = path.substr(0, second);
    if (second == std::string_view::npos) {
        const size_t colon = id.find(':');
        if (colon != std::string_view::npos) {
            reference.quant = id.substr(colon + 1);
            id = id.substr(0, colon);
            if (!is_safe_path(reference.quant)) {
                return wrong(text, "has no quantization after its colon");
            }
        }
    }
    const std::optional<RepoName> repo = parse_repo(id);
    if (!repo.has_value()) return wrong(text, "does not name a repository as org/repo");
    reference.repo = *repo;
    if (second == std::string_view::npos) return reference;
    std::string_view rest = path.substr(second + 1);
    const size_t verb_end = rest.find('/');
    const std::string_view verb = rest.substr(0, verb_end);
    const size_t revision_end =
        verb_end == std::string_view::npos ? verb_end : rest.find('/', verb_end + 1);
    if ((verb != "resolve" && verb != "blob") || revision_end == std::string_view::npos) {
        return wrong(text, "is a page of the hub that is neither a repository nor a file of one");
    }
    reference.revision = rest.substr(verb_end + 1, revision_end - verb_end - 1);
    reference.file = rest.substr(revision_end + 1);
    if (!is_safe_tag(reference.revision) || !is_safe_path(reference.file)) {
        return wrong(text, "names a file that no repository may have");
    }
    return reference;
}

}  // namespace

bool is_safe_name(std::string_view name) {
    return is_safe_path(name) && name.find('/') == std::string_view::npos && name.front() != '.';
}

bool is_safe_path(std::string_view path) {
    if (path.empty() || path.size() > kPathBytes) return false;
    for (size_t begin = 0; begin <= path.size();) {
        const size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view part = path.substr(begin, end - begin);
        if (part.empty() || part == "." || part == ".." || part.size() > kNameBytes) return false;
        begin = end + 1;
    }
    return std::all_of(path.begin(), path.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '\\';
    });
}

bool is_safe_tag(std::string_view tag) {
    return !tag.empty() && tag.size() <= 128 && std::all_of(tag.begin(), tag.end(), is_word) &&
           tag.front() != '.';
}

std::optional<RepoName> parse_repo(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const std::string_view org = text.substr(0, slash), name = text.substr(slash + 1);
    if (!is_repo_part(org) || !is_repo_part(name)) return std::nullopt;
    return RepoName{std::string(org), std::string(name)};
}

std::optional<RepoName> parse_repo_folder(std::string_view folder) {
    constexpr std::string_view kPrefix = "models--";
    if (!folder.starts_with(kPrefix)) return std::nullopt;
    folder.remove_prefix(kPrefix.size());
    const size_t middle = folder.find("--");
    if (middle == std::string_view::npos) return std::nullopt;
    return parse_repo(fmt::format("{}/{}", folder.substr(0, middle), folder.substr(middle + 2)));
}

Result<Reference> parse_reference(std::string_view text, std::string_view endpoint) {
    if (text.empty()) return wrong(text, "names no model");
    for (const std::string_view prefix :
         {endpoint, std::string_view("https://huggingface.co"), std::string_view("https://hf.co"),
          std::string_view("huggingface.co"), std::string_view("hf.co"),
          std::string_view("hf:/")}) {
        if (!prefix.empty() && text.size() > prefix.size() + 1 && text.starts_with(prefix) &&
            text[prefix.size()] == '/') {
            return parse_hub_path(text, text.substr(prefix.size() + 1));
        }
    }
    Reference reference;
    reference.text = text;
    if (text.starts_with("http://") || text.starts_with("https://") || text.starts_with("s3://")) {
        reference.kind = Reference::Kind::kUrl;
        reference.url = text;
        return reference;
    }
    if (text.find("://") != std::string_view::npos) {
        return wrong(text, "is a URL of an unknown kind; expected https://, http:// or s3://");
    }
    if (text.find('/') != std::string_view::npos) return parse_hub_path(text, text);
    if (!is_safe_name(text)) return wrong(text, "is no name of a model");
    reference.name = text;
    return reference;
}

}  // namespace tenon::hub
