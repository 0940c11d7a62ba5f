// usage: tokenize_batch MODEL.gguf <requests >answers
//        tokenize_batch MODEL.gguf facts
//
// A request: u32 flags (1 = add special tokens, 2 = parse special tokens), u32 length, bytes.
// An answer: i32 count, then the ids; count -1: refused. All in the byte order of the machine.
// "facts": a line with the fill-in-the-middle ids (-1: none), then one per token: its id, "ends" if it
// ends a generation, the bytes it stands for.
// llama_batch.c speaks the same, so that compare_llama_cpp.py can drive both.
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "core/formats/gguf.h"
#include "core/formats/gguf_vocabulary.h"
#include "core/tokenizer/tokenizer.h"

namespace {

tenon::Result<tenon::tokenizer::Tokenizer> load(const char* path) {
    TENON_TRY(const tenon::formats::LoadedGguf loaded, tenon::formats::load_gguf(path));
    TENON_TRY(const tenon::tokenizer::Vocabulary vocabulary,
              tenon::formats::parse_vocabulary(loaded.gguf));
    const auto start = std::chrono::steady_clock::now();
    auto tokenizer = tenon::tokenizer::Tokenizer::create(vocabulary);
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    std::fprintf(stderr, "create: %.1f ms for %zu tokens\n", spent.count(),
                 vocabulary.tokens.size());
    return tokenizer;
}

int print_facts(const tenon::tokenizer::Tokenizer& tokenizer) {
    const tenon::tokenizer::KnownTokens& known = tokenizer.known();
    std::printf("fim");
    for (const auto& id : {known.fim_prefix, known.fim_suffix, known.fim_middle, known.fim_pad,
                           known.fim_repo, known.fim_separator}) {
        std::printf(" %d", id.value_or(-1));
    }
    std::printf("\n");
    for (int32_t id = 0; id < tokenizer.size(); ++id) {
        std::printf("%d %s", id, tokenizer.is_eog(id) ? "ends " : "");
        for (const char byte : tokenizer.token_bytes(id))
            std::printf("%02x", static_cast<unsigned char>(byte));
        std::printf("\n");
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2 && argc != 3) {
        std::fprintf(stderr, "usage: tokenize_batch MODEL.gguf [facts] <requests >answers\n");
        return 2;
    }
    const auto tokenizer = load(argv[1]);
    if (!tokenizer) {
        std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
        return 1;
    }
    if (argc == 3) return print_facts(*tokenizer);
    const auto start = std::chrono::steady_clock::now();
    size_t total = 0;
    uint32_t head[2];
    std::string text;
    while (std::fread(head, sizeof head, 1, stdin) == 1) {
        text.resize(head[1]);
        if (head[1] > 0 && std::fread(text.data(), head[1], 1, stdin) != 1) return 1;
        const auto ids = tokenizer->encode(
            text, {.add_special = (head[0] & 1) != 0, .parse_special = (head[0] & 2) != 0});
        const int32_t count = ids ? static_cast<int32_t>(ids->size()) : -1;
        std::fwrite(&count, sizeof count, 1, stdout);
        if (count > 0) std::fwrite(ids->data(), sizeof(int32_t), ids->size(), stdout);
        total += text.size();
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    std::fprintf(stderr, "encode: %.1f MB in %.2f s\n", static_cast<double>(total) * 1e-6,
                 spent.count());
    return 0;
}
