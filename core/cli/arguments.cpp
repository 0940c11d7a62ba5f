#include "core/cli/arguments.h"

#include "core/config/nearest.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

namespace tenon::cli {

struct Arguments::Impl {
    struct Row {
        std::string left;
        std::string text;
        bool positional;
    };

    explicit Impl(std::string verb) : app("", std::move(verb)) {}
    CLI::App app;
    std::string summary;
    std::vector<Row> rows;
    std::vector<std::string> examples;
};

namespace {

std::string with_default(const std::string& text, const std::string& value) {
    return value.empty() ? text : fmt::format("{} [{}]", text, value);
}

}  // namespace

Arguments::Arguments(std::string verb, std::string summary) : impl_(std::make_unique<Impl>(verb)) {
    impl_->summary = std::move(summary);
    impl_->app.set_help_flag("-h,--help", "print this");
}

Arguments::~Arguments() = default;

void Arguments::positional(const std::string& name, std::string& value, const std::string& text,
                           bool required) {
    CLI::Option* option = impl_->app.add_option(name, value, text);
    if (required) option->required();
    impl_->rows.push_back({required ? name : fmt::format("[{}]", name), text, true});
}

void Arguments::flag(const std::string& names, bool& value, const std::string& text) {
    impl_->app.add_flag(names, value, text);
    impl_->rows.push_back({names, text, false});
}

void Arguments::option(const std::string& names, std::string& value, const std::string& text,
                       const std::string& placeholder) {
    impl_->app.add_option(names, value, text)->type_size(1)->expected(1);
    impl_->rows.push_back({names + " " + placeholder, with_default(text, value), false});
}

void Arguments::option(const std::string& names, std::vector<std::string>& values,
                       const std::string& text, const std::string& placeholder) {
    impl_->app.add_option(names, values, text)
        ->type_size(1)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    impl_->rows.push_back({names + " " + placeholder, text, false});
}

void Arguments::option(const std::string& names, uint32_t& value, const std::string& text) {
    impl_->app.add_option(names, value, text);
    impl_->rows.push_back({names + " N", with_default(text, std::to_string(value)), false});
}

void Arguments::option(const std::string& names, uint64_t& value, const std::string& text) {
    impl_->app.add_option(names, value, text);
    impl_->rows.push_back({names + " N", with_default(text, std::to_string(value)), false});
}

void Arguments::option(const std::string& names, float& value, const std::string& text) {
    impl_->app.add_option(names, value, text);
    impl_->rows.push_back({names + " X", with_default(text, fmt::format("{}", value)), false});
}

void Arguments::example(const std::string& line) {
    impl_->examples.push_back(line);
}

std::string Arguments::help() const {
    std::string usage = "usage: tenon " + impl_->app.get_name();
    for (const auto& row : impl_->rows) {
        if (row.positional) usage += " " + row.left;
    }
    std::string text = fmt::format("{} [options]\n\n{}\n\n", usage, impl_->summary);
    size_t width = 0;
    for (const auto& row : impl_->rows)
        width = std::max(width, row.left.size());
    width = std::min<size_t>(width, 26);
    for (const auto& row : impl_->rows) {
        text += row.left.size() > width
                    ? fmt::format("  {}\n  {:{}}  {}\n", row.left, "", width, row.text)
                    : fmt::format("  {:{}}  {}\n", row.left, width, row.text);
    }
    if (!impl_->examples.empty()) text += "\nexamples:\n";
    for (const std::string& line : impl_->examples)
        text += "  " + line + "\n";
    return text;
}

std::optional<int> Arguments::parse(int argc, char** argv) {
    const std::string verb = impl_->app.get_name();
    std::vector<std::string> names;
    for (const CLI::Option* option : impl_->app.get_options()) {
        for (const std::string& name : option->get_lnames())
            names.push_back("--" + name);
    }
    // Said before parsing, so that a mistyped option is not taken for a positional's text.
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--") break;
        if (word.rfind("--", 0) != 0 || word.size() < 3) continue;
        const std::string name = word.substr(0, word.find('='));
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        const std::string close = config::nearest(name, names);
        fmt::print(stderr, "tenon {}: unknown option '{}'{}\nTry 'tenon {} --help'.\n", verb, name,
                   close.empty() ? "" : fmt::format("; did you mean '{}'?", close), verb);
        return kExitUsage;
    }
    try {
        impl_->app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        fmt::print("{}", help());
        return kExitOk;
    } catch (const CLI::ParseError& error) {
        fmt::print(stderr, "tenon {}: {}\nTry 'tenon {} --help'.\n", verb, error.what(), verb);
        return kExitUsage;
    }
    return std::nullopt;
}

bool Arguments::given(const std::string& name) const {
    const CLI::Option* option = impl_->app.get_option_no_throw("--" + name);
    return option != nullptr && option->count() > 0;
}

}  // namespace tenon::cli
