#include "core/chat_template/replace.h"

namespace tenon::chat_template {

Result<Value> replace_text(Runtime& runtime, const Text& text, std::string_view from,
                           const Text& to, int64_t count) {
    TENON_CHECK(runtime.spend(1 + text.size() / 64));
    const std::string& s = text.bytes();
    Text out;
    out.set_markup(text.markup());
    size_t at = 0;
    for (; count != 0; --count) {
        if (from.empty()) {
            out.append(to);
            if (at == s.size()) break;
            const size_t next = next_point(s, at);
            out.append(text, at, next);
            at = next;
        } else {
            const size_t hit = find_bytes(s, from, at);
            if (hit == std::string_view::npos) break;
            out.append(text, at, hit);
            out.append(to);
            at = hit + from.size();
        }
        TENON_CHECK(runtime.check_size(out.size()));
    }
    out.append(text, at, s.size());
    return runtime.make_text(std::move(out));
}

}  // namespace tenon::chat_template
