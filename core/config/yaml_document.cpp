#include "core/config/yaml_document.h"

#include "core/config/nearest.h"
#include "core/config/source_excerpt.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <optional>
#include <sstream>

namespace tenon::config {

namespace {

// Counts what a document would cost before a tree is built of it.
class Census : public YAML::EventHandler {
public:
    explicit Census(const YamlLimits& limits) : limits_(limits) {}
    std::string refusal;

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (++documents_ > 1) refuse("document", 1, mark);
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { count(mark); }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        count(mark);
        if (++aliases_ > limits_.aliases) refuse("aliases", limits_.aliases, mark);
    }
    void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  const std::string&) override {
        count(mark);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {
        open(mark);
    }
    void OnSequenceEnd() override { --depth_; }
    void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {
        open(mark);
    }
    void OnMapEnd() override { --depth_; }

private:
    void count(const YAML::Mark& mark) {
        if (++nodes_ > limits_.nodes) refuse("nodes", limits_.nodes, mark);
    }
    void open(const YAML::Mark& mark) {
        count(mark);
        if (++depth_ > limits_.depth) refuse("levels of nesting", limits_.depth, mark);
    }
    void refuse(const char* what, size_t limit, const YAML::Mark& mark) {
        refusal = fmt::format("more than {} {}", limit, what);
        throw YAML::Exception(mark, refusal);
    }
    const YamlLimits& limits_;
    size_t nodes_ = 0, depth_ = 0, aliases_ = 0, documents_ = 0;
};

}  // namespace

std::string unknown_key(std::string_view key, const std::vector<std::string>& known) {
    constexpr size_t kListed = 30;
    const std::string close = nearest(key, known);
    if (!close.empty()) return fmt::format("'{}' is not an option; did you mean '{}'?", key, close);
    const auto end = known.begin() + static_cast<ptrdiff_t>(std::min(known.size(), kListed));
    return fmt::format("'{}' is not an option; known are: {}{}", key,
                       fmt::join(known.begin(), end, ", "),
                       known.size() > kListed ? " and others: see 'tenon config explain'" : "");
}

YamlDocument::YamlDocument(std::string_view text) {
    const YamlLimits limits;
    if (text.size() > limits.bytes) {
        mistakes_.push_back(
            {0, 0,
             fmt::format("{} bytes; a configuration has at most {}", text.size(), limits.bytes),
             ""});
        return;
    }
    std::istringstream stream{std::string(text)};
    for (std::string line; std::getline(stream, line);)
        lines_.push_back(line);
    if (mistake_of_bytes(text)) return;
    Census census(limits);
    try {
        std::istringstream counted{std::string(text)};
        YAML::Parser parser(counted);
        while (parser.HandleNextDocument(census)) {
        }
        root_.reset(YAML::Load(std::string(text)));
    } catch (const YAML::Exception& e) {
        if (!census.refusal.empty() || !mistake_of_tab(e.mark)) {
            mistake(e.mark, census.refusal.empty() ? "not YAML: " + e.msg : census.refusal);
        }
    } catch (const std::exception& e) {
        mistake(YAML::Mark::null_mark(), std::string("not YAML: ") + e.what());
    }
}

void YamlDocument::mistake(const YAML::Mark& mark, const std::string& sentence) {
    // Marks count from zero; a null mark is negative.
    const size_t line = mark.line < 0 ? 0 : static_cast<size_t>(mark.line);
    const size_t column = mark.column < 0 ? 0 : static_cast<size_t>(mark.column);
    Mistake& mistake = mistakes_.emplace_back();
    mistake.line = line + 1;
    mistake.column = column + 1;
    mistake.sentence = sentence;
    if (line < lines_.size()) {
        const SourceExcerpt shown = excerpt(lines_[line], column);
        mistake.excerpt = fmt::format("    {}\n    {}^", shown.text, std::string(shown.cells, ' '));
    }
}

// True when the text has a byte that no YAML text has; everything behind it is unread.
bool YamlDocument::mistake_of_bytes(std::string_view text) {
    const std::optional<BadByte> bad = find_bad_byte(text);
    if (!bad) return false;
    YAML::Mark at;
    at.line = static_cast<int>(bad->line);
    at.column = static_cast<int>(bad->column);
    mistake(at, fmt::format("not YAML: byte 0x{:02x} is {}", bad->byte,
                            bad->byte < 0x80 ? "a control character" : "not UTF-8"));
    return true;
}

// The parser's words for an indenting tab name its consequence. True when a line down to `mark`
// has one.
bool YamlDocument::mistake_of_tab(const YAML::Mark& mark) {
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

}  // namespace tenon::config
