// A prepared program: dispatches over planned memory, and their recordings.
//
// Compiling turns nodes into dispatches whose bindings name values. A recording binds them to the
// buffers of one step and bucket; it is submitted again as long as the bound buffers stay. What varies
// from step to step are words of the step buffer alone (shaders/include/step.h), which the worker
// writes into host memory and the recording's first segment copies to the device.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "backends/common/program_reader.h"
#include "backends/vulkan/pipeline.h"
#include "backends/vulkan/vulkan_backend.h"

namespace tenon::vulkan {

using common::kInputsMax;
using common::kOutputsMax;
constexpr uint32_t kStepsInFlight = 2;       // of one program
constexpr uint32_t kRecordingsMax = 4;       // of one bucket, each with other bound buffers
constexpr uint32_t kSegmentDispatches = 48;  // between two looks at the cancel word
constexpr uint64_t kPlaceAlign = 256;        // offsets of bindings; no device wants more

struct Value : common::ProgramValue {
    uint32_t first_node = UINT32_MAX;  // that touches it
    uint32_t last_node = 0;
    uint64_t at = 0;  // TEMP: bytes into the scratch memory

    bool used() const noexcept { return first_node != UINT32_MAX; }
};

struct Node : common::ProgramNode {
    uint32_t scratch = TENON_NONE;                       // a value of this node alone
    const WeightEntry* weights[2] = {nullptr, nullptr};  // matmul, embed; glu: gate, up
};

// Where the bytes of a binding lie.
struct Place {
    enum class Kind : uint8_t { kScratch, kSlot, kMemory };
    Kind kind = Kind::kMemory;
    uint32_t slot = 0;                 // kSlot
    VkBuffer buffer = VK_NULL_HANDLE;  // kMemory
    uint64_t offset = 0;               // kScratch, kMemory, and kSlot beside the bound offset
    uint64_t bytes = 0;                // at the largest; what a slot's buffer has less is cut off
};

struct Binding {
    uint32_t index = 0;  // binding number of set 0
    Place place;
    bool writes = false;
};

// ceil(extent / per) with the extent of a dimension, `most` at most, times `times`.
struct Groups {
    tenon_dim extent = {TENON_NONE, 0, 1};
    uint32_t per = 1;
    uint32_t times = 1;
    int64_t most = INT64_MAX;
};

uint64_t groups_of(const Groups& groups, const int64_t* symbols) noexcept;

// Without a pipeline it only has an entry in the step buffer, whose `rows` other dispatches read.
struct Dispatch {
    const Pipeline* pipeline = nullptr;
    uint32_t node = 0;
    tenon_dim rows = {TENON_NONE, 0, 0};  // without rows nothing is dispatched
    int64_t rows_most = INT64_MAX;        // and of more, so many
    Groups groups[3];
    std::vector<Binding> bindings;  // without the step buffer
    uint8_t push[kPushBytesMax] = {};
    uint32_t push_bytes = 0;
    bool reports = false;  // may write the error words
};

// One command buffer of a recording: the nodes first_node .. end_node - 1.
struct Segment {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    uint32_t first_node = 0, end_node = 0;
};

// A bound buffer as commands name it. The id tells buffers apart that came to the same memory.
struct BoundSlot {
    uint64_t id = 0;
    VkBuffer buffer = VK_NULL_HANDLE;
    uint64_t offset = 0;  // in buffer
    uint64_t bytes = 0;   // from there to the end of the bound one
    bool operator==(const BoundSlot& other) const noexcept {
        return id == other.id && buffer == other.buffer && offset == other.offset &&
               bytes == other.bytes;
    }
};
BoundSlot bound_slot(const tenon_bind& bind, uint32_t slot) noexcept;

// The commands of one bucket with these buffers.
struct Recording {
    std::vector<BoundSlot> bound;  // of each slot
    VkDescriptorPool sets = VK_NULL_HANDLE;
    std::vector<Segment> segments;
    uint64_t last_use = 0;
    std::atomic<uint32_t> in_flight{0};  // steps that run it
};

// Room for one step in flight. Made by begin_step, given back by finish_step.
struct StepRun {
    Exec* exec = nullptr;
    std::atomic<bool> taken{false};
    uint32_t* words = nullptr;                // the step buffer's image in host memory
    VkCommandBuffer before = VK_NULL_HANDLE;  // host image to step buffer
    VkCommandBuffer behind = VK_NULL_HANDLE;  // error words to host memory
    Recording* recording = nullptr;
    uint32_t bucket = 0;
};

struct Exec : common::StepBounds {
    Device* device = nullptr;
    Weights* weights = nullptr;
    KvPool* kv = nullptr;
    bool profile = false;
    bool deterministic = true;
    bool coarse = false;  // COMPUTE_FAST without PREPARE_DETERMINISTIC: factors may keep 11 bits
    std::vector<Value> values;
    std::vector<Node> nodes;
    std::vector<std::vector<Dispatch>> dispatches;                    // of each bucket
    std::vector<std::vector<std::unique_ptr<Recording>>> recordings;  // of each bucket
    uint64_t scratch_bytes = 0;  // all that is held for temporaries
    uint64_t temp_bytes = 0;     // values within it
    uint32_t step_words = 0;     // words of the step buffer in front of the error words
    uint64_t image_bytes = 0;    // of one image of the step buffer

    Memory scratch;  // temporaries
    Memory step;     // step buffer on the device, and kPlaceAlign bytes that nobody writes
    Memory host;     // images of the step buffer, kStepsInFlight of them
    VkCommandPool pool = VK_NULL_HANDLE;
    VkQueryPool queries = VK_NULL_HANDLE;  // PROFILE: two timestamps of each node
    StepRun runs[kStepsInFlight];
    uint64_t uses = 0;
    std::vector<uint64_t> node_ns;  // PROFILE: of the last finished step
    std::vector<uint64_t> ticks;    // PROFILE: what the queries give

    ~Exec();
    const Value& value(uint32_t id) const noexcept { return values[id]; }
};

// Places all temporaries, given the nodes that touch them; sets temp_bytes, takes nothing.
void plan_memory(Exec& exec);

// The shader that multiplies so many tokens with a weight: what force_variant names, else what suits the
// device; null where it runs none.
const shaders::ShaderVariant* matmul_variant(const Device& device, int64_t tokens) noexcept;

}  // namespace tenon::vulkan
