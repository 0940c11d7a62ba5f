#include "core/host/manifest.h"

#include <fmt/format.h>
#include <glob.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <sstream>

#include "core/base/bytes.h"
#include "core/host/manifest_reader.h"

namespace tenon::host {
namespace {

// Thrown inside this file only: yaml-cpp's event interface has no other way to stop.
struct Refused {
    std::string sentence;
};

// Counts what the text would build, without building it.
class Limits final : public YAML::EventHandler {
public:
    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t anchor) override { node(anchor); }
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override { refuse_alias(); }
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t anchor,
                  const std::string&) override {
        node(anchor);
    }
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        enter(anchor);
    }
    void OnSequenceEnd() override { --depth_; }
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        enter(anchor);
    }
    void OnMapEnd() override { --depth_; }

private:
    void enter(YAML::anchor_t anchor) {
        node(anchor);
        if (++depth_ > kManifestDepthMax) {
            throw Refused{fmt::format("is nested deeper than {} levels", kManifestDepthMax)};
        }
    }
    void node(YAML::anchor_t anchor) {
        if (anchor != YAML::NullAnchor) refuse_alias();
        if (++nodes_ > kManifestNodesMax) {
            throw Refused{fmt::format("has more than {} values", kManifestNodesMax)};
        }
    }
    [[noreturn]] static void refuse_alias() {
        throw Refused{"uses a YAML anchor or alias, which a manifest may not"};
    }

    size_t depth_ = 0;
    size_t nodes_ = 0;
};

// A bound on nesting that needs no parser: yaml-cpp's recurses, and runs out of stack on hostile text.
// Counts marks inside of quotes too, so its limit is four times the real one.
bool nested_too_deep(std::string_view text) {
    size_t depth = 0;
    for (char c : text) {
        if (c == '[' || c == '{') ++depth;
        if ((c == ']' || c == '}') && depth > 0) --depth;
        if (depth > 4 * kManifestDepthMax) return true;
    }
    // Block collections nest on one line too: "- - - -". A colon does so behind a blank alone: behind
    // its key only one on a line can open a collection.
    size_t dashes = 0;
    const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    for (size_t i = 0; i + 1 < text.size(); ++i) {
        const bool lone = i == 0 || is_blank(text[i - 1]);
        const bool mark = text[i] == '-' || text[i] == '?' || (text[i] == ':' && lone);
        if (mark && (text[i + 1] == ' ' || text[i + 1] == '\t')) ++dashes;
        if (text[i] == '\n') dashes = 0;
        if (dashes > 4 * kManifestDepthMax) return true;
    }
    return false;
}

class Reader : ManifestReader {
public:
    using ManifestReader::ManifestReader;

    Result<Manifest> read(const YAML::Node& root) {
        if (!root.IsMap()) return error(root, "the manifest is no mapping");
        TENON_CHECK(check_keys(root, "the manifest",
                               {"id", "version", "kinds", "abi", "os", "arch", "cpu_requires",
                                "device_nodes", "file", "sha256", "options", "formats"}));
        Manifest m;
        TENON_CHECK(read_identity(root, &m));
        if (m.is_data()) return read_data(root, std::move(m));
        if (root["formats"].IsDefined()) {
            return error(root["formats"], "'formats' is of plugins with kinds: [quant]");
        }
        TENON_CHECK(read_abi(root["abi"], &m));
        TENON_TRY(m.os, text(root, "os", 32));
        TENON_TRY(m.arch, text(root, "arch", 32));
        TENON_TRY(m.cpu_requires, texts(root, "cpu_requires"));
        TENON_TRY(m.device_nodes, texts(root, "device_nodes"));
        for (const std::string& node : m.device_nodes) {
            if (node.rfind("/dev/", 0) != 0 || node.find("..") != std::string::npos ||
                node.find('\0') != std::string::npos) {
                return error(
                    root["device_nodes"],
                    fmt::format("device node is '{}', wanted a path below /dev/", printable(node)));
            }
        }
        TENON_TRY(m.file, text(root, "file", 128));
        if (m.file.find('/') != std::string::npos || m.file[0] == '.' ||
            m.file.find('\0') != std::string::npos) {
            return error(root["file"], fmt::format("file is '{}', wanted a name in the manifest's "
                                                   "own folder",
                                                   printable(m.file)));
        }
        TENON_CHECK(read_digest(root, &m));
        TENON_CHECK(read_options(root["options"], &m));
        return m;
    }

private:
    Status read_identity(const YAML::Node& root, Manifest* manifest) const {
        Manifest& m = *manifest;
        TENON_TRY(m.id, text(root, "id", 64));
        const auto id_char = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        };
        if (m.id[0] < 'a' || m.id[0] > 'z' || !std::all_of(m.id.begin(), m.id.end(), id_char)) {
            return error(root["id"], fmt::format("id is '{}', wanted a lower-case letter, then "
                                                 "letters, digits, '-' and '_'",
                                                 printable(m.id)));
        }
        TENON_TRY(m.version, text(root, "version", 64));
        const auto version_char = [&](char c) { return id_char(c) || c == '.' || c == '+'; };
        if (m.version[0] < '0' || m.version[0] > '9' ||
            !std::all_of(m.version.begin(), m.version.end(), version_char)) {
            return error(root["version"], fmt::format("version is '{}', wanted one such as 1.2.0",
                                                      printable(m.version)));
        }
        TENON_TRY(m.kinds, texts(root, "kinds"));
        if (m.kinds.empty()) return error(root, "kinds is missing or empty");
        for (const std::string& kind : m.kinds) {
            if (kind != "backend" && kind != "sched" && kind != "quant") {
                return error(
                    root["kinds"],
                    fmt::format("kind '{}' is not known; known are backend, sched and quant",
                                printable(kind)));
            }
            if (kind == "quant" && m.kinds.size() > 1) {
                return error(root["kinds"],
                             "quant is data and stands alone; give the library a "
                             "folder of its own");
            }
        }
        return {};
    }

    // A manifest that is all there is: nothing else lies in its folder.
    Result<Manifest> read_data(const YAML::Node& root, Manifest m) const {
        for (const char* key :
             {"abi", "os", "arch", "cpu_requires", "device_nodes", "file", "sha256", "options"}) {
            if (root[key].IsDefined()) {
                return error(root[key], fmt::format("'{}' is of plugins with a library; quant is "
                                                    "data alone",
                                                    key));
            }
        }
        TENON_TRY(m.formats, read_formats(*this, root["formats"]));
        return m;
    }

    Status read_abi(const YAML::Node& node, Manifest* m) const {
        if (!node.IsDefined() || !node.IsMap()) {
            return error(node, "'abi' is missing, wanted {revision: N, fingerprint: HEX}");
        }
        TENON_CHECK(check_keys(node, "abi", {"revision", "fingerprint"}));
        TENON_TRY(const std::string revision, text(node, "revision", 10));
        if (!number(revision, 10, &m->abi_revision)) {
            return error(node["revision"],
                         fmt::format("abi revision is '{}', wanted a number", printable(revision)));
        }
        TENON_TRY(const std::string fingerprint, text(node, "fingerprint", 16));
        if (fingerprint.size() != 16 || !number(fingerprint, 16, &m->abi_fingerprint)) {
            return error(node["fingerprint"],
                         fmt::format("abi fingerprint is '{}', wanted 16 hexadecimal digits",
                                     printable(fingerprint)));
        }
        return {};
    }

    Status read_digest(const YAML::Node& root, Manifest* m) const {
        TENON_TRY(const std::string digest, text(root, "sha256", 64));
        bool ok = digest.size() == 64;
        for (size_t i = 0; ok && i < 32; ++i) {
            ok = number(std::string_view(digest).substr(2 * i, 2), 16, &m->sha256[i]);
        }
        if (!ok) return error(root["sha256"], "sha256 is no string of 64 hexadecimal digits");
        return {};
    }

    Status read_options(const YAML::Node& node, Manifest* m) const {
        if (!node.IsDefined()) return {};
        if (!node.IsSequence()) return error(node, "'options' is no list");
        for (const YAML::Node& item : node) {
            if (!item.IsMap()) return error(item, "an entry of 'options' is no mapping");
            TENON_CHECK(
                check_keys(item, "an option", {"key", "type", "min", "max", "default", "doc"}));
            OptionSpec option;
            TENON_TRY(option.key, text(item, "key", 64));
            TENON_TRY(const std::string type, text(item, "type", 16));
            if (type == "bool") {
                option.type = OptionSpec::Type::kBool;
            } else if (type == "int") {
                option.type = OptionSpec::Type::kInt;
            } else if (type == "float") {
                option.type = OptionSpec::Type::kFloat;
            } else if (type == "string") {
                option.type = OptionSpec::Type::kString;
            } else {
                return error(item["type"], fmt::format("type is '{}', wanted bool, int, float or "
                                                       "string",
                                                       printable(type)));
            }
            TENON_CHECK(read_range(item, &option));
            const YAML::Node fallback = item["default"];
            if (fallback.IsDefined() && fallback.IsScalar()) {
                option.default_text = fallback.Scalar();
                const std::string problem = value_problem(option, option.default_text);
                if (!problem.empty()) return error(fallback, "default: " + problem);
            }
            TENON_TRY(option.doc, text(item, "doc", 400));
            for (const OptionSpec& other : m->options) {
                if (other.key == option.key) {
                    return error(
                        item, fmt::format("option '{}' is declared twice", printable(option.key)));
                }
            }
            m->options.push_back(std::move(option));
        }
        return {};
    }

    Status read_range(const YAML::Node& item, OptionSpec* option) const {
        for (const char* key : {"min", "max"}) {
            if (item[key].IsDefined() && option->type != OptionSpec::Type::kInt)
                return error(item[key], fmt::format("'{}' is of whole numbers alone", key));
        }
        TENON_TRY(option->min, integer_or(item, "min", option->min, option->max, option->min));
        TENON_TRY(option->max, integer_or(item, "max", option->min, option->max, option->max));
        return {};
    }

    template <class T>
    static bool number(std::string_view text, int base, T* value) {
        const auto [end, fault] =
            std::from_chars(text.data(), text.data() + text.size(), *value, base);
        return fault == std::errc() && end == text.data() + text.size();
    }
};

}  // namespace

bool may_have_device(const std::vector<std::string>& device_nodes) {
    const auto is_there = [](const std::string& node) {
        glob_t found{};
        const bool any = glob(node.c_str(), GLOB_NOSORT, nullptr, &found) == 0;
        globfree(&found);
        return any;
    };
    return device_nodes.empty() || std::any_of(device_nodes.begin(), device_nodes.end(), is_there);
}

Result<Manifest> parse_manifest(std::string_view text, const std::string& where) {
    Reader reader(where);
    const auto refuse = [&](const std::string& sentence) {
        return Error{Code::kInvalid, fmt::format("{}: The manifest {}.", where, sentence)};
    };
    if (text.size() > kManifestBytesMax) {
        return refuse(
            fmt::format("has {} bytes, at most {} are read", text.size(), kManifestBytesMax));
    }
    if (text.find('\0') != std::string_view::npos) return refuse("holds a NUL byte");
    if (nested_too_deep(text)) {
        return refuse(fmt::format("is nested deeper than {} levels", kManifestDepthMax));
    }
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        Limits limits;
        size_t documents = 0;
        while (parser.HandleNextDocument(limits))
            ++documents;
        if (documents != 1) {
            return refuse(fmt::format("holds {} YAML documents, wanted one", documents));
        }
        return reader.read(YAML::Load(std::string(text)));
    } catch (const Refused& refused) {
        return refuse(refused.sentence);
    } catch (const YAML::Exception& error) {
        return Error{Code::kInvalid,
                     fmt::format("{}:{}: {}.", where, error.mark.line + 1, printable(error.msg))};
    } catch (const std::exception& error) {
        return refuse(fmt::format("cannot be read: {}", printable(error.what())));
    }
}

}  // namespace tenon::host
