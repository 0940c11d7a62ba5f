#include "core/cli/arguments.h"
#include "core/cli/verb.h"

namespace tenon::cli {

std::vector<OptionTable> listed_tables() {
    std::vector<OptionTable> tables;
    for (const Verb* const* verb = kVerbs; *verb != nullptr; ++verb) {
        if (!(*verb)->listed) continue;
        OptionTable table = describe((*verb)->run, {(*verb)->name});
        table.brief = (*verb)->summary;
        const std::vector<SubVerb> below = table.sub_verbs;
        tables.push_back(std::move(table));
        for (const SubVerb& sub : below) {
            OptionTable& last =
                tables.emplace_back(describe((*verb)->run, {(*verb)->name, sub.name}));
            last.brief = sub.summary;
        }
    }
    return tables;
}

}  // namespace tenon::cli
