#include "core/server/api_keys.h"

#include "core/config/nearest.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <random>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::server {

namespace {

constexpr size_t kKeyCharactersMin = 8, kKeyCharactersMax = 512;
constexpr size_t kFileBytesMax = 1 << 20;
constexpr size_t kKeysMax = 10'000;

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 64 &&
           text.find_first_not_of(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
               "._-") == std::string_view::npos;
}

bool is_printable(std::string_view text) {
    for (const char c : text) {
        if (c < 0x21 || c > 0x7e) return false;
    }
    return true;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (size_t at = line.find_first_not_of(" \t\r"); at != std::string_view::npos;) {
        const size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
        words.push_back(line.substr(at, end - at));
        at = line.find_first_not_of(" \t\r", end);
    }
    return words;
}

// A sentence about the field, or nothing.
std::string read_field(std::string_view word, ApiKey& key) {
    const std::vector<std::string> names = {
        "priority",       "cache_scope",       "requests_per_second",
        "requests_burst", "tokens_per_minute", "streams"};
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
        return "expected fields as NAME=VALUE after the key, and no blank inside the key";
    }
    const std::string name(word.substr(0, equals));
    const std::string_view value = word.substr(equals + 1);
    if (name == "cache_scope") {
        if (!is_name(value))
            return "cache_scope: expected 1 to 64 letters, digits, '.', '_' or '-'";
        key.caller.cache_scope = "scope:" + std::string(value);
        return {};
    }
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool whole = error == std::errc{} && end == value.data() + value.size();
    if (name == "priority") {
        if (!whole || number < -1000 || number > 1000) {
            return "priority: expected a whole number from -1000 to 1000";
        }
        key.caller.priority = static_cast<int32_t>(number);
        return {};
    }
    std::optional<uint32_t>* const rates[] = {&key.requests_per_second, &key.requests_burst,
                                              &key.tokens_per_minute, &key.streams};
    for (size_t i = 0; i < std::size(rates); ++i) {
        if (name != names[i + 2]) continue;
        if (!whole || number < 1 || number > 1 << 30) {
            return fmt::format("{}: expected a whole number from 1 to {}", name, 1 << 30);
        }
        *rates[i] = static_cast<uint32_t>(number);
        return {};
    }
    // The word may be a part of a key, so it is not repeated.
    const std::string close = config::nearest(name, names);
    return close.empty() ? fmt::format("a field is unknown; known are {}", fmt::join(names, ", "))
                         : fmt::format("a field is unknown; did you mean '{}'?", close);
}

// All ones when equal; takes the same time whatever differs.
bool equal_digests(const Sha256Digest& a, const Sha256Digest& b) noexcept {
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < a.size(); ++i)
        difference = static_cast<uint8_t>(difference | (a[i] ^ b[i]));
    return difference == 0;
}

}  // namespace

Result<KeySet> KeySet::parse(std::string_view text, const std::string& file,
                             std::string_view salt) {
    KeySet set;
    std::vector<std::string> faults;
    uint32_t number = 0;
    for (size_t at = 0; at < text.size() && faults.size() < 20;) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::vector<std::string_view> words = words_of(text.substr(at, end - at));
        at = end + 1;
        ++number;
        const auto fault = [&](const std::string& sentence) {
            faults.push_back(fmt::format("{}:{}: {}", file, number, sentence));
        };
        if (words.empty() || words.front().front() == '#') continue;
        ApiKey key;
        std::string_view secret = words.front();
        const size_t colon = secret.find(':');
        if (colon != std::string_view::npos) {
            key.name = secret.substr(0, colon);
            secret = secret.substr(colon + 1);
            if (!is_name(key.name)) {
                fault("expected a name of 1 to 64 letters, digits, '.', '_' or '-' before ':'");
                continue;
            }
        }
        if (secret.size() < kKeyCharactersMin || secret.size() > kKeyCharactersMax ||
            !is_printable(secret)) {
            fault(fmt::format("{}; expected {} to {} printable characters",
                              secret.empty() ? "the key is empty" : "the key cannot be used",
                              kKeyCharactersMin, kKeyCharactersMax));
            continue;
        }
        key.digest = sha256(std::as_bytes(std::span(secret.data(), secret.size())));
        const std::string hex = to_hex(key.digest);
        key.caller.key_id = hex.substr(0, 8);
        key.caller.key_number = static_cast<uint32_t>(set.keys_.size()) + 1;
        Sha256 scope;
        scope.update(salt);
        scope.update(hex);
        key.caller.cache_scope = "key:" + to_hex(scope.finish()).substr(0, 32);
        for (size_t i = 1; i < words.size() && words[i].front() != '#'; ++i) {
            const std::string sentence = read_field(words[i], key);
            if (!sentence.empty()) fault(sentence);
        }
        for (const ApiKey& other : set.keys_) {
            if (other.digest == key.digest) fault("this key stands here a second time");
        }
        set.keys_.push_back(std::move(key));
        if (set.keys_.size() > kKeysMax) {
            fault(fmt::format("more than {} keys", kKeysMax));
            break;
        }
    }
    if (faults.empty() && set.keys_.empty()) faults.push_back(file + ": it holds no key");
    if (!faults.empty()) {
        return Error{Code::kConfig, fmt::format("{}", fmt::join(faults, "\n"))};
    }
    return set;
}

const ApiKey* KeySet::find(std::string_view presented) const noexcept {
    const Sha256Digest digest =
        sha256(std::as_bytes(std::span(presented.data(), presented.size())));
    const ApiKey* found = nullptr;
    for (const ApiKey& key : keys_) {
        if (equal_digests(key.digest, digest)) found = &key;
    }
    return found;
}

const ApiKey* KeySet::by_number(uint32_t number) const noexcept {
    return number >= 1 && number <= keys_.size() ? &keys_[number - 1] : nullptr;
}

KeyRing::KeyRing(std::string file) : file_(std::move(file)) {
    std::random_device random;
    for (int i = 0; i < 8; ++i)
        salt_ += fmt::format("{:08x}", random());
}

Result<KeySet> KeyRing::read() const {
    const auto refuse = [&](const std::string& sentence) {
        return Error{Code::kConfig, fmt::format("api_key_file {}: {}", file_, sentence)};
    };
    // Not blocking: a pipe in its place must not hang the start.
    const int fd = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return refuse(std::strerror(errno));
    struct stat status {};
    std::string text;
    Error fault{Code::kOk, ""};
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        fault = refuse("it is not a plain file");
    } else if ((status.st_mode & 077) != 0) {
        fault = refuse(fmt::format("its mode is {:04o}; others could read it, 0600 is wanted",
                                   status.st_mode & 07777));
    } else if (status.st_uid != geteuid() && status.st_uid != 0) {
        fault = refuse(
            fmt::format("it belongs to user {}, not to us ({}) or root", status.st_uid, geteuid()));
    } else {
        char piece[4096];
        for (ssize_t n = 0; (n = ::read(fd, piece, sizeof piece)) > 0;) {
            text.append(piece, static_cast<size_t>(n));
            if (text.size() > kFileBytesMax) break;
        }
        if (text.size() > kFileBytesMax) {
            fault = refuse(fmt::format("it has more than {} bytes", kFileBytesMax));
        }
    }
    close(fd);
    if (fault.code != Code::kOk) return fault;
    return KeySet::parse(text, file_, salt_);
}

Result<std::unique_ptr<KeyRing>> KeyRing::open(const std::string& file) {
    std::unique_ptr<KeyRing> ring(new KeyRing(file));
    TENON_CHECK(ring->reload());
    return ring;
}

std::shared_ptr<const KeySet> KeyRing::keys() const {
    const std::lock_guard lock(mutex_);
    return keys_;
}

Status KeyRing::reload() {
    TENON_TRY(KeySet set, read());
    auto keys = std::make_shared<const KeySet>(std::move(set));
    const std::lock_guard lock(mutex_);
    keys_ = std::move(keys);
    return {};
}

}  // namespace tenon::server
