#include "core/cli/line_editor.h"

#include "core/cli/table.h"
#include "core/config/environment.h"

#include <histedit.h>

#include <langinfo.h>
#include <cerrno>
#include <clocale>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::cli {

namespace {

constexpr int kHistoryLines = 1000;
constexpr char kInvisible = '\1';  // stands around escape sequences of a prompt

// The terminal once more, so that a read of it can be without waiting while standard input, which
// the shell shares, stays as it is: Ctrl+C throws typed keys away, also those that poll() has just
// announced. Standard input itself where that is refused.
int open_keys() {
    const int keys = open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return keys >= 0 ? keys : STDIN_FILENO;
}

// One UTF-8 character, whatever the locale: what is no UTF-8 becomes U+FFFD. -1 when interrupted
// or at an error, 0 at the end. A window of another size is noticed meanwhile.
int read_character(EditLine* editor, int keys, wchar_t* character,
                   const std::function<bool()>& is_interrupted) {
    constexpr int kLookMs = 250;
    const auto next = [&](unsigned char& byte) -> int {
        pollfd input{keys, POLLIN, 0};
        while (!is_interrupted()) {
            const int ready = poll(&input, 1, kLookMs);
            if (ready > 0) {
                const ssize_t got = ::read(keys, &byte, 1);
                if (got >= 0) return static_cast<int>(got);
            }
            if (ready != 0 && errno != EINTR && errno != EAGAIN) return -1;
            el_resize(editor);
        }
        errno = EINTR;
        return -1;
    };
    unsigned char byte = 0;
    if (const int got = next(byte); got != 1) return got;
    if (byte < 0x80) {
        *character = byte;
        return 1;
    }
    const int more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc2 ? 1 : 0;
    uint32_t point = byte & (more == 3 ? 0x07u : more == 2 ? 0x0fu : 0x1fu);
    for (int i = 0; i < more; ++i) {
        if (const int got = next(byte); got != 1) return got;
        point = (point << 6) | (byte & 0x3fu);
    }
    *character = more == 0 || point > 0x10ffff ? L'\xfffd' : static_cast<wchar_t>(point);
    return 1;
}

}  // namespace

struct LineEditor::Impl {
    EditLine* editor = nullptr;
    History* history = nullptr;
    std::string history_file, prompt, last;
    std::function<Completion(std::string_view)> completer;
    const std::function<bool()>* is_interrupted = nullptr;  // while read() waits
    bool was_interrupted = false;
    int keys = STDIN_FILENO;

    static int read_key(EditLine* editor, wchar_t* character) {
        void* self = nullptr;
        el_get(editor, EL_CLIENTDATA, &self);
        auto& impl = *static_cast<Impl*>(self);
        return read_character(editor, impl.keys, character, [&] {
            impl.was_interrupted = (*impl.is_interrupted)();
            return impl.was_interrupted;
        });
    }

    // Bound to Tab.
    static unsigned char complete(EditLine* editor, int) {
        void* self = nullptr;
        el_get(editor, EL_CLIENTDATA, &self);
        const auto& completer = static_cast<Impl*>(self)->completer;
        const LineInfo* line = el_line(editor);
        if (!completer || line == nullptr) return CC_ERROR;
        const Completion found = completer(
            std::string_view(line->buffer, static_cast<size_t>(line->cursor - line->buffer)));
        if (found.words.empty()) return CC_ERROR;
        const std::string more = found.addition();
        if (!more.empty()) return el_insertstr(editor, more.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
        std::string list = "\n";
        for (const std::string& word : found.words)
            list += printable(word) + "  ";
        std::fprintf(stdout, "%s\n", list.c_str());
        std::fflush(stdout);
        return CC_REDISPLAY;
    }

    static char* prompt_of(EditLine* editor) {
        void* self = nullptr;
        el_get(editor, EL_CLIENTDATA, &self);
        return static_cast<Impl*>(self)->prompt.data();
    }
};

LineEditor::LineEditor(const std::string& history) : impl_(std::make_unique<Impl>()) {
    // The width and the bytes of characters on the terminal.
    if (std::setlocale(LC_CTYPE, "") == nullptr ||
        std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        std::setlocale(LC_CTYPE, "C.UTF-8");
    }
    impl_->keys = open_keys();
    impl_->editor = el_init("tenon", stdin, stdout, stderr);
    impl_->history = history_init();
    HistEvent event;
    ::history(impl_->history, &event, H_SETSIZE, kHistoryLines);
    ::history(impl_->history, &event, H_SETUNIQUE, 1);
    if (!history.empty()) {
        std::error_code fault;
        std::filesystem::create_directories(std::filesystem::path(history).parent_path(), fault);
        ::history(impl_->history, &event, H_LOAD, history.c_str());
        impl_->history_file = history;
    }
    if (impl_->editor == nullptr) return;
    el_set(impl_->editor, EL_CLIENTDATA, impl_.get());
    el_set(impl_->editor, EL_PROMPT_ESC, &Impl::prompt_of, kInvisible);
    el_set(impl_->editor, EL_EDITOR, "emacs");
    el_set(impl_->editor, EL_SIGNAL, 0);
    el_set(impl_->editor, EL_HIST, ::history, impl_->history);
    el_set(impl_->editor, EL_GETCFN, &Impl::read_key);
    el_set(impl_->editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(impl_->editor, EL_ADDFN, "tenon-complete", "completes", &Impl::complete);
    el_set(impl_->editor, EL_BIND, "^I", "tenon-complete", nullptr);
}

LineEditor::~LineEditor() {
    if (impl_->editor != nullptr) el_end(impl_->editor);
    if (impl_->history != nullptr) history_end(impl_->history);
    if (impl_->keys != STDIN_FILENO) close(impl_->keys);
}

LineEditor::End LineEditor::read(const std::string& prompt, std::string& line,
                                 const std::function<bool()>& is_interrupted) {
    line.clear();
    if (impl_->editor == nullptr) return End::kEof;
    impl_->prompt.clear();
    bool is_escape = false;
    for (const char c : prompt) {
        if (c == '\x1b') {
            is_escape = true;
            impl_->prompt += kInvisible;
        }
        impl_->prompt += c;
        if (is_escape && c == 'm') {
            is_escape = false;
            impl_->prompt += kInvisible;
        }
    }
    el_resize(impl_->editor);
    impl_->is_interrupted = &is_interrupted;
    impl_->was_interrupted = false;
    int count = 0;
    const char* text = el_gets(impl_->editor, &count);
    if (impl_->was_interrupted) return End::kInterrupted;
    if (text == nullptr || count <= 0) return End::kEof;
    line.assign(text, static_cast<size_t>(count));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
        line.pop_back();
    return End::kLine;
}

void LineEditor::complete_with(std::function<Completion(std::string_view)> completer) {
    impl_->completer = std::move(completer);
}

void LineEditor::remember(const std::string& line) {
    if (line.empty() || line == impl_->last) return;
    impl_->last = line;
    HistEvent event;
    ::history(impl_->history, &event, H_ENTER, line.c_str());
    if (impl_->history_file.empty()) return;
    const mode_t before = umask(0077);
    ::history(impl_->history, &event, H_SAVE, impl_->history_file.c_str());
    umask(before);
}

std::string history_path() {
    std::string state = config::read_variable("XDG_STATE_HOME");
    if (state.empty() || state.front() != '/') {
        const std::string home = config::read_variable("HOME");
        if (home.empty()) return "";
        state = home + "/.local/state";
    }
    return state + "/tenon/history";
}

}  // namespace tenon::cli
