#include "backends/common/temporaries.h"

#include <algorithm>

namespace tenon::common {

uint64_t place_temporaries(std::vector<Temporary>& temporaries) {
    std::stable_sort(temporaries.begin(), temporaries.end(),
                     [](const Temporary& a, const Temporary& b) { return a.bytes > b.bytes; });
    uint64_t total = 0;
    std::vector<const Temporary*> neighbours;
    for (size_t i = 0; i < temporaries.size(); ++i) {
        const Temporary& one = temporaries[i];
        neighbours.clear();
        for (size_t j = 0; j < i; ++j)
            if (temporaries[j].first <= one.last && one.first <= temporaries[j].last)
                neighbours.push_back(&temporaries[j]);
        std::sort(neighbours.begin(), neighbours.end(),
                  [](const Temporary* a, const Temporary* b) { return *a->at < *b->at; });
        uint64_t at = 0;
        for (const Temporary* other : neighbours) {
            if (at + one.bytes <= *other->at) break;
            at = std::max(at, *other->at + other->bytes);
        }
        *one.at = at;
        total = std::max(total, at + one.bytes);
    }
    return total;
}

}  // namespace tenon::common
