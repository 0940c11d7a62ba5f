#include "core/cli/table.h"

#include "core/config/source_excerpt.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::cli {

namespace {

size_t cells_of(const std::string& text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

}  // namespace

std::string printable(const std::string& text) {
    std::string out = text;
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
    while (const auto bad = config::find_bad_byte(out))
        out[bad->column] = '?';  // there is one line
    return out;
}

std::string Table::text() const {
    std::vector<size_t> widths(rows_.front().size());
    std::vector<std::vector<std::string>> shown;
    for (const std::vector<std::string>& row : rows_) {
        std::vector<std::string>& cells = shown.emplace_back();
        for (size_t i = 0; i < row.size(); ++i) {
            cells.push_back(printable(row[i]));
            widths[i] = std::max(widths[i], cells_of(cells.back()));
        }
    }
    std::string out;
    for (const std::vector<std::string>& cells : shown) {
        for (size_t i = 0; i < cells.size(); ++i) {
            out += cells[i];
            if (i + 1 == cells.size()) break;
            out += std::string(widths[i] - cells_of(cells[i]) + 2, ' ');
        }
        while (out.back() == ' ')
            out.pop_back();
        out += '\n';
    }
    return out;
}

std::string size_text(uint64_t bytes) {
    if (bytes == 0) return "-";
    constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = static_cast<double>(bytes);
    size_t unit = 0;
    while (size >= 1024 && unit + 1 < std::size(kUnits)) {
        size /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, kUnits[unit]);
}

}  // namespace tenon::cli
