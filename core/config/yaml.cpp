#include "core/config/yaml.h"

#include "core/config/field_text.h"
#include "core/config/yaml_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <type_traits>
#include <utility>

namespace tenon::config {

namespace {

// Walks one document and collects every mistake.
class Reader {
public:
    // `origins` gets the place of every field that the document sets.
    Reader(YamlDocument& document, std::string file, Origins& origins)
        : document_(document), file_(std::move(file)), origins_(origins) {}

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
                             const std::string full = path.empty() ? key : path + "." + key;
                             note(full, item.first.Mark());
                             take(field, item.second, limit, full);
                         });
            if (!known) mistake(item.first.Mark(), unknown_key(key, field_names<T>()));
        }
    }

    // Each at the place where the document has what it is about.
    void add(const std::vector<PluginMistake>& mistakes) {
        for (const PluginMistake& one : mistakes) {
            const auto found = plugin_marks_.find({one.plugin, one.key});
            const PluginMarks marks = found == plugin_marks_.end() ? PluginMarks() : found->second;
            mistake(one.is_value ? marks.value : marks.name, one.sentence);
        }
    }

private:
    struct PluginMarks {
        YAML::Mark name = YAML::Mark::null_mark(), value = YAML::Mark::null_mark();
    };

    void mistake(const YAML::Mark& mark, const std::string& sentence) {
        document_.mistake(mark, sentence);
    }
    void note(const std::string& key, const YAML::Mark& mark) {
        origins_[key] = fmt::format("{}:{}", file_, mark.line + 1);
    }

    template <Section T>
    void take(T& section, const YAML::Node& node, const Constraint&, const std::string& key) {
        if (!node.IsScalar() || short_form<T>().empty()) return read(node, section, key);
        visit_fields(section,
                     [&](const char* name, auto& field, const Constraint& limit, const char*) {
                         if (name != short_form<T>()) return;
                         take(field, node, limit, key);
                         note(key + "." + name, node.Mark());
                     });
    }

    template <class T>
    requires(!Section<T>) void take(T& field, const YAML::Node& node, const Constraint& limit,
                                    const std::string& key) {
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
            const std::string& plugin = backend.first.Scalar();
            plugin_marks_[{plugin, ""}] = {backend.first.Mark(), backend.second.Mark()};
            PluginOptions& options = field[plugin];
            std::set<std::string> seen;
            for (const auto& option : backend.second) {
                if (!option.first.IsScalar() || !option.second.IsScalar()) {
                    mistake(option.first.Mark(),
                            fmt::format("{}: expected an option and one value", key));
                } else if (!seen.insert(option.first.Scalar()).second) {
                    mistake(option.first.Mark(),
                            fmt::format("'{}' stands here a second time", option.first.Scalar()));
                } else {
                    const std::string& name = option.first.Scalar();
                    options[name] = option.second.Scalar();
                    plugin_marks_[{plugin, name}] = {option.first.Mark(), option.second.Mark()};
                    note(fmt::format("{}.{}.{}", key, plugin, name), option.first.Mark());
                }
            }
        }
    }

    YamlDocument& document_;
    std::string file_;
    Origins& origins_;
    std::map<std::pair<std::string, std::string>, PluginMarks> plugin_marks_;  // by plugin and key
};

const EngineConfig& engine_of(const EngineConfig& config) { return config; }
const EngineConfig& engine_of(const ServeConfig& config) { return config.engine; }

template <Section T>
std::vector<Mistake> read_into(std::string_view text, const std::string& file, T& config,
                               Origins* origins, const PluginCheck& check) {
    YamlDocument document(text);
    Origins found;
    T read = config;
    if (document.mistakes().empty()) {
        try {
            Reader reader(document, file, found);
            reader.read(document.root(), read, "");
            if (check) reader.add(check(engine_of(read)));
        } catch (const YAML::Exception& e) {
            document.mistake(e.mark, "not YAML: " + e.msg);
        }
    }
    if (!document.mistakes().empty()) {
        std::vector<Mistake> mistakes = document.mistakes();
        std::stable_sort(mistakes.begin(), mistakes.end(), [](const Mistake& a, const Mistake& b) {
            return std::tie(a.line, a.column) < std::tie(b.line, b.column);
        });
        return mistakes;
    }
    config = std::move(read);
    if (origins != nullptr) {
        for (auto& [field, place] : found)
            (*origins)[field] = std::move(place);
    }
    return {};
}

Status first_to_last(const std::vector<Mistake>& mistakes, const std::string& file) {
    if (mistakes.empty()) return {};
    std::string text;
    for (const Mistake& mistake : mistakes)
        text += (text.empty() ? "" : "\n") + mistake.to_text(file);
    return Error{Code::kConfig, text};
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
        return Error{Code::kConfig, fmt::format("{}: {}: {}", origin, key, status.error().message)};
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
        !text.empty() && text.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./") ==
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

std::string Mistake::to_text(const std::string& file) const {
    if (line == 0) return fmt::format("{}: {}", file, sentence);
    return fmt::format("{}:{}:{}: {}{}{}", file, line, column, sentence,
                       excerpt.empty() ? "" : "\n", excerpt);
}

std::vector<Mistake> find_mistakes(std::string_view text, const std::string& file,
                                   EngineConfig& config, Origins* origins,
                                   const PluginCheck& check) {
    return read_into(text, file, config, origins, check);
}

std::vector<Mistake> find_mistakes(std::string_view text, const std::string& file,
                                   ServeConfig& config, Origins* origins,
                                   const PluginCheck& check) {
    return read_into(text, file, config, origins, check);
}

Status read_yaml(std::string_view text, const std::string& file, EngineConfig& config,
                 Origins* origins) {
    return first_to_last(read_into(text, file, config, origins, {}), file);
}

Status read_yaml(std::string_view text, const std::string& file, ServeConfig& config,
                 Origins* origins) {
    return first_to_last(read_into(text, file, config, origins, {}), file);
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
