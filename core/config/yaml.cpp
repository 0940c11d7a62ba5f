#include "core/config/yaml.h"

#include "core/config/field_text.h"
#include "core/config/nearest.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <type_traits>

namespace tenon::config {

namespace {

std::string unknown_key(std::string_view key, const std::vector<std::string>& known) {
    const std::string close = nearest(key, known);
    return close.empty()
               ? fmt::format("'{}' is not an option; known are: {}", key, fmt::join(known, ", "))
               : fmt::format("'{}' is not an option; did you mean '{}'?", key, close);
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

    template <Section T>
    void read(const YAML::Node& root, T& section, const std::string& path) {
        if (root.IsNull()) return;
        if (!root.IsMap()) {
            return mistake(root.Mark(), path.empty() ? "expected a map of options"
                                                     : path + ": expected a map of options");
        }
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
            visit_fields(section,
                         [&](const char* name, auto& field, const Constraint& limit, const char*) {
                             if (key != name) return;
                             known = true;
                             take(field, item.second, limit, path.empty() ? key : path + "." + key);
                         });
            if (!known) mistake(item.first.Mark(), unknown_key(key, field_names<T>()));
        }
    }

    Status finish() {
        if (mistakes_.empty()) return {};
        return Error{Code::kConfig, fmt::format("{}", fmt::join(mistakes_, "\n"))};
    }

private:
    template <Section T>
    void take(T& section, const YAML::Node& node, const Constraint&, const std::string& key) {
        if (!node.IsScalar() || short_form<T>().empty()) return read(node, section, key);
        visit_fields(section, [&](const char* name, auto& field, const Constraint& limit,
                                  const char*) {
            if (name == short_form<T>()) take(field, node, limit, key);
        });
    }

    template <class T>
        requires(!Section<T>)
    void take(T& field, const YAML::Node& node, const Constraint& limit, const std::string& key) {
        if (!node.IsScalar())
            return mistake(node.Mark(), fmt::format("{}: expected one value", key));
        const Status status = assign(field, node.Scalar(), limit);
        if (!status.ok()) mistake(node.Mark(), fmt::format("{}: {}", key, status.error().message));
    }

    void take(std::vector<std::string>& field, const YAML::Node& node, const Constraint& limit,
              const std::string& key) {
        if (!node.IsSequence())
            return mistake(node.Mark(), fmt::format("{}: expected a list", key));
        field.clear();
        for (const auto& item : node) {
            if (!item.IsScalar()) {
                mistake(item.Mark(), fmt::format("{}: expected a text", key));
                continue;
            }
            const Status status = assign(field, item.Scalar(), limit);
            if (!status.ok()) {
                mistake(item.Mark(), fmt::format("{}: {}", key, status.error().message));
            }
        }
    }

    void take(std::map<std::string, Duration>& field, const YAML::Node& node,
              const Constraint& limit, const std::string& key) {
        if (!node.IsMap()) {
            return mistake(node.Mark(), fmt::format("{}: expected a map of routes", key));
        }
        std::set<std::string> seen;
        for (const auto& item : node) {
            if (!item.first.IsScalar()) {
                mistake(item.first.Mark(), fmt::format("{}: expected a path", key));
            } else if (!seen.insert(item.first.Scalar()).second) {
                mistake(item.first.Mark(),
                        fmt::format("'{}' stands here a second time", item.first.Scalar()));
            } else {
                take(field[item.first.Scalar()], item.second, limit,
                     key + "." + item.first.Scalar());
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

template <Section T>
Status read_into(std::string_view text, const std::string& file, T& config) {
    const YamlLimits limits;
    if (text.size() > limits.bytes) {
        return Error{Code::kConfig, fmt::format("{}: {} bytes; a configuration has at most {}",
                                                file, text.size(), limits.bytes)};
    }
    Reader reader(text, file);
    T read = config;
    Census census(limits);
    try {
        std::istringstream counted{std::string(text)};
        YAML::Parser parser(counted);
        parser.HandleNextDocument(census);
        reader.read(YAML::Load(std::string(text)), read, "");
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

// Sets the field that `key` names below `section`; false when it names none.
template <Section T>
bool set_named(T& section, std::string_view key, std::string_view value, Status& status) {
    bool known = false;
    visit_fields(section, [&](const char* name, auto& field, const Constraint& limit, const char*) {
        using Field = std::remove_reference_t<decltype(field)>;
        const std::string_view own = name;
        if constexpr (Section<Field>) {
            if (key.size() > own.size() && key.starts_with(own) && key[own.size()] == '.') {
                const std::string_view rest = key.substr(own.size() + 1);
                known = true;
                if (!set_named(field, rest, value, status)) {
                    status = Error{Code::kConfig, unknown_key(rest, field_names<Field>())};
                }
            } else if (key == own && !short_form<Field>().empty()) {
                known = set_named(field, short_form<Field>(), value, status);
            }
        } else if (key == own) {
            known = true;
            status = assign(field, value, limit);
        }
    });
    return known;
}

template <Section T>
Status set_one(T& config, EngineConfig& engine, std::string_view key, std::string_view value,
               const std::string& origin) {
    Status status;
    if (set_named(config, key, value, status)) {
        if (status.ok()) return {};
        return Error{Code::kConfig,
                     fmt::format("{}: {}: {}", origin, key, status.error().message)};
    }
    const size_t dot = key.find('.');
    if (dot != std::string_view::npos && dot > 0 && dot + 1 < key.size()) {
        engine.plugins[std::string(key.substr(0, dot))][std::string(key.substr(dot + 1))] = value;
        return {};
    }
    return Error{Code::kConfig, origin + ": " + unknown_key(key, field_names<T>())};
}

// A YAML scalar: plain where that is unambiguous, else in double quotes.
std::string scalar(const std::string& text) {
    const bool plain =
        !text.empty() &&
        text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./") ==
            std::string::npos;
    if (plain) return text;
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        if (static_cast<unsigned char>(c) < 0x20) {
            quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
            quoted += c;
        }
    }
    return quoted + "\"";
}

template <Section T>
void print(const T& section, const std::string& indent, std::string& out) {
    // The visitor wants fields it could change; a copy is changed by nobody.
    T copy = section;
    visit_fields(copy, [&](const char* name, auto& field, const Constraint&, const char*) {
        using Field = std::remove_reference_t<decltype(field)>;
        out += fmt::format("{}{}:", indent, name);
        if constexpr (Section<Field>) {
            out += '\n';
            print(field, indent + "  ", out);
        } else if constexpr (std::is_same_v<Field, std::vector<std::string>>) {
            std::vector<std::string> entries;
            for (const std::string& entry : field)
                entries.push_back(scalar(entry));
            out += fmt::format(" [{}]\n", fmt::join(entries, ", "));
        } else if constexpr (std::is_same_v<Field, std::map<std::string, Duration>>) {
            out += field.empty() ? " {}\n" : "\n";
            for (const auto& [key, time] : field)
                out += fmt::format("{}  {}: {}\n", indent, scalar(key), text_of(time));
        } else if constexpr (std::is_same_v<Field, std::map<std::string, PluginOptions>>) {
            out += field.empty() ? " {}\n" : "\n";
            for (const auto& [plugin, options] : field) {
                out += fmt::format("{}  {}:{}\n", indent, scalar(plugin),
                                   options.empty() ? " {}" : "");
                for (const auto& [key, value] : options)
                    out += fmt::format("{}    {}: {}\n", indent, scalar(key), scalar(value));
            }
        } else {
            out += fmt::format(" {}\n", scalar(text_of(field)));
        }
    });
}

}  // namespace

Status read_yaml(std::string_view text, const std::string& file, EngineConfig& config) {
    return read_into(text, file, config);
}

Status read_yaml(std::string_view text, const std::string& file, ServeConfig& config) {
    return read_into(text, file, config);
}

Status set_field(EngineConfig& config, std::string_view key, std::string_view value,
                 const std::string& origin) {
    return set_one(config, config, key, value, origin);
}

Status set_field(ServeConfig& config, std::string_view key, std::string_view value,
                 const std::string& origin) {
    return set_one(config, config.engine, key, value, origin);
}

std::string to_yaml(const ServeConfig& config) {
    std::string text;
    print(config, "", text);
    return text;
}

}  // namespace tenon::config
