// Mutants of valid GGUF files against parse_gguf, and of split models against join_gguf, in one
// process: each is refused or loaded, within 100 ms of processor time and 64 MiB of allocations; what
// is loaded keeps the promises of gguf.h.
// Usage: gguf_mutants [--count N] [--seed S]; exits 1 at the first violation.
#include <time.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>

#include "core/formats/gguf_split.h"
#include "tests/core/formats/gguf_builder.h"
#include "tests/core/formats/gguf_invariants.h"

namespace {
uint64_t allocated_bytes = 0;  // by operator new since the last reset; this program has one thread
}

// Not inlined: the compiler would take the pair new/free for a mistake.
[[gnu::noinline]] void* operator new(size_t size) {
    allocated_bytes += size;
    if (void* p = std::malloc(size ? size : 1)) return p;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace tenon::formats {
namespace {

constexpr uint64_t kInputMax = 1u << 20;
constexpr uint64_t kAllocatedMax = 64u << 20;
constexpr double kCpuMsMax = 100;

double cpu_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

constexpr uint64_t kEdges[] = {0,          1,          2,          4,           7,
                               63,         64,         0x7fffffff, 0x80000000u, 0xffffffffu,
                               1ull << 32, 1ull << 40, 1ull << 61, 1ull << 62,  (1ull << 63) - 1,
                               1ull << 63, ~0ull - 31, ~0ull - 7,  ~0ull - 1,   ~0ull};

// The dearest files under 1 MiB: as many pairs, tensors or strings as fit.
std::vector<std::string> dear_files() {
    std::vector<std::string> files;
    GgufBuilder pairs;
    for (uint32_t i = 0; i < 52'000; ++i)
        pairs.number(GgufBuilder::raw((i * 2654435761u) | 0x01010101u) + std::to_string(i % 10),
                     uint8_t{1});
    files.push_back(pairs.bytes());
    GgufBuilder tensors;
    for (uint32_t i = 0; i < 27'000; ++i)
        tensors.tensor_at(GgufBuilder::raw(i * 2654435761u), 0, {1}, uint64_t{i} * 32);
    files.push_back(tensors.bytes());
    files.push_back(GgufBuilder().texts("t", std::vector<std::string>(130'000)).bytes());
    return files;
}

class Mutator {
public:
    explicit Mutator(uint64_t seed) : random_(seed), base_(random_gguf(seed)) {}

    // Mutant `index`; every kind comes up in turn, every header byte is a truncation sooner or
    // later.
    std::string next(uint64_t index) {
        if (index % 40 == 0) base_ = random_gguf(random_());
        std::string bytes = base_.bytes;
        switch (index % 6) {
            case 0: bytes.resize((index / 6 * 7 + below(7)) % base_.header_bytes); break;
            case 1: flip_bits(bytes); break;
            case 2: write_edges(bytes); break;
            case 3: splice(bytes); break;
            case 4: cut_or_repeat(bytes); break;
            default: bytes.resize(below(bytes.size() + 1)); break;
        }
        if (below(8) == 0 && !bytes.empty()) flip_bits(bytes);
        if (bytes.size() >= kInputMax) bytes.resize(kInputMax - 1);
        return bytes;
    }

private:
    uint64_t below(uint64_t n) { return random_() % n; }

    void flip_bits(std::string& bytes) {
        for (uint64_t n = 1 + below(4); n > 0; --n) {
            const uint64_t range =
                below(4) ? std::min<uint64_t>(base_.header_bytes, bytes.size()) : bytes.size();
            bytes[below(range)] ^= static_cast<char>(1u << below(8));
        }
    }
    void write_edges(std::string& bytes) {
        for (uint64_t n = 1 + below(2); n > 0; --n) {
            const GgufField& field = base_.fields[below(base_.fields.size())];
            uint64_t value = kEdges[below(std::size(kEdges))];
            if (below(3) == 0) {
                value = 0;
                std::memcpy(&value, bytes.data() + field.offset, field.width);
                value += below(2) ? 1 : ~0ull;
            }
            std::memcpy(bytes.data() + field.offset, &value, field.width);
        }
    }
    void splice(std::string& bytes) {
        const BuiltGguf other = random_gguf(random_());
        const size_t at = below(bytes.size()), from = below(other.bytes.size());
        bytes = bytes.substr(0, at) + other.bytes.substr(from);
    }
    void cut_or_repeat(std::string& bytes) {
        const size_t at = below(base_.header_bytes);
        const size_t length = std::min<size_t>(1 + below(64), bytes.size() - at);
        const std::string part = bytes.substr(at, length);
        if (below(2))
            bytes.erase(at, length);
        else
            for (uint64_t n = 1 + below(50); n > 0; --n)
                bytes.insert(at, part);
    }

    std::mt19937_64 random_;
    BuiltGguf base_;
};

struct Cost {
    double ms = 0;
    uint64_t allocated = 0;
};

// Parses once and adds up what it took; the promise that broke, or nothing.
std::string try_file(const std::string& file_bytes, Cost& most, bool& loaded) {
    // A block of exactly this size: a read past the end is seen by the address sanitizer.
    const std::unique_ptr<std::byte[]> block(new std::byte[file_bytes.size()]);
    std::memcpy(block.get(), file_bytes.data(), file_bytes.size());
    const std::span<const std::byte> bytes(block.get(), file_bytes.size());

    allocated_bytes = 0;
    const double start = cpu_ms();
    const auto file = parse_gguf(bytes);
    const Cost cost{cpu_ms() - start, allocated_bytes};
    most.ms = std::max(most.ms, cost.ms);
    most.allocated = std::max(most.allocated, cost.allocated);
    loaded = file.ok();
    if (file_bytes.size() >= kInputMax) return "the file is not under 1 MiB: the test is wrong";
    if (cost.ms > kCpuMsMax) return "took " + std::to_string(cost.ms) + " ms";
    if (cost.allocated > kAllocatedMax)
        return "allocated " + std::to_string(cost.allocated) + " bytes";
    if (file.ok()) return broken_promise(*file, bytes);
    return file.error().message.empty() ? "was refused without a sentence" : "";
}

// Models of two to four parts: one in four is left whole, else one part is mutated, swapped, left out
// or taken from another model.
class SplitMutator {
public:
    explicit SplitMutator(uint64_t seed) : random_(seed) {}

    std::vector<std::string> next() {
        const uint64_t seed = random_();
        std::vector<BuiltGguf> built = random_split_gguf(seed);
        std::vector<std::string> parts;
        for (BuiltGguf& part : built)
            parts.push_back(std::move(part.bytes));
        const size_t at = below(parts.size());
        std::string& bytes = parts[at];
        switch (below(8)) {
            case 0: bytes.resize(below(bytes.size() + 1)); break;
            case 1:
                if (at > 0) std::swap(bytes, parts[at - 1]);
                break;
            case 2: parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at)); break;
            case 3: bytes = random_split_gguf(random_()).back().bytes; break;
            case 4:
            case 5: {
                const GgufField& field = built[at].fields[below(built[at].fields.size())];
                const uint64_t value = kEdges[below(std::size(kEdges))];
                std::memcpy(bytes.data() + field.offset, &value, field.width);
                break;
            }
            default: break;
        }
        return parts;
    }

private:
    uint64_t below(uint64_t n) { return random_() % n; }

    std::mt19937_64 random_;
};

std::string try_split(const std::vector<std::string>& files, Cost& most, bool& loaded) {
    std::vector<std::unique_ptr<std::byte[]>> blocks;
    std::vector<std::span<const std::byte>> bytes;
    std::vector<std::string> paths;
    for (const std::string& file : files) {
        blocks.emplace_back(new std::byte[file.size()]);
        std::memcpy(blocks.back().get(), file.data(), file.size());
        bytes.emplace_back(blocks.back().get(), file.size());
        paths.push_back("part " + std::to_string(paths.size()));
    }
    allocated_bytes = 0;
    const double start = cpu_ms();
    const auto model = [&]() -> Result<GgufFile> {
        std::vector<GgufFile> parts;
        for (const auto& part : bytes) {
            TENON_TRY(GgufFile file, parse_gguf(part));
            parts.push_back(std::move(file));
        }
        return join_gguf(std::move(parts), paths);
    }();
    const Cost cost{cpu_ms() - start, allocated_bytes};
    most.ms = std::max(most.ms, cost.ms);
    most.allocated = std::max(most.allocated, cost.allocated);
    loaded = model.ok();
    if (cost.ms > kCpuMsMax) return "took " + std::to_string(cost.ms) + " ms";
    if (cost.allocated > kAllocatedMax)
        return "allocated " + std::to_string(cost.allocated) + " bytes";
    if (model.ok()) return broken_promise(*model, bytes);
    return model.error().message.empty() ? "was refused without a sentence" : "";
}

int run_split(uint64_t count, uint64_t seed) {
    SplitMutator mutator(seed);
    Cost most;
    uint64_t refused = 0, loaded = 0;
    for (uint64_t i = 0; i < count; ++i) {
        bool accepted = false;
        const std::string wrong = try_split(mutator.next(), most, accepted);
        ++(accepted ? loaded : refused);
        if (wrong.empty()) continue;
        std::printf("split model %" PRIu64 ": %s\n", i, wrong.c_str());
        return 1;
    }
    std::printf("%" PRIu64 " split models: %" PRIu64 " refused, %" PRIu64
                " loaded, max %.2f ms of processor time, max %" PRIu64 " bytes allocated\n",
                count, refused, loaded, most.ms, most.allocated);
    if (count >= 100 && (refused == 0 || loaded == 0)) {
        std::printf("the split models are all of one kind: they prove nothing\n");
        return 1;
    }
    return 0;
}

int run(uint64_t count, uint64_t seed) {
    std::printf("gguf_mutants --count %" PRIu64 " --seed %" PRIu64 "\n", count, seed);
    std::fflush(stdout);
    for (uint64_t i = 0; i < 50; ++i) {
        const std::string valid = random_gguf(seed + i).bytes;
        const auto file = parse_gguf(view(valid));
        if (!file.ok()) {
            std::printf("a valid file of seed %" PRIu64 " was refused: %s\n", seed + i,
                        file.error().message.c_str());
            return 1;
        }
    }
    Cost most;
    uint64_t refused = 0, loaded = 0;
    const auto fails = [&](const char* kind, uint64_t index, const std::string& bytes) {
        bool accepted = false;
        const std::string wrong = try_file(bytes, most, accepted);
        ++(accepted ? loaded : refused);
        if (wrong.empty()) return false;
        std::printf("%s %" PRIu64 " (%zu bytes): %s\n", kind, index, bytes.size(), wrong.c_str());
        return true;
    };
    const std::vector<std::string> dear = dear_files();
    for (size_t i = 0; i < dear.size(); ++i)
        if (fails("dear file", i, dear[i])) return 1;
    std::printf("%zu dear files: max %.2f ms of processor time, max %" PRIu64 " bytes allocated\n",
                dear.size(), most.ms, most.allocated);
    refused = loaded = 0;
    Mutator mutator(seed);
    for (uint64_t i = 0; i < count; ++i)
        if (fails("mutant", i, mutator.next(i))) return 1;
    std::printf("%" PRIu64 " mutants: %" PRIu64 " refused, %" PRIu64
                " loaded, max %.2f ms of processor "
                "time, max %" PRIu64 " bytes allocated\n",
                count, refused, loaded, most.ms, most.allocated);
    if (count >= 100 && (refused == 0 || loaded == 0)) {
        std::printf("the mutants are all of one kind: they prove nothing\n");
        return 1;
    }
    return run_split(count / 4, seed);
}

}  // namespace
}  // namespace tenon::formats

int main(int argc, char** argv) {
    uint64_t count = 2000;
    uint64_t seed = std::random_device()();
    for (int i = 1; i < argc; i += 2) {
        const bool has_value = i + 1 < argc;
        if (has_value && std::strcmp(argv[i], "--count") == 0) {
            count = std::strtoull(argv[i + 1], nullptr, 10);
        } else if (has_value && std::strcmp(argv[i], "--seed") == 0) {
            seed = std::strtoull(argv[i + 1], nullptr, 10);
        } else {
            std::fprintf(stderr, "usage: gguf_mutants [--count N] [--seed S]\n");
            return 2;
        }
    }
    return tenon::formats::run(count, seed);
}
