/* usage: llama_batch MODEL.gguf <requests >answers
 *        llama_batch MODEL.gguf facts
 *
 * The right side of compare_llama_cpp.py, which compiles this file against a built libllama: the
 * requests and answers of tokenize_batch.cpp, tokenized by llama.cpp. Not part of the build. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "llama.h"

static void keep_quiet(enum ggml_log_level level, const char* text, void* user) {
    (void)level;
    (void)text;
    (void)user;
}

/* What tokenize_batch prints for "facts". */
static int print_facts(const struct llama_vocab* vocab) {
    printf("fim %d %d %d %d %d %d\n", llama_vocab_fim_pre(vocab), llama_vocab_fim_suf(vocab),
           llama_vocab_fim_mid(vocab), llama_vocab_fim_pad(vocab), llama_vocab_fim_rep(vocab),
           llama_vocab_fim_sep(vocab));
    static char piece[1 << 17];
    for (int32_t id = 0; id < llama_vocab_n_tokens(vocab); ++id) {
        const int32_t bytes = llama_token_to_piece(vocab, id, piece, sizeof piece, 0, true);
        if (bytes < 0) return 1;
        printf("%d %s", id, llama_vocab_is_eog(vocab, id) ? "ends " : "");
        for (int32_t i = 0; i < bytes; ++i) printf("%02x", (unsigned char)piece[i]);
        putchar('\n');
    }
    return 0;
}

int main(int argc, char** argv) {
    if (argc != 2 && argc != 3) return 2;
    llama_log_set(keep_quiet, NULL);
    struct llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    struct llama_model* model = llama_model_load_from_file(argv[1], params);
    if (!model) {
        fprintf(stderr, "llama.cpp does not load %s\n", argv[1]);
        return 1;
    }
    const struct llama_vocab* vocab = llama_model_get_vocab(model);
    if (argc == 3) return print_facts(vocab);
    uint32_t head[2];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        char* text = malloc((size_t)head[1] + 1);
        /* A byte is at most three (U+FFFD), and those at most three ids. */
        const int32_t room = (int32_t)head[1] * 3 + 8;
        int32_t* ids = malloc((size_t)room * sizeof *ids);
        if (!text || !ids || (head[1] && fread(text, head[1], 1, stdin) != 1)) return 1;
        const int32_t count = llama_tokenize(vocab, text, (int32_t)head[1], ids, room, (head[0] & 1) != 0,
                                             (head[0] & 2) != 0);
        if (count < 0) return 1;
        fwrite(&count, sizeof count, 1, stdout);
        fwrite(ids, sizeof *ids, (size_t)count, stdout);
        free(text);
        free(ids);
    }
    llama_model_free(model);
    return 0;
}
