#include "core/cli/line_completion.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace tenon::cli {

namespace {

constexpr size_t kFilesMax = 1000;
constexpr std::string_view kBlanks = " \t";

}  // namespace

std::string Completion::addition() const {
    if (words.empty()) return "";
    std::string shared = words.front();
    for (const std::string& word : words) {
        const auto end =
            std::mismatch(shared.begin(), shared.end(), word.begin(), word.end()).first;
        shared.erase(end, shared.end());
    }
    if (words.size() > 1) {
        // Not into the middle of a character, in which the words differ.
        size_t end = shared.size();
        const std::string& word = words.front();
        while (end > typed && end < word.size() && (word[end] & 0xc0) == 0x80)
            --end;
        shared.resize(end);
    } else if (!shared.ends_with('/')) {
        shared += ' ';
    }
    return shared.substr(std::min(typed, shared.size()));
}

Completion complete_word(std::string_view typed, std::span<const std::string> words) {
    Completion found{typed.size(), {}};
    for (const std::string& word : words) {
        if (word.starts_with(typed)) found.words.push_back(word);
    }
    std::sort(found.words.begin(), found.words.end());
    return found;
}

Completion complete_path(std::string_view typed) {
    Completion found{typed.size(), {}};
    const size_t slash = typed.rfind('/');
    const std::string folder(typed.substr(0, slash == std::string_view::npos ? 0 : slash + 1));
    const std::string_view name = typed.substr(folder.size());
    std::error_code fault;
    std::filesystem::directory_iterator files(folder.empty() ? "." : folder, fault);
    for (; !fault && files != std::filesystem::directory_iterator(); files.increment(fault)) {
        const std::string file = files->path().filename().string();
        if (!file.starts_with(name) || (file.starts_with('.') && !name.starts_with('.'))) continue;
        std::error_code unknown;
        found.words.push_back(folder + file + (files->is_directory(unknown) ? "/" : ""));
        if (found.words.size() == kFilesMax) break;
    }
    std::sort(found.words.begin(), found.words.end());
    return found;
}

Completion complete_line(std::string_view before, std::span<const std::string> commands,
                         std::span<const std::string> options) {
    if (!before.starts_with('/')) return {};
    const size_t end = before.find_first_of(kBlanks);
    const std::string_view command =
        before.substr(1, end == std::string_view::npos ? end : end - 1);
    if (end == std::string_view::npos) return complete_word(command, commands);
    const size_t start = std::min(before.find_first_not_of(kBlanks, end), before.size());
    const std::string_view rest = before.substr(start);
    if (command == "save" || command == "load") return complete_path(rest);
    if (command == "set" && rest.find_first_of(kBlanks) == std::string_view::npos) {
        return complete_word(rest, options);
    }
    return {};
}

}  // namespace tenon::cli
