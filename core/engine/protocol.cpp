#include "core/engine/protocol.h"

#include "core/engine/wire.h"

#include <tenon/abi.h>

#include <fmt/format.h>

#include <cstring>
#include <type_traits>
#include <utility>

namespace tenon::engine::protocol {

namespace {

using wire::Reader;
using wire::Ref;
using wire::Shape;
using wire::Writer;

// Bounds of counts, far above what config::Limits lets through.
constexpr uint32_t kPromptTokensMax = 1u << 24;
constexpr uint32_t kStopsMax = 256, kStopBytesMax = 64u << 10, kStopIdsMax = 64u << 10;
constexpr uint32_t kLogitBiasMax = 1u << 20;
constexpr uint32_t kScopeBytesMax = 4u << 10;
constexpr uint32_t kDeltasMax = 1u << 16, kDeltaTokensMax = 1u << 20, kDeltaTextMax = 32u << 20;
constexpr uint32_t kTopMax = 1u << 12, kEmbeddingMax = 1u << 20;
constexpr uint32_t kConfigTextMax = wire::kKeyBytesMax, kConfigItemsMax = 1u << 12;
constexpr uint32_t kJsonBytesMax = 1u << 20;

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
    for (auto* count : {&s.steps, &s.progress, &s.prompt_tokens, &s.cached_tokens, &s.output_tokens,
                        &s.retractions, &s.evicted_blocks, &s.plans_refused, &s.finished,
                        &s.cancelled, &s.failed, &s.restarts})
        io.number(*count);
    io.number(s.new_token_ratio);
    io.number(s.busy_ratio);
    io.number(s.last_step_age_ms);
    io.number(s.tokens_per_second);
    io.text(s.effective_policy, "effective_policy", kNameBytesMax);
}

template <class Io>
void fields(Io& io, Ref<Io, Hello> m) {
    io.build(fingerprint);
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
    io.build(fingerprint);
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
    {"Hello", 1, Sender::kFront, 4u << 20},     {"Submit", 2, Sender::kFront, kMessageBytesMax},
    {"Cancel", 3, Sender::kFront, 64},          {"Pause", 4, Sender::kFront, 64},
    {"FlushCache", 5, Sender::kFront, 64},      {"Drain", 6, Sender::kFront, 64},
    {"Shutdown", 7, Sender::kFront, 64},        {"Loading", 16, Sender::kEngine, 64},
    {"Ready", 17, Sender::kEngine, 4u << 20},   {"Deltas", 18, Sender::kEngine, kMessageBytesMax},
    {"Stats", 19, Sender::kEngine, 64u << 10},  {"Leaving", 20, Sender::kEngine, 64},
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
            failed_ = Error{Code::kData,
                            fmt::format("message type {} is not one that the {} sends", number,
                                        sender_ == Sender::kFront ? "front" : "engine process")};
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
