// Aligned columns for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::cli {

// Cells are UTF-8; what does not print becomes '?', so that no file can write to the terminal.
class Table {
public:
    explicit Table(std::vector<std::string> heads) : rows_{std::move(heads)} {}
    // As many cells as there are heads.
    void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    // A line for the heads and for each row, the last column not padded.
    std::string text() const;

private:
    std::vector<std::vector<std::string>> rows_;
};

// "1.5 GiB"; "-" for 0.
std::string size_text(uint64_t bytes);

// `text` without control characters and broken UTF-8: each such byte is a '?'.
std::string printable(const std::string& text);

}  // namespace tenon::cli
