// Lines from a terminal, edited and remembered: libedit.
#pragma once

#include "core/cli/line_completion.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::cli {

// One at a time, on the main thread; standard input and output are a terminal. The terminal is its
// own again between calls.
class LineEditor {
public:
    // `history`: file of earlier lines, made with its folders when it is not there, readable by its
    // owner alone; empty, or where it cannot be written: lines are remembered for this run only.
    explicit LineEditor(const std::string& history);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    enum class End {
        kLine,         // a line, without its newline
        kInterrupted,  // `is_interrupted` said so; what was typed is forgotten
        kEof,          // Ctrl+D on an empty line, or the terminal has gone
    };
    // What was typed goes into `line`. `prompt` may be coloured by escape sequences; it
    // ends with a character that prints, without which the last of them would be lost.
    // `is_interrupted` is asked before each wait for a key, after each signal and four times a
    // second: a signal handler sets a flag, and none is missed, whenever it comes.
    End read(const std::string& prompt, std::string& line,
             const std::function<bool()>& is_interrupted);
    // What Tab asks, with the line as far as the cursor. Several words are listed below the line.
    void complete_with(std::function<Completion(std::string_view before)> completer);
    // Remembers a line for the arrow keys and later runs; one equal to the last is not repeated.
    void remember(const std::string& line);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// $XDG_STATE_HOME/tenon/history, or below ~/.local/state; empty when there is no home.
std::string history_path();

}  // namespace tenon::cli
