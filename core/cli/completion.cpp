#include "core/cli/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace tenon::cli {

namespace {

std::vector<const OptionRow*> positionals(const OptionTable& table) {
    std::vector<const OptionRow*> rows;
    for (const OptionRow& row : table.rows)
        if (row.is_positional) rows.push_back(&row);
    return rows;
}

bool is_below(const OptionTable& table) { return table.verb.find(' ') != std::string::npos; }

// Verbs of the first word, and "bench serve" of the first two.
std::vector<std::string> names_of(const std::vector<OptionTable>& tables, bool below) {
    std::vector<std::string> names;
    for (const OptionTable& table : tables)
        if (is_below(table) == below) names.push_back(table.verb);
    return names;
}

// Choices of a positional, or the verbs below this one.
std::vector<std::string> words_of(const OptionTable& table) {
    std::vector<std::string> words;
    for (const OptionRow* row : positionals(table))
        words.insert(words.end(), row->choices.begin(), row->choices.end());
    for (const SubVerb& below : table.sub_verbs)
        if (std::find(words.begin(), words.end(), below.name) == words.end()) {
            words.push_back(below.name);
        }
    return words;
}

// In single quotes, for a POSIX shell.
std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text)
        out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
}

// Of the files that stand as positionals.
std::string bash_files(const OptionTable& table) {
    std::string files;
    for (const OptionRow* row : positionals(table)) {
        const Completes what = completes(*row);
        if (what == Completes::kModels) return "_tenon_models";
        if (what == Completes::kFiles) files = "_tenon_files";
        if (what == Completes::kFolders) files = "_tenon_folders";
    }
    return files;
}

std::string bash_value(const OptionRow& row) {
    switch (completes(row)) {
        case Completes::kChoices:
            return "_tenon_words " + quoted(fmt::format("{}", fmt::join(row.choices, " ")));
        case Completes::kFiles: return "_tenon_files";
        case Completes::kFolders: return "_tenon_folders";
        case Completes::kModels: return "_tenon_models";
        case Completes::kNothing: return ":";
    }
    return ":";
}

}  // namespace

Completes completes(const OptionRow& row) {
    if (!row.choices.empty()) return Completes::kChoices;
    const std::string& value = row.value;
    if (value == "FILE" || value == "IN" || value == "OUT" || value.ends_with(".yaml")) {
        return Completes::kFiles;
    }
    if (value == "DIR") return Completes::kFolders;
    if (value == "MODEL") return Completes::kModels;
    return Completes::kNothing;
}

std::string bash_completion(const std::vector<OptionTable>& tables) {
    std::string out =
        "# bash completion of tenon, made by `tenon completion bash`.\n"
        "_tenon_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\"); }\n"
        "_tenon_files() {\n"
        "    compopt -o filenames 2>/dev/null\n"
        "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
        "}\n"
        "_tenon_folders() {\n"
        "    compopt -o filenames 2>/dev/null\n"
        "    mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n"
        "}\n"
        "_tenon_models() {\n"
        "    compopt -o filenames 2>/dev/null\n"
        "    mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"; compgen -f -X '!*.gguf' -- "
        "\"$cur\")\n"
        "}\n"
        "_tenon() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "    local verb=${COMP_WORDS[1]-} options='' words='' files=''\n"
        "    COMPREPLY=()\n"
        "    if ((COMP_CWORD == 1)); then\n";
    out += fmt::format("        _tenon_words '{} help --help --version'\n        return\n    fi\n",
                       fmt::join(names_of(tables, false), " "));
    out +=
        "    # `--name=value` comes as three words.\n"
        "    if [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi\n"
        "    if [[ $cur == '=' ]]; then cur=''; fi\n";
    const std::vector<std::string> below = names_of(tables, true);
    if (!below.empty()) {
        out += fmt::format(
            "    case \"$verb ${{COMP_WORDS[2]-}}\" in\n        '{}')\n"
            "            if ((COMP_CWORD > 2)); then verb=\"$verb ${{COMP_WORDS[2]}}\"; fi ;;\n"
            "    esac\n",
            fmt::join(below, "' | '"));
    }
    out += "    case $verb in\n";
    for (const OptionTable& table : tables) {
        out += fmt::format("        {})\n            case $prev in\n", quoted(table.verb));
        std::vector<std::string> options = {"--help"};
        for (const OptionRow& row : table.rows) {
            if (row.is_positional) continue;
            options.insert(options.end(), row.names.begin(), row.names.end());
            if (row.value.empty()) continue;
            out += fmt::format("                {}) {}; return ;;\n", fmt::join(row.names, " | "),
                               bash_value(row));
        }
        out += fmt::format("            esac\n            options={}\n",
                           quoted(fmt::format("{}", fmt::join(options, " "))));
        const std::vector<std::string> words = words_of(table);
        if (!words.empty()) {
            out += fmt::format("            words={}\n",
                               quoted(fmt::format("{}", fmt::join(words, " "))));
        }
        const std::string files = bash_files(table);
        if (!files.empty()) out += fmt::format("            files={}\n", files);
        out += "            ;;\n";
    }
    out += fmt::format("        help) words='{}' ;;\n", fmt::join(names_of(tables, false), " "));
    out +=
        "    esac\n"
        "    if [[ $cur == -* ]]; then\n"
        "        _tenon_words \"$options\"\n"
        "        return\n"
        "    fi\n"
        "    if [[ -n $files ]]; then $files; fi\n"
        "    local found=(\"${COMPREPLY[@]}\")\n"
        "    if [[ -n $words ]]; then _tenon_words \"$words\"; fi\n"
        "    COMPREPLY=(\"${found[@]}\" \"${COMPREPLY[@]}\")\n"
        "    if [[ -z $words ]]; then COMPREPLY=(\"${found[@]}\"); fi\n"
        "}\n"
        "complete -F _tenon tenon\n";
    return out;
}

namespace {

// The text of a zsh argument specification, where brackets and colons mean something.
std::string zsh_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string zsh_value(const OptionRow& row) {
    const std::string name = zsh_text(row.value);
    switch (completes(row)) {
        case Completes::kChoices: return fmt::format("{}:({})", name, fmt::join(row.choices, " "));
        case Completes::kFiles: return name + ":_files";
        case Completes::kFolders: return name + ":_files -/";
        case Completes::kModels: return name + ":_files -g \"*.gguf\"";
        case Completes::kNothing: return name + ":";
    }
    return name + ":";
}

std::string zsh_rows(const OptionTable& table) {
    std::string out = "                '(-h --help)'{-h,--help}'[print this]'";
    const auto add = [&](const std::string& spec) { out += " \\\n                " + spec; };
    int place = 0;
    for (const OptionRow& row : table.rows) {
        if (row.is_positional) {
            std::string value = zsh_value(row);
            if (++place == 1 && !table.sub_verbs.empty()) {
                value =
                    fmt::format("{}:({})", zsh_text(row.value), fmt::join(words_of(table), " "));
            }
            add(quoted(fmt::format("{}{}:{}", place, row.is_required ? "" : ":", value)));
            continue;
        }
        for (const std::string& name : row.names) {
            const std::string others =
                row.repeats ? "*" : fmt::format("({})", fmt::join(row.names, " "));
            add(quoted(fmt::format("{}{}[{}]{}", others, name, zsh_text(row.text),
                                   row.value.empty() ? "" : ":" + zsh_value(row))));
        }
    }
    return out;
}

}  // namespace

std::string zsh_completion(const std::vector<OptionTable>& tables) {
    std::string out =
        "#compdef tenon\n"
        "# zsh completion of tenon, made by `tenon completion zsh`.\n"
        "_tenon() {\n"
        "    local verb=${words[2]-}\n"
        "    if (( CURRENT == 2 )); then\n"
        "        local -a verbs=(\n";
    for (const OptionTable& table : tables) {
        if (is_below(table)) continue;
        out += fmt::format("            {}\n", quoted(table.verb + ":" + zsh_text(table.brief)));
    }
    out +=
        "            'help:options of a verb'\n        )\n"
        "        _describe verb verbs\n        return\n    fi\n"
        "    shift words; (( CURRENT-- ))\n";
    const std::vector<std::string> below = names_of(tables, true);
    if (!below.empty()) {
        std::vector<std::string> quotes;
        for (const std::string& name : below)
            quotes.push_back(quoted(name));
        out += fmt::format(
            "    case \"$verb ${{words[2]-}}\" in\n        ({})\n"
            "            if (( CURRENT > 2 )); then\n"
            "                verb=\"$verb $words[2]\"; shift words; (( CURRENT-- ))\n"
            "            fi ;;\n    esac\n",
            fmt::join(quotes, "|"));
    }
    out += "    case $verb in\n";
    for (const OptionTable& table : tables) {
        out += fmt::format("        ({})\n            _arguments -s \\\n{} ;;\n",
                           quoted(table.verb), zsh_rows(table));
    }
    return out + "    esac\n}\n_tenon \"$@\"\n";
}

std::string fish_completion(const std::vector<OptionTable>& tables) {
    std::string out =
        "# fish completion of tenon, made by `tenon completion fish`.\n"
        "function __tenon_at\n"
        "    set -l words (commandline -opc)\n"
        "    test (count $words) -gt (count $argv); or return 1\n"
        "    for i in (seq (count $argv))\n"
        "        test $words[(math $i + 1)] = $argv[$i]; or return 1\n"
        "    end\n"
        "end\n"
        "complete -c tenon -f\n";
    for (const OptionTable& table : tables) {
        if (is_below(table)) continue;
        out += fmt::format("complete -c tenon -n __fish_use_subcommand -a {} -d {}\n", table.verb,
                           quoted(table.brief));
    }
    for (const OptionTable& table : tables) {
        std::string condition = "__tenon_at " + table.verb;
        for (const SubVerb& below : table.sub_verbs)
            condition += fmt::format("; and not __tenon_at {} {}", table.verb, below.name);
        const std::string head = fmt::format("complete -c tenon -n '{}'", condition);
        for (const SubVerb& below : table.sub_verbs)
            out += fmt::format("{} -a {} -d {}\n", head, below.name, quoted(below.summary));
        for (const OptionRow& row : table.rows) {
            std::string line = head;
            if (!row.is_positional) {
                for (const std::string& name : row.names) {
                    line += name.starts_with("--") ? " -l " + name.substr(2)
                            : name.size() == 2     ? " -s " + name.substr(1)
                                                   : " -o " + name.substr(1);
                }
                const Completes takes = completes(row);
                const bool is_path = takes == Completes::kFiles || takes == Completes::kModels;
                if (!row.value.empty()) line += is_path ? " -r" : " -x";
                line += " -d " + quoted(row.text);
            }
            const Completes what = completes(row);
            if (what == Completes::kChoices) {
                line +=
                    fmt::format(" -a {}", quoted(fmt::format("{}", fmt::join(row.choices, " "))));
            } else if (what == Completes::kFolders) {
                line += " -a '(__fish_complete_directories)'";
            } else if (what == Completes::kModels) {
                line += " -a '(__fish_complete_suffix .gguf)'";
            } else if (what == Completes::kFiles) {
                line += " -a '(__fish_complete_path (commandline -ct))'";
            } else if (row.is_positional) {
                continue;
            }
            out += line + "\n";
        }
        out += head + " -s h -l help -d 'print this'\n";
    }
    return out;
}

}  // namespace tenon::cli
