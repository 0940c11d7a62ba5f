#include "core/engine/protocol.h"

#include "core/base/bytes.h"

#include <tenon/abi.h>

#include <fmt/format.h>

#include <concepts>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

namespace tenon::engine::protocol {

namespace {

constexpr uint32_t kVersion = 1;

// Bounds of counts, far above what config::Limits lets through.
constexpr uint32_t kPromptTokensMax = 1u << 24;
constexpr uint32_t kStopsMax = 256, kStopBytesMax = 64u << 10, kStopIdsMax = 64u << 10;
constexpr uint32_t kLogitBiasMax = 1u << 20;
constexpr uint32_t kScopeBytesMax = 4u << 10;
constexpr uint32_t kDeltasMax = 1u << 16, kDeltaTokensMax = 1u << 20, kDeltaTextMax = 32u << 20;
constexpr uint32_t kTopMax = 1u << 12, kEmbeddingMax = 1u << 20;
constexpr uint32_t kConfigTextMax = 1u << 16, kConfigItemsMax = 1u << 12;
constexpr uint32_t kJsonBytesMax = 1u << 20;

// Three visitors walk the same field lists. `T&` is const for those that do not read.
template <class Io, class T>
using Ref = std::conditional_t<Io::kReads, T&, const T&>;

class Writer {
public:
    static constexpr bool kReads = false;

    explicit Writer(std::string& out) : out_(out) {}

    template <class T>
    void number(const T& value) {
        static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
        out_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
    void flag(bool value) { number<uint8_t>(value ? 1 : 0); }
    template <class E>
    void choice(const E& value, E, E) {
        number(static_cast<std::underlying_type_t<E>>(value));
    }
    void text(const std::string& value, const char* what, uint32_t max) {
        if (!count(value.size(), what, max)) return;
        out_ += value;
    }
    template <class T>
    void numbers(const std::vector<T>& values, const char* what, uint32_t max) {
        if (!count(values.size(), what, max)) return;
        out_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    }
    template <class T, class Each>
    void list(const std::vector<T>& values, const char* what, uint32_t max, Each&& each) {
        if (!count(values.size(), what, max)) return;
        for (const T& value : values)
            each(value);
    }
    template <class T, class Each>
    void map(const std::map<std::string, T>& values, const char* what, uint32_t max, Each&& each) {
        if (!count(values.size(), what, max)) return;
        for (const auto& [key, value] : values) {
            text(key, what, kConfigTextMax);
            each(value);
        }
    }
    template <class T, class Each>
    void maybe(const std::optional<T>& value, Each&& each) {
        flag(value.has_value());
        if (value) each(*value);
    }
    void build() {
        number(kVersion);
        number(fingerprint());
    }
    void name(const char*) {}

    Status take_status() { return std::move(status_); }

private:
    bool count(size_t size, const char* what, uint32_t max) {
        if (size > max) {
            if (status_.ok())
                status_ = Error{Code::kInvalid, fmt::format("{} has {} elements; an engine process "
                                                            "takes at most {}",
                                                            what, size, max)};
            return false;
        }
        number(static_cast<uint32_t>(size));
        return true;
    }

    std::string& out_;
    Status status_;
};

// After the first failure every read leaves its value alone.
class Reader {
public:
    static constexpr bool kReads = true;

    explicit Reader(std::string_view bytes) : bytes_(std::as_bytes(std::span(bytes))) {}

    template <class T>
    void number(T& value) {
        if (!status_.ok()) return;
        Result<T> read = bytes_.read<T>("a number");
        if (!read.ok()) {
            status_ = std::move(read).error();
            return;
        }
        value = *read;
    }
    void flag(bool& value) {
        uint8_t read = 0;
        number(read);
        if (read > 1) fail(fmt::format("a flag is {}; expected 0 or 1", read));
        value = read == 1;
    }
    template <class E>
    void choice(E& value, E min, E max) {
        using Number = std::underlying_type_t<E>;
        Number read = static_cast<Number>(min);
        number(read);
        if (read < static_cast<Number>(min) || read > static_cast<Number>(max))
            return fail(fmt::format("a choice is {}; expected {} to {}", read,
                                    static_cast<Number>(min), static_cast<Number>(max)));
        value = static_cast<E>(read);
    }
    void text(std::string& value, const char* what, uint32_t max) {
        const uint32_t size = count(what, max);
        if (const auto bytes = take(size, what); status_.ok()) value = as_text(bytes);
    }
    template <class T>
    void numbers(std::vector<T>& values, const char* what, uint32_t max) {
        const uint32_t size = count(what, max);
        const auto bytes = take(uint64_t{size} * sizeof(T), what);
        if (!status_.ok()) return;
        values.resize(size);
        if (size > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
    }
    template <class T, class Each>
    void list(std::vector<T>& values, const char* what, uint32_t max, Each&& each) {
        values.clear();
        for (uint32_t left = count(what, max); left > 0 && status_.ok(); --left)
            each(values.emplace_back());
    }
    template <class T, class Each>
    void map(std::map<std::string, T>& values, const char* what, uint32_t max, Each&& each) {
        values.clear();
        for (uint32_t left = count(what, max); left > 0 && status_.ok(); --left) {
            std::string key;
            text(key, what, kConfigTextMax);
            if (!values.empty() && key <= values.rbegin()->first)
                return fail(fmt::format("{} has keys that do not ascend", what));
            each(values.emplace_hint(values.end(), std::move(key), T{})->second);
        }
    }
    template <class T, class Each>
    void maybe(std::optional<T>& value, Each&& each) {
        bool has = false;
        flag(has);
        if (has && status_.ok()) {
            each(value.emplace());
        } else {
            value.reset();
        }
    }
    void build() {
        uint32_t version = 0;
        uint64_t print = 0;
        number(version);
        number(print);
        if (status_.ok() && (version != kVersion || print != fingerprint()))
            fail(fmt::format("the other process is of another build (protocol {} {:016x}; this one "
                             "speaks {} {:016x})",
                             version, print, kVersion, fingerprint()));
    }
    void name(const char*) {}

    // The first failure, or that bytes are left.
    Status finish() {
        if (status_.ok() && bytes_.remaining() > 0)
            fail(fmt::format("{} bytes follow its last field", bytes_.remaining()));
        return std::move(status_);
    }

private:
    void fail(std::string sentence) {
        if (status_.ok()) status_ = Error{Code::kData, std::move(sentence)};
    }
    uint32_t count(const char* what, uint32_t max) {
        uint32_t size = 0;
        number(size);
        if (size <= max) return size;
        fail(fmt::format("{} announces {} elements; at most {} are legal", what, size, max));
        return 0;
    }
    std::span<const std::byte> take(uint64_t size, const char* what) {
        if (!status_.ok()) return {};
        auto bytes = bytes_.take(size, what);
        if (bytes.ok()) return *bytes;
        status_ = std::move(bytes).error();
        return {};
    }

    ByteReader bytes_;
    Status status_;
};

// Hashes what kind of field comes where; visits one element of each list.
class Shape {
public:
    static constexpr bool kReads = false;

    template <class T>
    void number(const T&) {
        mix(std::is_floating_point_v<T> ? 'f' : std::is_signed_v<T> ? 'i' : 'u');
        mix(sizeof(T));
    }
    void flag(bool) { mix('b'); }
    template <class E>
    void choice(const E&, E, E max) {
        mix('e');
        mix(static_cast<uint64_t>(max));
    }
    void text(const std::string&, const char* what, uint32_t) { name(what); }
    template <class T>
    void numbers(const std::vector<T>&, const char* what, uint32_t) {
        name(what);
        number(T{});
    }
    template <class T, class Each>
    void list(const std::vector<T>&, const char* what, uint32_t, Each&& each) {
        name(what);
        const T sample{};
        each(sample);
    }
    template <class T, class Each>
    void map(const std::map<std::string, T>&, const char* what, uint32_t, Each&& each) {
        name(what);
        const T sample{};
        each(sample);
    }
    template <class T, class Each>
    void maybe(const std::optional<T>&, Each&& each) {
        mix('?');
        const T sample{};
        each(sample);
    }
    void build() { mix(kVersion); }
    void name(const char* text) {
        for (; *text != '\0'; ++text)
            mix(static_cast<unsigned char>(*text));
        mix(0);
    }
    void mix(uint64_t value) {
        for (int byte = 0; byte < 8; ++byte, value >>= 8)
            hash_ = (hash_ ^ (value & 0xff)) * 0x100000001b3;
    }
    uint64_t hash() const { return hash_; }

private:
    uint64_t hash_ = 0xcbf29ce484222325;
};

// One option of the configuration, whatever its type.
template <class Io, class T>
void option(Io& io, const char* name, T& value) {
    using Value = std::remove_const_t<T>;
    if constexpr (std::is_same_v<Value, bool>) {
        io.flag(value);
    } else if constexpr (std::is_arithmetic_v<Value>) {
        io.number(value);
    } else if constexpr (std::is_same_v<Value, std::string>) {
        io.text(value, name, kConfigTextMax);
    } else if constexpr (requires { typename Value::mapped_type; }) {
        io.map(value, name, kConfigItemsMax, [&](auto& item) { option(io, name, item); });
    } else {
        io.list(value, name, kConfigItemsMax, [&](auto& item) { option(io, name, item); });
    }
}

template <class Io>
void fields(Io& io, Ref<Io, config::EngineConfig> config) {
    // visit_fields wants an object that may change; only a Reader changes it.
    auto& visited = const_cast<config::EngineConfig&>(config);
    config::visit_fields(visited, [&](const char* name, auto& field, const auto&, const auto&...) {
        io.name(name);
        if constexpr (Io::kReads) {
            option(io, name, field);
        } else {
            option(io, name, std::as_const(field));
        }
    });
}

template <class Io>
void fields(Io& io, Ref<Io, sampling::SamplingParams> s) {
    io.number(s.temperature);
    io.number(s.top_k);
    io.number(s.top_p);
    io.number(s.min_p);
    io.number(s.seed);
    io.list(s.logit_bias, "logit_bias", kLogitBiasMax, [&](auto& entry) {
        io.number(entry.first);
        io.number(entry.second);
    });
    io.number(s.repetition_penalty);
    io.number(s.frequency_penalty);
    io.number(s.presence_penalty);
}

template <class Io>
void fields(Io& io, Ref<Io, GenerationRequest> r) {
    using Kind = GenerationRequest::Kind;
    io.number(r.id);
    io.choice(r.kind, Kind::kGenerate, Kind::kEmbed);
    io.numbers(r.prompt, "prompt", kPromptTokensMax);
    io.number(r.max_tokens);
    io.number(r.min_tokens);
    fields(io, r.sampling);
    io.list(r.stop, "stop", kStopsMax,
            [&](auto& stop) { io.text(stop, "a stop string", kStopBytesMax); });
    io.numbers(r.stop_token_ids, "stop_token_ids", kStopIdsMax);
    io.flag(r.include_stop);
    io.flag(r.ignore_eos);
    io.flag(r.skip_special);
    io.number(r.logprobs);
    io.number(r.priority);
    io.number(r.queue_wait_ms);
    io.number(r.deadline_ms);
    io.text(r.cache_scope, "cache_scope", kScopeBytesMax);
}

template <class Io>
void fields(Io& io, Ref<Io, Error> error) {
    io.choice(error.code, Code::kInvalid, Code::kConfig);
    io.text(error.message, "an error", kErrorBytesMax);
}

template <class Io>
void fields(Io& io, Ref<Io, Finish> f) {
    io.choice(f.reason, FinishReason::kStop, FinishReason::kError);
    io.maybe(f.error, [&](auto& error) { fields(io, error); });
    io.maybe(f.matched, [&](auto& text) { io.text(text, "matched", kStopBytesMax); });
    io.number(f.prompt_tokens);
    io.number(f.cached_tokens);
    io.number(f.output_tokens);
    io.number(f.queue_ms);
    io.number(f.first_token_ms);
    io.number(f.total_ms);
    io.number(f.retractions);
}

template <class Io>
void fields(Io& io, Ref<Io, OutputDelta> d) {
    io.number(d.id);
    io.flag(d.is_scheduled);
    io.text(d.text, "text", kDeltaTextMax);
    io.list(d.tokens, "tokens", kDeltaTokensMax, [&](auto& token) {
        io.number(token.token);
        io.number(token.logprob);
        io.list(token.top, "top_logprobs", kTopMax, [&](auto& entry) {
            io.number(entry.token);
            io.number(entry.logprob);
        });
    });
    io.numbers(d.embedding, "embedding", kEmbeddingMax);
    io.maybe(d.finish, [&](auto& finish) { fields(io, finish); });
}

template <class Io>
void fields(Io& io, Ref<Io, EngineInfo> i) {
    io.text(i.model_name, "model_name", kNameBytesMax);
    io.text(i.architecture, "architecture", kNameBytesMax);
    io.number(i.parameters);
    io.number(i.vocab_size);
    io.number(i.context_length);
    io.number(i.max_running_requests);
    io.number(i.block_tokens);
    io.number(i.kv_blocks);
    io.number(i.embedding_size);
    io.text(i.device, "device", kNameBytesMax);
    io.text(i.backend, "backend", kNameBytesMax);
    io.text(i.policy, "policy", kNameBytesMax);
    io.flag(i.deterministic);
    io.text(i.memory_json, "memory", kJsonBytesMax);
}

template <class Io>
void fields(Io& io, Ref<Io, EngineStats> s) {
    io.flag(s.is_ready);
    io.text(s.not_ready, "not_ready", kNameBytesMax);
    for (auto* count :
         {&s.running, &s.waiting, &s.paused, &s.blocks_free, &s.blocks_cached, &s.blocks_used})
        io.number(*count);
    for (auto* count :
         {&s.steps, &s.progress, &s.prompt_tokens, &s.cached_tokens, &s.output_tokens,
          &s.retractions, &s.evicted_blocks, &s.plans_refused, &s.finished, &s.cancelled, &s.failed,
          &s.restarts})
        io.number(*count);
    io.number(s.new_token_ratio);
    io.number(s.busy_ratio);
    io.number(s.last_step_age_ms);
    io.number(s.tokens_per_second);
    io.text(s.effective_policy, "effective_policy", kNameBytesMax);
}

template <class Io>
void fields(Io& io, Ref<Io, Hello> m) {
    io.build();
    io.text(m.model, "model", kConfigTextMax);
    fields(io, m.config);
}
template <class Io>
void fields(Io& io, Ref<Io, Submit> m) {
    fields(io, m.request);
}
template <class Io>
void fields(Io& io, Ref<Io, Cancel> m) {
    io.number(m.id);
}
template <class Io>
void fields(Io& io, Ref<Io, Pause> m) {
    io.number(m.id);
    io.flag(m.paused);
}
template <class Io>
void fields(Io& io, Ref<Io, Loading> m) {
    io.number(m.done);
    io.number(m.total);
}
template <class Io>
void fields(Io& io, Ref<Io, Ready> m) {
    io.build();
    fields(io, m.info);
}
template <class Io>
void fields(Io& io, Ref<Io, Deltas> m) {
    io.list(m.deltas, "deltas", kDeltasMax, [&](auto& delta) { fields(io, delta); });
}
template <class Io>
void fields(Io& io, Ref<Io, Stats> m) {
    fields(io, m.stats);
}
template <class Io>
void fields(Io& io, Ref<Io, Failed> m) {
    io.choice(m.stage, Failed::Stage::kLoading, Failed::Stage::kServing);
    fields(io, m.error);
}
template <class Io, class T>
    requires std::is_empty_v<T>
void fields(Io&, T&) {}

// The types' numbers on the wire: front's below 16, engine's from 16. Same order as Message.
struct Type {
    const char* name;
    uint16_t number;
    Sender sender;
    uint32_t bytes_max;
};
constexpr Type kTypes[] = {
    {"Hello", 1, Sender::kFront, 4u << 20},
    {"Submit", 2, Sender::kFront, kMessageBytesMax},
    {"Cancel", 3, Sender::kFront, 64},
    {"Pause", 4, Sender::kFront, 64},
    {"FlushCache", 5, Sender::kFront, 64},
    {"Drain", 6, Sender::kFront, 64},
    {"Shutdown", 7, Sender::kFront, 64},
    {"Loading", 16, Sender::kEngine, 64},
    {"Ready", 17, Sender::kEngine, 4u << 20},
    {"Deltas", 18, Sender::kEngine, kMessageBytesMax},
    {"Stats", 19, Sender::kEngine, 64u << 10},
    {"Leaving", 20, Sender::kEngine, 64},
    {"Failed", 21, Sender::kEngine, 64u << 10},
};
constexpr size_t kTypesCount = std::variant_size_v<Message>;
static_assert(std::size(kTypes) == kTypesCount);

// Reads the fields of the message that is alternative `index` of Message.
template <size_t I = 0>
Status read_fields(size_t index, std::string_view bytes, Message& out) {
    if constexpr (I < kTypesCount) {
        if (index != I) return read_fields<I + 1>(index, bytes, out);
        Reader reader(bytes);
        fields(reader, out.emplace<I>());
        return reader.finish();
    } else {
        return Error{Code::kInternal, "no such alternative"};
    }
}

template <size_t I = 0>
void mix_fields(Shape& shape) {
    if constexpr (I < kTypesCount) {
        shape.name(kTypes[I].name);
        const std::variant_alternative_t<I, Message> sample{};
        fields(shape, sample);
        mix_fields<I + 1>(shape);
    }
}

constexpr size_t kHeadBytes = sizeof(uint32_t) + sizeof(uint16_t);

}  // namespace

uint64_t fingerprint() {
    static const uint64_t hash = [] {
        Shape shape;
        shape.mix(TENON_ABI_FINGERPRINT);
        mix_fields(shape);
        return shape.hash();
    }();
    return hash;
}

uint64_t encoded_size(const OutputDelta& delta) noexcept {
    uint64_t bytes = 128 + delta.text.size() + delta.embedding.size() * sizeof(float);
    for (const OutputToken& token : delta.tokens)
        bytes += 12 + token.top.size() * sizeof(TokenLogprob);
    if (delta.finish && delta.finish->error) bytes += delta.finish->error->message.size();
    return bytes;
}

Status encode(const Message& message, std::string& out) {
    const size_t start = out.size();
    const Type& type = kTypes[message.index()];
    Writer writer(out);
    writer.number<uint32_t>(0);
    writer.number(type.number);
    std::visit([&](const auto& alternative) { fields(writer, alternative); }, message);
    Status status = writer.take_status();
    const size_t length = out.size() - start - sizeof(uint32_t);
    if (status.ok() && length > type.bytes_max)
        status = Error{Code::kInvalid, fmt::format("a {} of {} bytes is too long; at most {} pass",
                                                   type.name, length, type.bytes_max)};
    if (!status.ok()) {
        out.resize(start);
        return status;
    }
    const auto announced = static_cast<uint32_t>(length);
    std::memcpy(out.data() + start, &announced, sizeof(announced));
    return {};
}

Status Decoder::feed(std::string_view bytes, std::vector<Message>& out) {
    if (!failed_.ok()) return failed_;
    buffer_ += bytes;
    size_t offset = 0;
    while (buffer_.size() - offset >= kHeadBytes) {
        uint32_t length = 0;
        uint16_t number = 0;
        std::memcpy(&length, buffer_.data() + offset, sizeof(length));
        std::memcpy(&number, buffer_.data() + offset + sizeof(length), sizeof(number));
        size_t index = 0;
        while (index < kTypesCount && kTypes[index].number != number)
            ++index;
        if (index == kTypesCount || kTypes[index].sender != sender_) {
            failed_ = Error{Code::kData, fmt::format("message type {} is not one that the {} sends",
                                                     number, sender_ == Sender::kFront
                                                                 ? "front"
                                                                 : "engine process")};
            return failed_;
        }
        const Type& type = kTypes[index];
        if (length < sizeof(number) || length > type.bytes_max) {
            failed_ = Error{Code::kData, fmt::format("a {} announces {} bytes; 2 to {} are legal",
                                                     type.name, length, type.bytes_max)};
            return failed_;
        }
        if (buffer_.size() - offset - sizeof(length) < length) break;
        const std::string_view body(buffer_.data() + offset + kHeadBytes, length - sizeof(number));
        Message message;
        if (Status status = read_fields(index, body, message); !status.ok()) {
            failed_ = std::move(status).error().within(fmt::format("message {}", type.name));
            return failed_;
        }
        out.push_back(std::move(message));
        offset += sizeof(length) + length;
    }
    buffer_.erase(0, offset);
    return {};
}

}  // namespace tenon::engine::protocol
