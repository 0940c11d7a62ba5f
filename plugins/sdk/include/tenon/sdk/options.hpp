// OptionReader: typed reading of the settings that the host hands to device_open.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <tenon/sdk/structs.hpp>

namespace tenon::sdk {

// Reads each known key once, then finish() refuses what is left. A key that is absent leaves its
// target as it was; the first failure is kept and everything after it is skipped.
//
//     OptionReader reader(options);
//     reader.integer("threads", &threads, 0, 1024);
//     reader.boolean("pin", &pin);
//     TENON_SDK_CHECK(reader.finish());
class OptionReader {
public:
    explicit OptionReader(Span<const tenon_option> options)
        : options_(options), read_(options.count, false) {}

    void text(std::string_view key, std::string* target) {
        const tenon_option* option = find(key);
        if (option != nullptr) *target = std::string(view(option->value));
    }

    void boolean(std::string_view key, bool* target) {
        const tenon_option* option = find(key);
        if (option == nullptr) return;
        const std::string_view value = view(option->value);
        if (value != "true" && value != "false") {
            refuse(key, value, "true or false");
            return;
        }
        *target = value == "true";
    }

    // A decimal number within [min, max].
    template <class T>
    void integer(std::string_view key, T* target, int64_t min, int64_t max) {
        const tenon_option* option = find(key);
        if (option == nullptr) return;
        const std::string_view value = view(option->value);
        int64_t number = 0;
        if (!parse(value, &number) || number < min || number > max) {
            const std::string wanted =
                "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
            refuse(key, value, wanted.c_str());
            return;
        }
        *target = static_cast<T>(number);
    }

    // The first failure, or INVALID naming a key that nothing read.
    Status finish() {
        if (!status_.ok()) return status_;
        for (uint32_t i = 0; i < options_.count; ++i) {
            if (read_[i]) continue;
            const std::string_view key = view(options_[i].key);
            return fail(TENON_INVALID, "Unknown option '%.*s'; known are: %s.",
                        static_cast<int>(key.size() < 64 ? key.size() : 64), key.data(),
                        known_.empty() ? "none" : known_.c_str());
        }
        return Status();
    }

private:
    const tenon_option* find(std::string_view key) {
        if (!known_.empty()) known_ += ", ";
        known_ += std::string(key);
        const tenon_option* found = nullptr;
        for (uint32_t i = 0; i < options_.count; ++i) {
            if (view(options_[i].key) != key) continue;
            if (found != nullptr && status_.ok()) {
                status_ = fail(TENON_INVALID, "Option '%.*s' is given twice.",
                               static_cast<int>(key.size()), key.data());
            }
            read_[i] = true;
            found = &options_[i];
        }
        return status_.ok() ? found : nullptr;
    }

    void refuse(std::string_view key, std::string_view value, const char* wanted) {
        status_ =
            fail(TENON_INVALID, "Option '%.*s' is '%.*s', wanted %s.", static_cast<int>(key.size()),
                 key.data(), static_cast<int>(value.size() < 64 ? value.size() : 64), value.data(),
                 wanted);
    }

    static bool parse(std::string_view text, int64_t* number) {
        const bool negative = !text.empty() && text.front() == '-';
        if (negative) text.remove_prefix(1);
        if (text.empty() || text.size() > 18) return false;
        int64_t value = 0;
        for (char c : text) {
            if (c < '0' || c > '9') return false;
            value = value * 10 + (c - '0');
        }
        *number = negative ? -value : value;
        return true;
    }

    Span<const tenon_option> options_;
    std::vector<bool> read_;
    std::string known_;
    Status status_;
};

}  // namespace tenon::sdk
