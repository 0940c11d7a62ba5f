// What front and engine process say to each other, as bytes. Sans-IO: nothing here reads or writes a
// socket.
//
// A message is u32 length of what follows, u16 type, fields; all little-endian, no padding. Every
// size has a bound, and a byte too many or too few is an error. Field lists are written once, in
// protocol.cpp; their fingerprint is in Hello and Ready, so that two builds whose lists differ
// refuse each other.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"
#include "core/engine/engine_client.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tenon::engine::protocol {

// Front to engine. The first one is Hello.
struct Hello {
    std::string model;  // path
    config::EngineConfig config;
};
struct Submit {
    GenerationRequest request;
};
struct Cancel {
    GenerationId id = 0;
};
struct Pause {
    GenerationId id = 0;
    bool paused = false;
};
struct FlushCache {};
struct Drain {};     // no Submit follows: end what runs, then exit
struct Shutdown {};  // exit now

// Engine to front. Any number of Loading and Stats, then Ready or Failed.
struct Loading {
    uint64_t done = 0, total = 0;
};
struct Ready {
    EngineInfo info;
};
struct Deltas {  // of one step, in the order in which they were made
    std::vector<OutputDelta> deltas;
};
struct Stats {
    EngineStats stats;
};
struct Leaving {};  // asks the front for Drain
struct Failed {     // the last message
    enum class Stage : uint8_t { kLoading, kServing };
    Stage stage = Stage::kLoading;
    Error error;
};

using Message = std::variant<Hello, Submit, Cancel, Pause, FlushCache, Drain, Shutdown, Loading,
                             Ready, Deltas, Stats, Leaving, Failed>;

enum class Sender : uint8_t { kFront, kEngine };

// Bounds of one message and of the texts that others choose; a writer cuts such texts before.
inline constexpr uint32_t kMessageBytesMax = 96u << 20;
inline constexpr uint32_t kNameBytesMax = 4u << 10;    // of EngineInfo
inline constexpr uint32_t kErrorBytesMax = 16u << 10;  // Error::message
// A writer of Deltas starts another message after so many bytes of content.
inline constexpr uint32_t kDeltasBytesSoft = 4u << 20;

// Appends one message to `out`. kInvalid names a field above its bound; `out` is then as before.
Status encode(const Message& message, std::string& out);

// About the bytes that `delta` takes in a message.
uint64_t encoded_size(const OutputDelta& delta) noexcept;

// FNV-1a over the types and names of all fields and the plugin ABI's fingerprint.
uint64_t fingerprint();

// Bytes, cut anywhere -> messages.
class Decoder {
public:
    explicit Decoder(Sender sender) : sender_(sender) {}

    // Appends the messages that are complete. kData: malformed, or not one that `sender` may send;
    // the decoder then stays in that error. Memory grows with the bytes fed, not with what they
    // announce.
    Status feed(std::string_view bytes, std::vector<Message>& out);

private:
    Sender sender_;
    std::string buffer_;
    Status failed_;
};

}  // namespace tenon::engine::protocol
