#include "core/engine/stop_matcher.h"

#include <algorithm>

namespace tenon::engine {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
    std::erase(stops_, "");
}

bool StopMatcher::push(std::string_view text, std::string& out) {
    held_ += text;
    size_t found = std::string::npos;
    for (const std::string& stop : stops_)
        found = std::min(found, held_.find(stop));
    if (found != std::string::npos) {
        out.append(held_, 0, found);
        held_.clear();
        return true;
    }
    size_t keep = 0;  // longest end of the text with which a stop string begins
    for (const std::string& stop : stops_) {
        for (size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n) {
            if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) keep = n;
        }
    }
    out.append(held_, 0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
    return false;
}

void StopMatcher::flush(std::string& out) {
    out += held_;
    held_.clear();
}

}  // namespace tenon::engine
