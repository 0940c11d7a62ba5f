#include "core/cli/arguments.h"

#include "core/config/nearest.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
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

// A validator of CLI11: empty when `text` is a whole number from 0 to `max`.
std::string check_whole(const std::string& text, uint64_t max) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size() && number <= max &&
        (text.size() == 1 || text.front() != '0')) {
        return {};
    }
    return fmt::format("expected a whole number from 0 to {}, got '{}'", max, text);
}

std::string check_number(const std::string& text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size()) return {};
    return fmt::format("expected a number, got '{}'", text);
}

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
    impl_->app.add_option(names, value, text)->check([](const std::string& given) {
        return check_whole(given, UINT32_MAX);
    });
    impl_->rows.push_back({names + " N", with_default(text, std::to_string(value)), false});
}

void Arguments::option(const std::string& names, uint64_t& value, const std::string& text) {
    impl_->app.add_option(names, value, text)->check([](const std::string& given) {
        return check_whole(given, UINT64_MAX);
    });
    impl_->rows.push_back({names + " N", with_default(text, std::to_string(value)), false});
}

void Arguments::option(const std::string& names, float& value, const std::string& text) {
    impl_->app.add_option(names, value, text)->check(check_number);
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
    for (const bool positional : {true, false}) {
        for (const auto& row : impl_->rows) {
            if (row.positional != positional) continue;
            text += row.left.size() > width
                        ? fmt::format("  {}\n  {:{}}  {}\n", row.left, "", width, row.text)
                        : fmt::format("  {:{}}  {}\n", row.left, width, row.text);
        }
    }
    if (!impl_->examples.empty()) text += "\nexamples:\n";
    for (const std::string& line : impl_->examples)
        text += "  " + line + "\n";
    return text;
}

std::optional<int> Arguments::parse(int argc, char** argv) {
    const std::string verb = impl_->app.get_name();
    std::vector<std::string> names, with_value;
    for (const CLI::Option* option : impl_->app.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            names.push_back("--" + name);
            if (option->get_expected_min() > 0) with_value.push_back(names.back());
        }
        for (const std::string& name : option->get_snames())
            if (option->get_expected_min() > 0) with_value.push_back("-" + name);
    }
    // Said before parsing, so that a mistyped option is not taken for a positional's text.
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--") break;
        if (std::find(with_value.begin(), with_value.end(), word) != with_value.end()) {
            ++i;  // its value may look like an option
            continue;
        }
        if (word.rfind("--", 0) != 0 || word.size() < 3) continue;
        const std::string name = word.substr(0, word.find('='));
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        const std::string close = config::nearest(name, names);
        fmt::print(stderr, "tenon {}: unknown option '{}'{}\nTry 'tenon {} --help'.\n", verb, name,
                   close.empty() ? "" : fmt::format("; did you mean '{}'?", close), verb);
        return kExitUsage;
    }
    std::string mistake;
    try {
        impl_->app.allow_extras();
        impl_->app.parse(argc, argv);
        std::vector<std::string> extras = impl_->app.remaining();
        extras.erase(std::remove(extras.begin(), extras.end(), "--"), extras.end());
        if (extras.empty()) return std::nullopt;
        mistake = extras.front().size() > 1 && extras.front().front() == '-'
                      ? fmt::format("unknown option '{}'", extras.front())
                      : fmt::format("unexpected argument '{}'", extras.front());
    } catch (const CLI::CallForHelp&) {
        fmt::print("{}", help());
        return kExitOk;
    } catch (const CLI::ArgumentMismatch& error) {
        const std::string text = error.what();
        const std::string name = text.substr(0, text.find(':'));
        const bool repeated = impl_->app.count(name) > 1;
        mistake = fmt::format("{}: {}", name,
                              repeated ? "expected once, got several" : "a value is missing");
    } catch (const CLI::RequiredError& error) {
        const std::string text = error.what();
        mistake = text.substr(0, text.find(' ')) + " is missing";
    } catch (const CLI::ParseError& error) {
        mistake = error.what();
    }
    fmt::print(stderr, "tenon {}: {}\nTry 'tenon {} --help'.\n", verb, mistake, verb);
    return kExitUsage;
}

bool Arguments::given(const std::string& name) const {
    const CLI::Option* option = impl_->app.get_option_no_throw("--" + name);
    if (option == nullptr) option = impl_->app.get_option_no_throw(name);
    return option != nullptr && option->count() > 0;
}

}  // namespace tenon::cli
