// What a user calls a model: a name of the catalog, org/repo[:QUANT] of the hub, or a URL. And which
// names may become names of files here.
#pragma once

#include "core/base/result.h"

#include <optional>
#include <string>
#include <string_view>

namespace tenon::hub {

// A model repository of the hub; both parts are safe names.
struct RepoName {
    std::string org, name;

    std::string id() const { return org + "/" + name; }                    // "org/name"
    std::string folder() const { return "models--" + org + "--" + name; }  // in the cache
    bool operator==(const RepoName&) const = default;
};

struct Reference {
    enum class Kind { kName, kRepo, kUrl };

    Kind kind = Kind::kName;
    std::string text;      // as given
    std::string name;      // kName
    RepoName repo;         // kRepo
    std::string quant;     // kRepo: after the colon; empty: the default order decides
    std::string file;      // kRepo: a file of the repository, from a URL of its page
    std::string revision;  // kRepo: from such a URL; else empty
    std::string url;       // kUrl: http://, https:// or s3://
};

// kInvalid says what is wrong. `endpoint`: URLs below it are repositories of the hub.
Result<Reference> parse_reference(std::string_view text, std::string_view endpoint);

// "org/repo"; nothing when it is no such name.
std::optional<RepoName> parse_repo(std::string_view text);
// The repository of a folder of the cache, such as "models--org--repo".
std::optional<RepoName> parse_repo_folder(std::string_view folder);

// Whether a relative path may be made below a folder of ours: no empty part, no "." or "..", no
// leading '/', no '\', no control character, parts of at most 255 bytes and 1024 bytes in all.
bool is_safe_path(std::string_view path);
// The same for one name without '/', which also does not begin with a dot.
bool is_safe_name(std::string_view name);
// A blob's name or a commit: letters, digits, '-', '_' and '.', at most 128.
bool is_safe_tag(std::string_view tag);

}  // namespace tenon::hub
