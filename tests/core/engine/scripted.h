// A scripted engine's language: what a prompt makes it do, and the text that is the right answer.
#pragma once

#include "core/engine/generation.h"

#include <string>

namespace tenon::engine::scripted {

// prompt[0]; prompt[1] is an argument. Faults come in the step that would draw the first token.
enum Act : int32_t {
    kAnswer = 1,
    kAbort,
    kFault,       // a read of address 8
    kHang,        // a step without end and without progress
    kSlow,        // a step of prompt[1] ms that reports progress
    kGarbage,     // bytes on the socket that are no message
    kExit,        // exit code 3
    kLoseDevice,  // a sticky device error
    kAbortAt,     // abort() at token prompt[1]
    kSpeak,       // a line on standard error, then an answer
    kKillItself,  // SIGKILL
    kHangUp,      // closes the connection and hangs
};

inline std::string token_text(const GenerationRequest& request, uint32_t index) {
    uint64_t hash = request.sampling.seed * 0x9e3779b97f4a7c15 + index;
    for (const int32_t token : request.prompt)
        hash = (hash ^ static_cast<uint32_t>(token)) * 0x100000001b3;
    return "w" + std::to_string(hash % 1000) + " ";
}

inline std::string answer(const GenerationRequest& request) {
    std::string text;
    for (uint32_t index = 0; index < request.max_tokens; ++index)
        text += token_text(request, index);
    return text;
}

}  // namespace tenon::engine::scripted
