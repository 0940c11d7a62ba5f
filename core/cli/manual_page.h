// Manual pages in roff, made of the verbs' tables.
#pragma once

#include "core/cli/option_table.h"

#include <string>
#include <vector>

namespace tenon::cli {

// "tenon-bench-serve" for "bench serve".
std::string page_name(const OptionTable& table);
// The page of one verb.
std::string manual_page(const OptionTable& table, const std::string& version);
// The page of the program: its verbs, exit codes and variables.
std::string manual_overview(const std::vector<OptionTable>& tables, const std::string& version);

}  // namespace tenon::cli
