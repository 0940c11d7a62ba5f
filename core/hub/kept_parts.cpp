#include "core/hub/kept_parts.h"

#include "core/hub/output_file.h"

#include <unistd.h>

namespace tenon::hub {

namespace {

constexpr uint64_t kTextMax = 4u << 20;

}  // namespace

KeptParts::Found KeptParts::open(uint64_t size, const std::string& identity, uint32_t connections) {
    const std::lock_guard lock(mutex_);
    identity_ = identity;
    const std::string text = identity.empty() ? "" : read_whole(path_, kTextMax);
    parts_.reset();
    if (!text.empty()) parts_ = PartList::parse(text, size, identity);
    Found found = Found::kSome;
    if (!parts_) {
        found = text.empty() ? Found::kNothing : Found::kOther;
        remove();
        parts_.emplace(size, size == 0 ? 1 : plan_piece(size, connections));
    }
    saved_ = parts_->done();
    return found;
}

void KeptParts::save(const std::function<Status()>& make_durable) {
    uint64_t done = 0;
    std::string text;
    {
        const std::lock_guard lock(mutex_);
        done = parts_->done();
        if (done == saved_ || identity_.empty()) return;
        text = parts_->text(identity_);
    }
    if (make_durable && !make_durable().ok()) return;
    if (write_whole(path_, text).ok()) saved_ = done;
}

void KeptParts::remove() const { static_cast<void>(unlink(path_.c_str())); }

uint64_t KeptParts::done() const {
    const std::lock_guard lock(mutex_);
    return parts_->done();
}

Missing KeptParts::missing(size_t index) const {
    const std::lock_guard lock(mutex_);
    return parts_->missing(index);
}

std::optional<size_t> KeptParts::take() {
    const std::lock_guard lock(mutex_);
    return parts_->take();
}

void KeptParts::give_back(size_t index) {
    const std::lock_guard lock(mutex_);
    parts_->give_back(index);
}

void KeptParts::advance(size_t index, uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    parts_->advance(index, bytes);
}

}  // namespace tenon::hub
