#include "core/cli/smoke_suite.h"

#include "core/cli/pattern.h"
#include "core/config/yaml_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <set>

namespace tenon::cli {

namespace {

constexpr size_t kCasesMax = 1000;

class SuiteReader {
public:
    SuiteReader(config::YamlDocument& document, SmokeSuite& suite)
        : document_(document), suite_(suite) {}

    void read() {
        const YAML::Node& root = document_.root();
        if (!root.IsMap()) return wrong(root, "expected a map with a list of cases");
        AnswerOptions options;
        options.sampling.temperature = 0;
        options.sampling.top_k = 0;
        options.sampling.top_p = 1;
        options.max_tokens = 32;
        const YAML::Node* cases = nullptr;
        each_key(root, {{"name", [&](const YAML::Node& node) { take(node, suite_.name); }},
                        {"model", [&](const YAML::Node& node) { take(node, suite_.model); }},
                        {"backends", [&](const YAML::Node& node) { take(node, suite_.backends); }},
                        {"near_tie", [&](const YAML::Node& node) { take(node, suite_.near_tie); }},
                        {"options", [&](const YAML::Node& node) { read_options(node, options); }},
                        {"cases", [&](const YAML::Node& node) {
                             cases_ = node;
                             cases = &cases_;
                         }}});
        if (cases == nullptr || !cases->IsSequence() || cases->size() == 0) {
            return wrong(cases != nullptr ? *cases : root, "cases: expected a list of cases");
        }
        if (cases->size() > kCasesMax) {
            return wrong(*cases, fmt::format("cases: more than {} cases", kCasesMax));
        }
        for (const auto& node : *cases)
            read_case(node, options);
    }

private:
    using Takers = std::map<std::string, std::function<void(const YAML::Node&)>>;

    void wrong(const YAML::Node& node, const std::string& sentence) {
        document_.mistake(node.Mark(), sentence);
    }

    // Calls the taker of each key; unknown and repeated keys are mistakes.
    void each_key(const YAML::Node& map, const Takers& takers) {
        std::vector<std::string> known;
        for (const auto& [name, taker] : takers)
            known.push_back(name);
        std::set<std::string> seen;
        for (const auto& item : map) {
            if (!item.first.IsScalar()) {
                wrong(item.first, "expected the name of an option");
                continue;
            }
            const std::string& key = item.first.Scalar();
            const auto taker = takers.find(key);
            if (!seen.insert(key).second) {
                wrong(item.first, fmt::format("'{}' stands here a second time", key));
            } else if (taker == takers.end()) {
                wrong(item.first, config::unknown_key(key, known));
            } else {
                taker->second(item.second);
            }
        }
    }

    void take(const YAML::Node& node, std::string& field) {
        if (!node.IsScalar()) return wrong(node, "expected a text");
        field = node.Scalar();
    }
    void take(const YAML::Node& node, bool& field) {
        if (!node.IsScalar() || (node.Scalar() != "true" && node.Scalar() != "false")) {
            return wrong(node, "expected true or false");
        }
        field = node.Scalar() == "true";
    }
    void take(const YAML::Node& node, double& field) {
        const std::string text = node.IsScalar() ? node.Scalar() : "";
        double number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc{} || end != text.data() + text.size() ||
            !(number >= 0 && number <= 100)) {
            return wrong(node, fmt::format("expected a number from 0 to 100, got '{}'", text));
        }
        field = number;
    }
    // One text, or a list of them.
    void take(const YAML::Node& node, std::vector<std::string>& field) {
        field.clear();
        if (node.IsScalar()) {
            field.push_back(node.Scalar());
        } else if (node.IsSequence()) {
            for (const auto& item : node)
                take(item, field.emplace_back());
        } else {
            wrong(node, "expected a text or a list of texts");
        }
    }
    void take(const YAML::Node& node, std::vector<int32_t>& field) {
        if (!node.IsSequence() || node.size() == 0)
            return wrong(node, "expected a list of token ids");
        for (const auto& item : node) {
            const std::string text = item.IsScalar() ? item.Scalar() : "";
            int32_t id = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
            if (error != std::errc{} || end != text.data() + text.size() || id < 0) {
                wrong(item, fmt::format("expected a token id, got '{}'", text));
            } else {
                field.push_back(id);
            }
        }
    }
    void take(const YAML::Node& node, std::vector<chat_template::Message>& field) {
        if (!node.IsSequence() || node.size() == 0)
            return wrong(node, "expected a list of messages");
        for (const auto& item : node) {
            if (!item.IsMap()) {
                wrong(item, "expected a message with role and content");
                continue;
            }
            chat_template::Message& message = field.emplace_back();
            each_key(item, {{"role", [&](const YAML::Node& n) { take(n, message.role); }},
                            {"content", [&](const YAML::Node& n) { take(n, message.content); }}});
            if (message.role != "system" && message.role != "user" && message.role != "assistant") {
                wrong(item, fmt::format("role: expected system, user or assistant, got '{}'",
                                        message.role));
            }
        }
    }

    void set_option(const YAML::Node& node, AnswerOptions& options, const std::string& name) {
        if (name == "stop") return take(node, options.stop);
        if (!node.IsScalar()) return wrong(node, name + ": expected one value");
        const Status status = set_answer_option(options, name, node.Scalar());
        if (!status.ok()) wrong(node, status.error().message);
    }

    Takers option_takers(AnswerOptions& options) {
        Takers takers;
        for (const AnswerSetting& setting : list_answer_options(options)) {
            takers[setting.name] = [this, &options, name = setting.name](const YAML::Node& node) {
                set_option(node, options, name);
            };
        }
        return takers;
    }

    void read_options(const YAML::Node& node, AnswerOptions& options) {
        if (!node.IsMap()) return wrong(node, "options: expected a map of options");
        each_key(node, option_takers(options));
    }

    void read_expectation(const YAML::Node& node, SmokeExpectation& expect) {
        if (!node.IsMap()) return wrong(node, "expect: expected a map");
        each_key(node, {{"tokens", [&](const YAML::Node& n) { take(n, expect.tokens); }},
                        {"text", [&](const YAML::Node& n) { take(n, expect.text); }},
                        {"contains", [&](const YAML::Node& n) { take(n, expect.contains); }},
                        {"regex",
                         [&](const YAML::Node& n) {
                             take(n, expect.regex);
                             const Result<Pattern> pattern = Pattern::compile(expect.regex);
                             if (!pattern.ok()) wrong(n, pattern.error().message);
                         }},
                        {"finish", [&](const YAML::Node& n) {
                             take(n, expect.finish);
                             if (expect.finish != "stop" && expect.finish != "length") {
                                 wrong(n, fmt::format("finish: expected stop or length, got '{}'",
                                                      expect.finish));
                             }
                         }}});
    }

    void read_case(const YAML::Node& node, const AnswerOptions& options) {
        if (!node.IsMap()) return wrong(node, "expected a case: a map with a prompt");
        SmokeCase& one = suite_.cases.emplace_back();
        one.options = options;
        one.line = static_cast<size_t>(std::max(0, node.Mark().line)) + 1;
        std::string system;
        Takers takers = option_takers(one.options);
        takers["name"] = [&](const YAML::Node& n) { take(n, one.name); };
        takers["prompt"] = [&](const YAML::Node& n) { take(n, one.prompt); };
        takers["raw"] = [&](const YAML::Node& n) { take(n, one.is_raw); };
        takers["system"] = [&](const YAML::Node& n) { take(n, system); };
        takers["messages"] = [&](const YAML::Node& n) { take(n, one.messages); };
        takers["expect"] = [&](const YAML::Node& n) { read_expectation(n, one.expect); };
        each_key(node, takers);
        if (one.name.empty()) one.name = fmt::format("case {}", suite_.cases.size());
        if (!names_.insert(one.name).second) {
            wrong(node, fmt::format("name: '{}' is the name of an earlier case", one.name));
        }
        if (one.prompt.empty() == one.messages.empty()) {
            wrong(node, "expected either a prompt or messages");
        } else if (one.is_raw && (one.prompt.empty() || !system.empty())) {
            wrong(node, "raw: a prompt alone is taken as it is, without messages or system");
        } else if (!one.is_raw && one.messages.empty()) {
            if (!system.empty()) one.messages.push_back({"system", system});
            one.messages.push_back({"user", one.prompt});
        }
        if (!one.expect.tokens.empty() && one.options.sampling.temperature != 0) {
            wrong(node, "tokens: only a temperature of 0 gives the same ones each time");
        }
    }

    config::YamlDocument& document_;
    SmokeSuite& suite_;
    YAML::Node cases_;
    std::set<std::string> names_;
};

}  // namespace

std::vector<config::Mistake> parse_suite(std::string_view text, const std::string& name,
                                         SmokeSuite& suite) {
    config::YamlDocument document(text);
    SmokeSuite read;
    read.name = name;
    if (document.mistakes().empty()) {
        try {
            SuiteReader(document, read).read();
        } catch (const YAML::Exception& e) {
            document.mistake(e.mark, "not YAML: " + e.msg);
        }
    }
    if (document.mistakes().empty()) suite = std::move(read);
    return document.mistakes();
}

}  // namespace tenon::cli
