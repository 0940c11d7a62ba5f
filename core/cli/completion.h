// Completion scripts of shells, made of the verbs' tables.
#pragma once

#include "core/cli/option_table.h"

#include <string>
#include <vector>

namespace tenon::cli {

// What a shell puts where a value stands, by what the value is called.
enum class Completes { kNothing, kChoices, kFiles, kFolders, kModels };
Completes completes(const OptionRow& row);

// Whole scripts. `tables` as listed_tables() gives them.
std::string bash_completion(const std::vector<OptionTable>& tables);
std::string zsh_completion(const std::vector<OptionTable>& tables);
std::string fish_completion(const std::vector<OptionTable>& tables);

}  // namespace tenon::cli
