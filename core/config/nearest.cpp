#include "core/config/nearest.h"

#include <algorithm>

namespace tenon::config {

size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i)
        d[i][0] = i;
    for (size_t j = 0; j <= b.size(); ++j)
        d[0][j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[a.size()][b.size()];
}

std::string nearest(std::string_view seen, const std::vector<std::string>& known) {
    if (seen.size() > 64) return "";
    size_t best = std::max<size_t>(1, seen.size() / 3) + 1;
    std::string found;
    for (const std::string& name : known) {
        const size_t distance = edit_distance(seen, name);
        if (distance < best) {
            best = distance;
            found = name;
        }
    }
    return found;
}

}  // namespace tenon::config
