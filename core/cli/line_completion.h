// What Tab puts at the cursor of a conversation's line.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

// Texts that could stand where the last `typed` bytes before the cursor stand; each begins with
// them.
struct Completion {
    size_t typed = 0;
    std::vector<std::string> words;

    // What all words go on with after what is typed, in whole UTF-8 characters. A space ends the
    // only word unless it is a folder.
    std::string addition() const;
};

// Those of `words` that begin with `typed`, sorted.
Completion complete_word(std::string_view typed, std::span<const std::string> words);

// Files whose path begins with `typed`, folders with a slash behind; hidden ones only where the dot
// is typed. At most 1,000 of them.
Completion complete_path(std::string_view typed);

// `/command`, the option of `/set` and the file of `/save` and `/load`; nothing in other lines.
// `before`: the line as far as the cursor.
Completion complete_line(std::string_view before, std::span<const std::string> commands,
                         std::span<const std::string> options);

}  // namespace tenon::cli
