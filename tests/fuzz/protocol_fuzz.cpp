// Bytes between front and engine process -> messages. The first byte picks the sender (its lowest
// bit: engine). Oracle beside "no crash": what was accepted has exactly one encoding.
#include "core/engine/protocol.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    namespace protocol = tenon::engine::protocol;
    if (size < 1 || size > 64 * 1024) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    protocol::Decoder decoder((data[0] & 1) != 0 ? protocol::Sender::kEngine
                                                 : protocol::Sender::kFront);
    std::vector<protocol::Message> messages;
    static_cast<void>(decoder.feed(bytes, messages).ok());
    std::string again;
    for (const protocol::Message& message : messages) {
        if (!protocol::encode(message, again).ok()) std::abort();
    }
    if (bytes.substr(0, again.size()) != again) std::abort();
    return 0;
}
