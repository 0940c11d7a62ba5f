#include "core/cli/manual_page.h"

#include "core/config/field_list.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::cli {

namespace {

// Text as roff takes it: hyphens that may be copied, no line that begins with a control character.
std::string roff(std::string_view text) {
    std::string out;
    bool at_start = true;
    for (const char c : text) {
        if (at_start && (c == '.' || c == '\'')) out += "\\&";
        at_start = c == '\n';
        out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
    }
    return out;
}

std::string head_of(const std::string& name, const std::string& brief, const std::string& version) {
    std::string capitals = name;
    std::transform(capitals.begin(), capitals.end(), capitals.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return fmt::format(".TH {} 1 \"\" \"tenon {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n",
                       capitals, version, roff(name), roff(brief));
}

// What may be said of the field that an option sets.
std::string field_text(const std::string& key) {
    if (key.empty()) return "";
    const std::vector<config::FieldInfo> fields = config::list_fields({});
    const config::FieldInfo* field = config::find_field(fields, key);
    if (field == nullptr) return "";
    const std::string limits = config::limits_text(*field);
    return fmt::format("Field \\fB{}\\fR of the configuration: {}{}{}.\n", roff(key),
                       roff(field->text), limits.empty() ? "" : "; ", roff(limits));
}

constexpr const char* kExitCodes =
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nAll went well.\n"
    ".TP\n.B 1\nA failure, or a mismatch where something was compared.\n"
    ".TP\n.B 2\nThe command line is wrong.\n"
    ".TP\n.B 78\nThe configuration is wrong: a file or the environment.\n";

}  // namespace

std::string page_name(const OptionTable& table) {
    std::string name = "tenon-" + table.verb;
    std::replace(name.begin(), name.end(), ' ', '-');
    return name;
}

std::string manual_page(const OptionTable& table, const std::string& version) {
    std::string out = head_of(page_name(table), table.brief, version);
    out += fmt::format(".SH SYNOPSIS\n.B tenon {}\n", table.verb);
    std::string options;
    for (const OptionRow& row : table.rows) {
        if (row.is_positional) {
            out += row.is_required ? fmt::format(".I {}\n", row.names.front())
                                   : fmt::format(".RI [ {} ]\n", row.names.front());
        }
        options += ".TP\n";
        std::string names;
        for (const std::string& name : row.names) {
            names += fmt::format("{}\\f{}{}\\fR", names.empty() ? "" : ", ",
                                 row.is_positional ? 'I' : 'B', roff(name));
        }
        if (!row.is_positional && !row.value.empty())
            names += fmt::format(" \\fI{}\\fR", row.value);
        options += names + "\n" + roff(row.text) + ".\n";
        if (!row.fallback.empty()) options += fmt::format("Without it {}.\n", roff(row.fallback));
        if (row.repeats) options += "May be given several times.\n";
        const std::string field = field_text(row.field);
        options += field;
        if (field.empty() && row.is_checked) {
            options +=
                fmt::format("One of {}.\n", roff(fmt::format("{}", fmt::join(row.choices, ", "))));
        }
    }
    out += ".RI [ options ]\n.SH DESCRIPTION\n" + roff(table.summary) + "\n";
    out += ".SH OPTIONS\n" + options + ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nPrints a summary.\n";
    if (!table.sub_verbs.empty()) {
        out += ".SH VERBS BELOW IT\n";
        for (const SubVerb& below : table.sub_verbs) {
            out += fmt::format(".TP\n.B tenon {} {}\n{}\n", table.verb, below.name,
                               roff(below.summary));
        }
    }
    out += kExitCodes;
    if (!table.examples.empty()) {
        out += ".SH EXAMPLES\n.EX\n";
        for (const std::string& line : table.examples)
            out += roff(line) + "\n";
        out += ".EE\n";
    }
    return out + ".SH SEE ALSO\n.BR tenon (1)\n";
}

std::string manual_overview(const std::vector<OptionTable>& tables, const std::string& version) {
    std::string out = head_of("tenon", "runs language models on the device at hand", version);
    out += ".SH SYNOPSIS\n.B tenon\n.I VERB\n.RI [ options ]\n.SH VERBS\n";
    for (const OptionTable& table : tables) {
        out += fmt::format(".TP\n.BR {} (1)\n{}\n", roff(page_name(table)), roff(table.summary));
    }
    out += kExitCodes;
    out +=
        ".SH ENVIRONMENT\n"
        "Each option of the configuration is read from a variable too: TENON_ and its name in "
        "capitals,\nwith _ for a dot, such as TENON_THREADS. Flags win over variables, variables "
        "over a file.\n"
        ".TP\n.B NO_COLOR\nWhen it is set, nothing is coloured; on what is no terminal nothing "
        "is.\n"
        ".TP\n.B XDG_STATE_HOME\nThe history of conversations is in tenon/history below it.\n";
    return out + ".SH SEE ALSO\nEach option's meaning: \\fBtenon config explain\\fR.\n";
}

}  // namespace tenon::cli
