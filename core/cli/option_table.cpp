#include "core/cli/option_table.h"

#include "core/config/field_list.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::cli {

namespace {

constexpr size_t kLeftMax = 26;  // columns of names before texts start on a line of their own

std::string left_of(const OptionRow& row) {
    if (row.is_positional) {
        return row.is_required ? row.names.front() : fmt::format("[{}]", row.names.front());
    }
    return fmt::format("{}{}{}", fmt::join(row.names, ","), row.value.empty() ? "" : " ",
                       row.value);
}

}  // namespace

OptionRow& OptionRow::one_of(std::vector<std::string> values) {
    choices = std::move(values);
    is_checked = true;
    return *this;
}

OptionRow& OptionRow::propose(std::vector<std::string> values) {
    choices = std::move(values);
    return *this;
}

OptionRow& OptionRow::sets(const std::string& name) {
    static const std::vector<config::FieldInfo> fields = config::list_fields({});
    field = name;
    if (const config::FieldInfo* found = config::find_field(fields, name)) {
        choices.assign(found->limit.choices.begin(), found->limit.choices.end());
        if (found->type == "true or false" && !value.empty()) choices = {"true", "false"};
    }
    return *this;
}

std::string help_text(const OptionTable& table) {
    struct Line {
        std::string left, text;
    };
    std::vector<Line> lines;
    std::string usage = "usage: tenon " + table.verb;
    for (const OptionRow& row : table.rows) {
        if (!row.is_positional) continue;
        usage += " " + left_of(row);
        lines.push_back({left_of(row), row.text});
    }
    for (const OptionRow& row : table.rows) {
        if (row.is_positional) continue;
        lines.push_back({left_of(row), row.fallback.empty()
                                           ? row.text
                                           : fmt::format("{} [{}]", row.text, row.fallback)});
    }
    size_t width = 0;
    for (const Line& line : lines)
        width = std::max(width, line.left.size());
    for (const SubVerb& below : table.sub_verbs)
        width = std::max(width, table.verb.size() + 1 + below.name.size());
    width = std::min(width, kLeftMax);
    std::string text = fmt::format("{} [options]\n\n{}\n\n", usage, table.summary);
    for (const Line& line : lines) {
        text += line.left.size() > width
                    ? fmt::format("  {}\n  {:{}}  {}\n", line.left, "", width, line.text)
                    : fmt::format("  {:{}}  {}\n", line.left, width, line.text);
    }
    if (!table.sub_verbs.empty()) text += "\nverbs below it, each with --help:\n";
    for (const SubVerb& below : table.sub_verbs)
        text += fmt::format("  {:{}}  {}\n", table.verb + " " + below.name, width, below.summary);
    if (!table.examples.empty()) text += "\nexamples:\n";
    for (const std::string& line : table.examples)
        text += "  " + line + "\n";
    return text;
}

}  // namespace tenon::cli
