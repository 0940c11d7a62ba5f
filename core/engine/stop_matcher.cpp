#include "core/engine/stop_matcher.h"

#include <algorithm>

namespace tenon::engine {

StopMatcher::StopMatcher(std::vector<std::string> stops) {
    for (std::string& stop : stops) {
        if (stop.empty()) continue;
        Automaton automaton;
        automaton.border.assign(stop.size() + 1, 0);
        for (size_t i = 1; i < stop.size(); ++i) {
            uint32_t border = automaton.border[i];
            while (border > 0 && stop[border] != stop[i])
                border = automaton.border[border];
            automaton.border[i + 1] = stop[border] == stop[i] ? border + 1 : 0;
        }
        automaton.text = std::move(stop);
        stops_.push_back(std::move(automaton));
    }
}

// `state` is below the length of the text: a full match ends the matching.
void StopMatcher::Automaton::step(char byte) {
    while (state > 0 && text[state] != byte)
        state = border[state];
    if (text[state] == byte) ++state;
}

bool StopMatcher::push(std::string_view text, std::string& out) {
    if (stops_.empty()) {
        out += text;
        return false;
    }
    const size_t before = held_.size();
    held_ += text;
    size_t found = 0;  // length of the longest stop string that ends here
    for (size_t i = before; i < held_.size(); ++i) {
        for (Automaton& stop : stops_) {
            stop.step(held_[i]);
            if (stop.state == stop.text.size() && stop.state > found) {
                found = stop.state;
                matched_ = stop.text;
            }
        }
        if (found > 0) {
            out.append(held_, 0, i + 1 - found);
            held_.clear();
            return true;
        }
    }
    uint32_t keep = 0;
    for (const Automaton& stop : stops_)
        keep = std::max(keep, stop.state);
    out.append(held_, 0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
    return false;
}

void StopMatcher::flush(std::string& out) {
    out += held_;
    held_.clear();
    for (Automaton& stop : stops_)
        stop.state = 0;
}

void StopMatcher::skip(std::string_view text, std::string& out) {
    flush(out);
    out += text;
}

}  // namespace tenon::engine
