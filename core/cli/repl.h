// A conversation on a terminal: `tenon run MODEL` without a prompt.
#pragma once

#include "core/cli/answer_options.h"
#include "core/cli/local_engine.h"

#include <string>

namespace tenon::cli {

// Until Ctrl+D, /bye or Ctrl+C twice. Standard input and output are a terminal. Returns the exit
// code.
int converse(LocalEngine& engine, AnswerOptions options, const std::string& system);

}  // namespace tenon::cli
