// tenon config schema|explain|check: what may be configured, what is, and what is wrong with a file.
#include "core/base/json_writer.h"
#include "core/cli/serve_arguments.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/config/environment.h"
#include "core/config/field_list.h"
#include "core/config/nearest.h"
#include "core/config/source_excerpt.h"
#include "core/config/yaml.h"
#include "core/engine/plugin_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace tenon::cli {

namespace {

int run_schema(int argc, char** argv) {
    Arguments arguments("config schema",
                        "Prints the JSON Schema (2020-12) of a configuration file.");
    arguments.example("tenon config schema > tenon.schema.json");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    fmt::print("{}", config::json_schema());
    return kExitOk;
}

struct Setting {
    config::FieldInfo field;
    std::string initial;             // its default
    std::string origin;              // empty: the default
    std::vector<std::string> flags;  // of `tenon serve`
};

// Names of options that set a field.
std::vector<std::string> flags_of(const std::string& field) {
    static const OptionTable table = [] {
        Arguments arguments("serve", "");
        const ServeArguments serve(arguments);
        return arguments.table();
    }();
    std::vector<std::string> flags;
    for (const OptionRow& row : table.rows) {
        if (row.field == field) flags.insert(flags.end(), row.names.begin(), row.names.end());
    }
    return flags;
}

std::vector<Setting> settings_of(const config::ServeConfig& config,
                                 const config::Origins& origins) {
    const std::vector<config::FieldInfo> initial = config::list_fields({});
    std::vector<Setting> settings;
    for (config::FieldInfo& field : config::list_fields(config)) {
        Setting setting;
        setting.initial = config::find_field(initial, field.key)->value;
        const auto origin = origins.find(field.key);
        if (origin != origins.end()) setting.origin = origin->second;
        setting.flags = flags_of(field.key);
        setting.field = std::move(field);
        settings.push_back(std::move(setting));
    }
    return settings;
}

void print_one(const Setting& setting) {
    const config::FieldInfo& field = setting.field;
    const std::string limits = config::limits_text(field);
    fmt::print("{}: {}\n    {}\n", field.key, field.value, field.text);
    fmt::print("    from      {}\n", setting.origin.empty() ? "default" : setting.origin);
    if (!setting.origin.empty()) fmt::print("    default   {}\n", setting.initial);
    fmt::print("    takes     {}{}{}\n", field.type, limits.empty() ? "" : ", ", limits);
    fmt::print("    variable  {}\n", config::variable_of(field.key));
    if (!setting.flags.empty()) {
        fmt::print("    serve     {}\n", fmt::join(setting.flags, ", "));
    }
}

void print_json(const std::vector<Setting>& settings) {
    JsonWriter out;
    out.begin_object().key("fields").begin_array();
    for (const Setting& setting : settings) {
        const config::FieldInfo& field = setting.field;
        out.begin_object().field("key", field.key).field("value", field.value);
        out.field("default", setting.initial);
        out.field("origin", setting.origin.empty() ? "default" : setting.origin);
        out.field("type", field.type).field("limits", config::limits_text(field));
        out.field("unit", field.limit.unit).array("choices", field.limit.choices);
        out.field("text", field.text).field("variable", config::variable_of(field.key));
        out.array("flags", setting.flags).end_object();
    }
    out.end_array().end_object();
    fmt::print("{}\n", out.text());
}

// Fills `config` as `tenon serve` would; the exit code when that fails.
std::optional<int> read_all(const std::string& file, const std::vector<std::string>& sets,
                            config::ServeConfig& config, config::Origins& origins) {
    constexpr std::string_view kVerb = "config explain";
    if (!file.empty()) {
        Result<std::string> text = read_text(file);
        if (!text.ok()) return report(kVerb, {Code::kConfig, text.error().message});
        const Status read = config::read_yaml(*text, file, config, &origins);
        if (!read.ok()) return report(kVerb, read.error());
    }
    if (const Status read = config::read_environment(config, {}, &origins); !read.ok()) {
        return report(kVerb, read.error());
    }
    for (const std::string& setting : sets) {
        const size_t equals = setting.find('=');
        Status set =
            Error{Code::kInvalid, fmt::format("--set: expected KEY=VALUE, got '{}'", setting)};
        if (equals != std::string::npos) {
            const std::string key = setting.substr(0, equals);
            set = config::set_field(config, key, setting.substr(equals + 1), "--set");
            const bool known = config::find_field(config::list_fields(config), key) != nullptr;
            origins[known ? key : "plugins"] = "--set " + setting;
        }
        if (!set.ok()) {
            report(kVerb, set.error());
            return kExitUsage;
        }
    }
    return std::nullopt;
}

int run_explain(int argc, char** argv) {
    std::string field, file;
    std::vector<std::string> sets;
    bool json = false;
    Arguments arguments("config explain",
                        "Prints each option's value in force and where it comes from: the default, "
                        "FILE:LINE,\na $VARIABLE or --set. With FIELD also what it does, takes and "
                        "is called elsewhere.");
    OptionRow& row =
        arguments.positional("FIELD", field, "an option, or a section such as limits", false);
    for (const config::FieldInfo& known : config::list_fields({}))
        row.choices.push_back(known.key);
    arguments.option("--config", file, "YAML file with options", "FILE");
    arguments.option("--set", sets, "any option, such as limits.n=4", "KEY=VALUE");
    arguments.flag("--json", json, "one object: fields");
    arguments.example("tenon config explain --config serve.yaml");
    arguments.example("tenon config explain limits.body_bytes");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    config::ServeConfig config;
    config::Origins origins;
    if (const auto code = read_all(file, sets, config, origins)) return *code;
    const std::vector<Setting> all = settings_of(config, origins);
    std::vector<Setting> wanted;
    for (const Setting& setting : all) {
        const std::string& key = setting.field.key;
        if (field.empty() || key == field || key.starts_with(field + "."))
            wanted.push_back(setting);
    }
    if (wanted.empty()) {
        std::vector<std::string> known;
        for (const Setting& setting : all) {
            known.push_back(setting.field.key);
            const size_t dot = setting.field.key.find('.');
            if (dot != std::string::npos) known.push_back(setting.field.key.substr(0, dot));
        }
        const std::string close = config::nearest(field, known);
        fmt::print(stderr, "tenon config explain: '{}' is not an option{}\n", field,
                   close.empty() ? "; 'tenon config explain' lists all"
                                 : fmt::format("; did you mean '{}'?", close));
        return kExitUsage;
    }
    if (json) {
        print_json(wanted);
        return kExitOk;
    }
    if (!field.empty()) {
        for (const Setting& setting : wanted)
            print_one(setting);
        return kExitOk;
    }
    for (const Setting& setting : wanted) {
        fmt::print("{:32} {:24} {}\n", setting.field.key, setting.field.value,
                   setting.origin.empty() ? "default" : setting.origin);
    }
    return kExitOk;
}

std::vector<std::string_view> split_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

// Rules between fields, each at a line of the file that sets a field it names.
std::vector<config::Mistake> broken_rules(std::string_view text, const config::ServeConfig& config,
                                          const config::Origins& origins) {
    std::vector<config::Mistake> mistakes;
    const Status rules = config::check(config);
    if (rules.ok()) return mistakes;
    std::vector<std::string_view> lines = split_lines(text);
    for (const std::string_view sentence : split_lines(rules.error().message)) {
        config::Mistake& mistake = mistakes.emplace_back();
        mistake.sentence = sentence;
        const std::string field = mistake.sentence.substr(0, mistake.sentence.find(':'));
        for (const auto& [name, place] : origins) {
            if (name != field && !name.starts_with(field + ".")) continue;
            const std::string number = place.substr(place.rfind(':') + 1);
            std::from_chars(number.data(), number.data() + number.size(), mistake.line);
            if (mistake.line == 0 || mistake.line > lines.size()) break;
            const std::string_view line = lines[mistake.line - 1];
            mistake.column = std::min(line.find_first_not_of(' '), line.size()) + 1;
            const config::SourceExcerpt shown = config::excerpt(line, mistake.column - 1);
            mistake.excerpt =
                fmt::format("    {}\n    {}^", shown.text, std::string(shown.cells, ' '));
            break;
        }
    }
    return mistakes;
}

int run_check(int argc, char** argv) {
    std::string file, reader = "serve";
    bool json = false;
    Arguments arguments(
        "config check",
        "Says everything that is wrong with a configuration file, and where: also "
        "with the options\nof plugins, as the manifests of those found declare them.");
    arguments.positional("FILE", file, "YAML file with options; -: standard input");
    arguments
        .option("--for", reader, "the verb that will read it; run stands for all but serve", "VERB")
        .one_of({"serve", "run"});
    arguments.flag("--json", json, "one object: ok, mistakes");
    arguments.example("tenon config check serve.yaml");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    Result<std::string> text = read_text(file);
    if (!text.ok()) return report("config check", {Code::kConfig, text.error().message});
    std::vector<config::Mistake> mistakes;
    if (reader == "run") {
        config::EngineConfig config;
        mistakes =
            config::find_mistakes(*text, file, config, nullptr, engine::find_plugin_mistakes);
    } else {
        config::ServeConfig config;
        config::Origins origins;
        mistakes =
            config::find_mistakes(*text, file, config, &origins, engine::find_plugin_mistakes);
        if (mistakes.empty()) mistakes = broken_rules(*text, config, origins);
    }
    if (json) {
        JsonWriter out;
        out.begin_object().field("ok", mistakes.empty()).key("mistakes").begin_array();
        for (const config::Mistake& mistake : mistakes) {
            out.begin_object().field("file", file).field("line", mistake.line);
            out.field("column", mistake.column).field("text", mistake.sentence).end_object();
        }
        out.end_array().end_object();
        fmt::print("{}\n", out.text());
    } else if (mistakes.empty()) {
        fmt::print("{}: no mistakes\n", file);
    }
    if (!json) {
        for (const config::Mistake& mistake : mistakes)
            fmt::print(stderr, "{}\n", mistake.to_text(file));
        if (!mistakes.empty()) {
            fmt::print(stderr, "tenon config check: {} mistake{} in {}\n", mistakes.size(),
                       mistakes.size() == 1 ? "" : "s", file);
        }
    }
    return mistakes.empty() ? kExitOk : kExitConfig;
}

int run(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (what == "schema") return run_schema(argc - 1, argv + 1);
    if (what == "explain") return run_explain(argc - 1, argv + 1);
    if (what == "check") return run_check(argc - 1, argv + 1);
    std::string action;
    Arguments arguments("config", "Explains and checks options.");
    arguments.positional("VERB", action, "one of those below")
        .one_of({"schema", "explain", "check"});
    arguments.sub_verb("schema", "the JSON Schema of a configuration file");
    arguments.sub_verb("explain", "every option's value and where it comes from");
    arguments.sub_verb("check", "everything that is wrong with a file");
    const auto code = arguments.parse(argc, argv);
    return code ? *code : kExitUsage;
}

}  // namespace

extern const Verb kVerb_config;
const Verb kVerb_config = {"config", "explain and check options", true, run};

}  // namespace tenon::cli
