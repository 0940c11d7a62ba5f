#include "core/config/yaml.h"

#include "core/config/nearest.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>

namespace tenon::config {

namespace {

std::vector<std::string> field_names() {
    std::vector<std::string> names;
    EngineConfig config;
    visit_fields(config, [&](const char* name, auto&, const Constraint&, const char*) {
        names.emplace_back(name);
    });
    return names;
}

std::string unknown_key(std::string_view key, const std::vector<std::string>& known) {
    const std::string close = nearest(key, known);
    return close.empty()
               ? fmt::format("'{}' is not an option; known are: {}", key, fmt::join(known, ", "))
               : fmt::format("'{}' is not an option; did you mean '{}'?", key, close);
}

// Sets a field of one type from text. The message says what was wanted.
Status assign(bool& field, std::string_view text, const Constraint&) {
    if (text == "true" || text == "false") {
        field = text == "true";
        return {};
    }
    return Error{Code::kConfig, fmt::format("expected true or false, got '{}'", text)};
}

Status assign(uint32_t& field, std::string_view text, const Constraint& limit) {
    const int64_t max = limit.max != 0 ? limit.max : int64_t{UINT32_MAX};
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool padded = text.size() > 1 && text.front() == '0';  // YAML readers disagree on 010
    if (error != std::errc{} || end != text.data() + text.size() || padded || number < limit.min ||
        number > max) {
        return Error{Code::kConfig,
                     fmt::format("expected a whole number from {} to {}{}{}, got '{}'", limit.min,
                                 max, *limit.unit ? " " : "", limit.unit, text)};
    }
    field = static_cast<uint32_t>(number);
    return {};
}

Status assign(std::string& field, std::string_view text, const Constraint& limit) {
    if (!limit.choices.empty() &&
        std::none_of(limit.choices.begin(), limit.choices.end(),
                     [&](const char* choice) { return text == choice; })) {
        return Error{Code::kConfig, fmt::format("expected one of {}, got '{}'",
                                                fmt::join(limit.choices, ", "), text)};
    }
    field = text;
    return {};
}

Status assign(std::vector<std::string>& field, std::string_view text, const Constraint&) {
    field.emplace_back(text);
    return {};
}

Status assign(std::map<std::string, PluginOptions>&, std::string_view, const Constraint&) {
    return Error{Code::kConfig, "expected a map of backends, each a map of its options"};
}

// Counts what a document would cost before a tree is built of it.
class Census : public YAML::EventHandler {
public:
    explicit Census(const YamlLimits& limits) : limits_(limits) {}
    std::string refusal;

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override { count(); }
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {
        count();
        if (++aliases_ > limits_.aliases) refuse("aliases", limits_.aliases);
    }
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {
        count();
    }
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {
        open();
    }
    void OnSequenceEnd() override { --depth_; }
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {
        open();
    }
    void OnMapEnd() override { --depth_; }

private:
    void count() {
        if (++nodes_ > limits_.nodes) refuse("nodes", limits_.nodes);
    }
    void open() {
        count();
        if (++depth_ > limits_.depth) refuse("levels of nesting", limits_.depth);
    }
    void refuse(const char* what, size_t limit) {
        refusal = fmt::format("more than {} {}", limit, what);
        throw YAML::Exception(YAML::Mark::null_mark(), refusal);
    }
    const YamlLimits& limits_;
    size_t nodes_ = 0, depth_ = 0, aliases_ = 0;
};

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
            entry += fmt::format("\n    {}\n    {}^", lines_[line],
                                 std::string(std::min(column, lines_[line].size()), ' '));
        }
        mistakes_.push_back(std::move(entry));
    }

    // The parser's words for an indenting tab name its consequence. True when a line down to `mark`
    // has one.
    bool mistake_of_tab(const YAML::Mark& mark) {
        for (size_t line = 0; line < lines_.size(); ++line) {
            if (mark.line >= 0 && line > static_cast<size_t>(mark.line)) return false;
            const size_t tab = lines_[line].find_first_not_of(' ');
            if (tab == std::string::npos || lines_[line][tab] != '\t') continue;
            YAML::Mark at;
            at.line = static_cast<int>(line);
            at.column = static_cast<int>(tab);
            mistake(at, "not YAML: a tab indents this line, spaces are wanted");
            return true;
        }
        return false;
    }

    void read(const YAML::Node& root, EngineConfig& config) {
        if (root.IsNull()) return;
        if (!root.IsMap()) return mistake(root.Mark(), "expected a map of options");
        std::set<std::string> seen;
        for (const auto& item : root) {
            if (!item.first.IsScalar()) {
                mistake(item.first.Mark(), "expected the name of an option");
                continue;
            }
            const std::string& key = item.first.Scalar();
            if (!seen.insert(key).second) {
                mistake(item.first.Mark(), fmt::format("'{}' stands here a second time", key));
                continue;
            }
            bool known = false;
            visit_fields(config,
                         [&](const char* name, auto& field, const Constraint& limit, const char*) {
                             if (key != name) return;
                             known = true;
                             take(field, item.second, limit, key);
                         });
            if (!known) mistake(item.first.Mark(), unknown_key(key, field_names()));
        }
    }

    Status finish() {
        if (mistakes_.empty()) return {};
        return Error{Code::kConfig, fmt::format("{}", fmt::join(mistakes_, "\n"))};
    }

private:
    template <class T>
    void take(T& field, const YAML::Node& node, const Constraint& limit, const std::string& key) {
        if (!node.IsScalar())
            return mistake(node.Mark(), fmt::format("{}: expected one value", key));
        const Status status = assign(field, node.Scalar(), limit);
        if (!status.ok()) mistake(node.Mark(), fmt::format("{}: {}", key, status.error().message));
    }

    void take(std::vector<std::string>& field, const YAML::Node& node, const Constraint&,
              const std::string& key) {
        if (!node.IsSequence())
            return mistake(node.Mark(), fmt::format("{}: expected a list", key));
        field.clear();
        for (const auto& item : node) {
            if (item.IsScalar()) {
                field.push_back(item.Scalar());
            } else {
                mistake(item.Mark(), fmt::format("{}: expected a text", key));
            }
        }
    }

    void take(std::map<std::string, PluginOptions>& field, const YAML::Node& node,
              const Constraint&, const std::string& key) {
        if (!node.IsMap()) {
            return mistake(node.Mark(), fmt::format("{}: expected a map of backends", key));
        }
        for (const auto& backend : node) {
            if (!backend.first.IsScalar() || !backend.second.IsMap()) {
                mistake(backend.first.Mark(), fmt::format("{}: expected a backend and a map of its "
                                                          "options",
                                                          key));
                continue;
            }
            PluginOptions& options = field[backend.first.Scalar()];
            std::set<std::string> seen;
            for (const auto& option : backend.second) {
                if (!option.first.IsScalar() || !option.second.IsScalar()) {
                    mistake(option.first.Mark(),
                            fmt::format("{}: expected an option and one value", key));
                } else if (!seen.insert(option.first.Scalar()).second) {
                    mistake(option.first.Mark(),
                            fmt::format("'{}' stands here a second time", option.first.Scalar()));
                } else {
                    options[option.first.Scalar()] = option.second.Scalar();
                }
            }
        }
    }

    std::string file_;
    std::vector<std::string> lines_;
    std::vector<std::string> mistakes_;
};

}  // namespace

Status read_yaml(std::string_view text, const std::string& file, EngineConfig& config) {
    const YamlLimits limits;
    if (text.size() > limits.bytes) {
        return Error{Code::kConfig, fmt::format("{}: {} bytes; a configuration has at most {}",
                                                file, text.size(), limits.bytes)};
    }
    Reader reader(text, file);
    EngineConfig read = config;
    Census census(limits);
    try {
        std::istringstream counted{std::string(text)};
        YAML::Parser parser(counted);
        parser.HandleNextDocument(census);
        reader.read(YAML::Load(std::string(text)), read);
    } catch (const YAML::Exception& e) {
        if (!census.refusal.empty() || !reader.mistake_of_tab(e.mark)) {
            reader.mistake(e.mark, census.refusal.empty() ? "not YAML: " + e.msg : census.refusal);
        }
    } catch (const std::exception& e) {
        reader.mistake(YAML::Mark::null_mark(), std::string("not YAML: ") + e.what());
    }
    TENON_CHECK(reader.finish());
    config = std::move(read);
    return {};
}

Status set_field(EngineConfig& config, std::string_view key, std::string_view value,
                 const std::string& origin) {
    const size_t dot = key.find('.');
    if (dot != std::string_view::npos && dot > 0 && dot + 1 < key.size()) {
        config.plugins[std::string(key.substr(0, dot))][std::string(key.substr(dot + 1))] = value;
        return {};
    }
    Status status = Error{Code::kConfig, origin + ": " + unknown_key(key, field_names())};
    visit_fields(config, [&](const char* name, auto& field, const Constraint& limit, const char*) {
        if (key != name) return;
        status = assign(field, value, limit);
        if (!status.ok()) {
            status = Error{Code::kConfig,
                           fmt::format("{}: {}: {}", origin, key, status.error().message)};
        }
    });
    return status;
}

}  // namespace tenon::config
