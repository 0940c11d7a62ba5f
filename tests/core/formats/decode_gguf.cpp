// decode_gguf FILE OUT: every tensor of a GGUF file, in file order, decoded by the reference decoder to
// little-endian float32. What tests/oracle/accept_formats.py compares with another decoder.
#include <tenon/reference/dequant.h>

#include <cstdio>
#include <vector>

#include "core/formats/gguf.h"

namespace tenon::formats {
namespace {

int run(const char* path, const char* out_path) {
    const Result<LoadedGguf> model = load_gguf(path);
    if (!model.ok()) {
        std::fprintf(stderr, "%s\n", model.error().message.c_str());
        return 1;
    }
    std::FILE* const out = std::fopen(out_path, "wb");
    if (out == nullptr) {
        std::perror(out_path);
        return 1;
    }
    bool written = true;
    for (const GgufTensor& tensor : model->gguf.tensors()) {
        const size_t row_bytes = tensor.bytes.size() / tensor.rows();
        std::vector<float> row(tensor.cols());
        for (uint64_t r = 0; r < tensor.rows() && written; ++r) {
            written =
                reference::dequant_row(tensor.format->format, tensor.bytes.data() + r * row_bytes,
                                       static_cast<int64_t>(tensor.cols()), row.data()) &&
                std::fwrite(row.data(), sizeof(float), row.size(), out) == row.size();
        }
        model->release(tensor.bytes);
    }
    written = std::fclose(out) == 0 && written;
    if (!written) std::fprintf(stderr, "%s: not everything was decoded and written\n", out_path);
    return written ? 0 : 1;
}

}  // namespace
}  // namespace tenon::formats

int main(int argc, char** argv) {
    if (argc == 3) return tenon::formats::run(argv[1], argv[2]);
    std::fprintf(stderr, "usage: decode_gguf FILE OUT\n");
    return 2;
}
