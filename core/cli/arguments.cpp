#include "core/cli/arguments.h"

#include "core/config/nearest.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <deque>

namespace tenon::cli {

struct Arguments::Impl {
    explicit Impl(std::string verb) : app("", std::move(verb)) {}

    OptionRow& add(OptionRow row) { return rows.emplace_back(std::move(row)); }

    CLI::App app;
    std::string summary;
    std::deque<OptionRow> rows;  // addresses are kept
    std::vector<SubVerb> sub_verbs;
    std::vector<std::string> examples;
};

namespace {

// Where parse() leaves the table instead of parsing; null: it parses.
OptionTable* g_described = nullptr;

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

std::string check_choice(const std::string& text, const OptionRow& row) {
    if (!row.is_checked ||
        std::find(row.choices.begin(), row.choices.end(), text) != row.choices.end()) {
        return {};
    }
    const std::string close = config::nearest(text, row.choices);
    return fmt::format("expected one of {}, got '{}'{}", fmt::join(row.choices, ", "), text,
                       close.empty() ? "" : fmt::format("; did you mean '{}'?", close));
}

std::vector<std::string> split_names(const std::string& names) {
    std::vector<std::string> parts;
    for (size_t at = 0; at <= names.size();) {
        const size_t comma = std::min(names.find(',', at), names.size());
        parts.push_back(names.substr(at, comma - at));
        at = comma + 1;
    }
    return parts;
}

OptionRow row_of(const std::string& names, const std::string& value, const std::string& text,
                 const std::string& fallback) {
    OptionRow row;
    row.names = split_names(names);
    row.value = value;
    row.text = text;
    row.fallback = fallback;
    return row;
}

}  // namespace

Arguments::Arguments(std::string verb, std::string summary) : impl_(std::make_unique<Impl>(verb)) {
    impl_->summary = std::move(summary);
    impl_->app.set_help_flag("-h,--help", "print this");
}

Arguments::~Arguments() = default;

OptionRow& Arguments::positional(const std::string& name, std::string& value,
                                 const std::string& text, bool required) {
    OptionRow& row = impl_->add(row_of(name, name, text, ""));
    row.is_positional = true;
    row.is_required = required;
    CLI::Option* option = impl_->app.add_option(name, value, text);
    option->check([&row](const std::string& given) { return check_choice(given, row); });
    if (required) option->required();
    return row;
}

OptionRow& Arguments::flag(const std::string& names, bool& value, const std::string& text) {
    impl_->app.add_flag(names, value, text);
    return impl_->add(row_of(names, "", text, ""));
}

OptionRow& Arguments::option(const std::string& names, std::string& value, const std::string& text,
                             const std::string& placeholder) {
    OptionRow& row = impl_->add(row_of(names, placeholder, text, value));
    impl_->app.add_option(names, value, text)
        ->type_size(1)
        ->expected(1)
        ->check([&row](const std::string& given) { return check_choice(given, row); });
    return row;
}

OptionRow& Arguments::option(const std::string& names, std::vector<std::string>& values,
                             const std::string& text, const std::string& placeholder) {
    OptionRow& row = impl_->add(row_of(names, placeholder, text, ""));
    row.repeats = true;
    impl_->app.add_option(names, values, text)
        ->type_size(1)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->check([&row](const std::string& given) { return check_choice(given, row); });
    return row;
}

OptionRow& Arguments::option(const std::string& names, int32_t& value, const std::string& text) {
    impl_->app.add_option(names, value, text)->check([](const std::string& given) {
        return check_whole(given, INT32_MAX);
    });
    return impl_->add(row_of(names, "N", text, std::to_string(value)));
}

OptionRow& Arguments::option(const std::string& names, uint32_t& value, const std::string& text) {
    impl_->app.add_option(names, value, text)->check([](const std::string& given) {
        return check_whole(given, UINT32_MAX);
    });
    return impl_->add(row_of(names, "N", text, std::to_string(value)));
}

OptionRow& Arguments::option(const std::string& names, uint64_t& value, const std::string& text) {
    impl_->app.add_option(names, value, text)->check([](const std::string& given) {
        return check_whole(given, UINT64_MAX);
    });
    return impl_->add(row_of(names, "N", text, std::to_string(value)));
}

OptionRow& Arguments::option(const std::string& names, float& value, const std::string& text) {
    impl_->app.add_option(names, value, text)->check(check_number);
    return impl_->add(row_of(names, "X", text, fmt::format("{}", value)));
}

void Arguments::sub_verb(const std::string& name, const std::string& summary) {
    impl_->sub_verbs.push_back({name, summary});
}

void Arguments::example(const std::string& line) { impl_->examples.push_back(line); }

OptionTable Arguments::table() const {
    return {impl_->app.get_name(), "",
            impl_->summary,        {impl_->rows.begin(), impl_->rows.end()},
            impl_->sub_verbs,      impl_->examples};
}

std::string Arguments::help() const { return help_text(table()); }

OptionTable describe(int (*run)(int argc, char** argv), std::vector<std::string> words) {
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    OptionTable table;
    g_described = &table;
    run(static_cast<int>(words.size()), pointers.data());
    g_described = nullptr;
    return table;
}

std::optional<int> Arguments::parse(int argc, char** argv) {
    if (g_described != nullptr) {
        *g_described = table();
        return kExitOk;
    }
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
