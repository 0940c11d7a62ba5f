// tenon man [VERB]: manual pages in roff.
#include "core/cli/manual_page.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/config/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace tenon::cli {

namespace {

Status write_page(const std::string& folder, const std::string& name, const std::string& text) {
    const std::string path = fmt::format("{}/{}.1", folder, name);
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) return Error{Code::kInvalid, fmt::format("{}: cannot be written", path)};
    return {};
}

int run(int argc, char** argv) {
    std::string verb, folder;
    Arguments arguments("man",
                        "Prints the manual page of a verb, or that of the program, in roff.");
    arguments.positional("VERB", verb, "a verb, such as run or 'bench serve'", false);
    arguments.option("--all", folder, "write every page into this folder instead", "DIR");
    arguments.example("tenon man run | man -l -");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    const std::vector<OptionTable> tables = listed_tables();
    if (!folder.empty()) {
        Status written = write_page(folder, "tenon", manual_overview(tables, TENON_VERSION));
        for (const OptionTable& table : tables) {
            if (!written.ok()) break;
            written = write_page(folder, page_name(table), manual_page(table, TENON_VERSION));
        }
        return written.ok() ? kExitOk : report("man", written.error());
    }
    if (verb.empty()) {
        fmt::print("{}", manual_overview(tables, TENON_VERSION));
        return kExitOk;
    }
    std::vector<std::string> names;
    for (const OptionTable& table : tables) {
        names.push_back(table.verb);
        if (table.verb != verb) continue;
        fmt::print("{}", manual_page(table, TENON_VERSION));
        return kExitOk;
    }
    const std::string close = config::nearest(verb, names);
    fmt::print(stderr, "tenon man: there is no verb '{}'{}\n", verb,
               close.empty() ? "" : fmt::format("; did you mean '{}'?", close));
    return kExitUsage;
}

}  // namespace

extern const Verb kVerb_man;
const Verb kVerb_man = {"man", "manual pages", true, run};

}  // namespace tenon::cli
