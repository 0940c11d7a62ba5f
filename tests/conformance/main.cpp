// The conformance suite as a program; kUsage says how it is called.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/conformance/target.h"
#include "tests/conformance/trial.h"

namespace {

using tenon::conformance::Target;

struct Arguments {
    std::string plugin;
    std::vector<tenon::host::DeviceOption> options;
    std::string filter;
    std::string expected;
    uint64_t seed = 0;
};

constexpr const char* kUsage =
    "usage: conformance --plugin PATH.so [--option k=v]... [--filter PATTERN] [--seed N]\n"
    "                   [--expected FILE]\n"
    "\n"
    "Runs the whole suite on one plugin binary.\n"
    "\n"
    "  --plugin PATH.so  the backend\n"
    "  --option k=v      an option for opening its device; may repeat\n"
    "  --filter PATTERN  only the tests with such names, as googletest reads it\n"
    "  --seed N          draw the random cases from it [a new one; printed]\n"
    "  --expected FILE   tests that are known to fail, one a line [the repository's list]\n"
    "\n"
    "Exit codes: 0 all as expected, 1 not, 2 usage, 77 the plugin sees no device here.\n";

int usage(const std::string& problem) {
    fmt::print(stderr, "conformance: {}\n{}", problem, kUsage);
    return 2;
}

// 0, or an exit code.
int parse(int argc, char** argv, Arguments& arguments) {
    arguments.seed = (uint64_t{std::random_device{}()} << 16) ^ std::random_device{}();
    for (int i = 1; i < argc; ++i) {
        const std::string flag = argv[i];
        if (i + 1 == argc) return usage(flag + " needs a value");
        const std::string value = argv[++i];
        if (flag == "--plugin") {
            arguments.plugin = value;
        } else if (flag == "--filter") {
            arguments.filter = value;
        } else if (flag == "--expected") {
            if (!std::ifstream(value)) return usage("--expected: cannot read " + value);
            arguments.expected = value;
        } else if (flag == "--option") {
            const size_t equals = value.find('=');
            if (equals == std::string::npos) return usage("--option wants k=v");
            arguments.options.push_back({value.substr(0, equals), value.substr(equals + 1)});
        } else if (flag == "--seed") {
            const auto parsed =
                std::from_chars(value.data(), value.data() + value.size(), arguments.seed);
            if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size()) {
                return usage("--seed wants a number");
            }
        } else {
            return usage(flag + " is unknown");
        }
    }
    return arguments.plugin.empty() ? usage("--plugin is missing") : 0;
}

// Lines of names; # starts a comment.
std::set<std::string> read_names(const std::string& path) {
    std::set<std::string> names;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        line = line.substr(0, line.find('#'));
        const size_t begin = line.find_first_not_of(" \t");
        if (begin == std::string::npos) continue;
        names.insert(line.substr(begin, line.find_last_not_of(" \t") + 1 - begin));
    }
    return names;
}

class Outcomes : public ::testing::EmptyTestEventListener {
public:
    void OnTestEnd(const ::testing::TestInfo& info) override {
        const std::string name = std::string(info.test_suite_name()) + "." + info.name();
        auto& set = info.result()->Skipped() ? skipped : info.result()->Passed() ? passed : failed;
        set.insert(name);
    }
    std::set<std::string> passed;
    std::set<std::string> failed;
    std::set<std::string> skipped;
};

int judge(const Outcomes& outcomes, const std::set<std::string>& expected, bool filtered) {
    int problems = 0;
    for (const std::string& name : outcomes.failed) {
        if (expected.count(name) != 0) {
            fmt::print("expected failure: {}\n", name);
        } else {
            fmt::print("FAILURE: {}\n", name);
            ++problems;
        }
    }
    for (const std::string& name : expected) {
        if (outcomes.failed.count(name) != 0) continue;
        const bool passed = outcomes.passed.count(name) != 0;
        if (!passed && (filtered || outcomes.skipped.count(name) != 0)) continue;
        fmt::print("FAILURE: {} is listed as an expected failure, but {}: remove the line\n", name,
                   passed ? "passes" : "no such test exists");
        ++problems;
    }
    return problems;
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (argc == 2 && (argv[1] == std::string("--help") || argv[1] == std::string("-h"))) {
        fmt::print("{}", kUsage);
        return 0;
    }
    if (const int code = parse(argc, argv, arguments); code != 0) return code;
    const tenon::Status opened = Target::open(arguments.plugin, arguments.options, arguments.seed);
    if (!opened.ok()) {
        fmt::print(stderr, "conformance: {}\n", opened.error().message);
        return opened.error().code == tenon::Code::kUnsupported ? 77 : 1;
    }
    Target& target = Target::instance();
    fmt::print("plugin {} {}, device {} ({}), seed {}\n", target.backend().id(),
               target.backend().version(), target.info().name, target.info().detail, target.seed());

    int gtest_argc = 1;
    ::testing::InitGoogleTest(&gtest_argc, argv);
    if (!arguments.filter.empty()) ::testing::GTEST_FLAG(filter) = arguments.filter;
    auto* outcomes = new Outcomes;  // owned by the listener list
    ::testing::UnitTest::GetInstance()->listeners().Append(outcomes);
    if (RUN_ALL_TESTS() != 0 && outcomes->failed.empty()) return 1;

    if (arguments.expected.empty()) {
        arguments.expected = TENON_SOURCE_DIR "/tests/conformance/expected_failures/" +
                             target.backend().id() + ".txt";
    }
    int problems = judge(*outcomes, read_names(arguments.expected), !arguments.filter.empty());
    const uint64_t leaked = target.close();
    if (leaked != 0) {
        fmt::print("FAILURE: {} bytes of the host's memory are held after deactivate\n", leaked);
        ++problems;
    }
    if (target.errors_logged != 0) {
        fmt::print("FAILURE: the plugin logged {} errors\n", target.errors_logged.load());
        ++problems;
    }
    fmt::print("{} passed, {} failed, {} skipped; {} comparisons, {} left out ({}); seed {}\n",
               outcomes->passed.size(), outcomes->failed.size(), outcomes->skipped.size(),
               tenon::conformance::comparisons_made(), tenon::conformance::comparisons_left_out(),
               target.computes() ? "the device computes" : "the device computes nothing",
               target.seed());
    return problems == 0 && !outcomes->passed.empty() ? 0 : 1;
}
