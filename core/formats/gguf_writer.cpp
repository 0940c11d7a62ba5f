#include "core/formats/gguf_writer.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::formats {

namespace {

constexpr uint32_t kVersion = 3;

template <class T>
void append(std::string& out, T number) {
    out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void append_text(std::string& out, std::string_view text) {
    append(out, static_cast<uint64_t>(text.size()));
    out += text;
}

}  // namespace

void GgufHeader::add(std::string_view key, const GgufValue& value) {
    ++pair_count_;
    append_text(pairs_, key);
    append(pairs_, static_cast<uint32_t>(value.type));
    if (value.type == GgufType::kArray) {
        append(pairs_, static_cast<uint32_t>(value.element));
        append(pairs_, value.count);
    } else if (value.type == GgufType::kString) {
        append(pairs_, static_cast<uint64_t>(value.bytes.size()));
    }
    pairs_ += as_text(value.bytes);
}

void GgufHeader::add(std::string_view key, uint32_t value) {
    add(key, GgufValue{GgufType::kU32, GgufType::kU8, 1, std::as_bytes(std::span(&value, 1))});
}

void GgufHeader::add_tensor(std::string_view name, const StoredFormat& format,
                            std::span<const uint64_t> dims) {
    ++tensor_count_;
    const CheckedSize bytes = stored_bytes(format.format, dims);
    append_text(tensors_, name);
    append(tensors_, static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims)
        append(tensors_, dim);
    append(tensors_, format.gguf_type);
    append(tensors_, data_bytes_.value());
    tensor_bytes_.push_back(bytes.value());
    data_bytes_ = align_up(data_bytes_ + bytes, alignment_);
}

std::string GgufHeader::bytes() const {
    std::string out = "GGUF";
    append(out, kVersion);
    append(out, tensor_count_);
    append(out, pair_count_);
    out += pairs_;
    out += tensors_;
    out.resize(align_up(out.size(), alignment_).value());
    return out;
}

CheckedSize GgufHeader::file_bytes() const { return data_bytes_ + bytes().size(); }

Result<GgufWriter> GgufWriter::create(const std::string& path, const GgufHeader& header,
                                      bool replace) {
    TENON_TRY(const uint64_t bytes, header.file_bytes().get("the file"));
    TENON_TRY(NewFile file, NewFile::create(path, bytes, replace));
    GgufWriter writer(std::move(file));
    writer.alignment_ = header.alignment();
    writer.left_.assign(header.tensor_bytes().begin(), header.tensor_bytes().end());
    const std::string head = header.bytes();
    TENON_CHECK(writer.file_.write(std::as_bytes(std::span(head))));
    return writer;
}

Status GgufWriter::pad() {
    const uint64_t wanted = align_up(file_.size(), alignment_).value();
    const std::vector<std::byte> zeros(wanted - file_.size());
    return file_.write(zeros);
}

Status GgufWriter::write(std::span<const std::byte> data) {
    while (!data.empty()) {
        while (tensor_ < left_.size() && left_[tensor_] == 0)
            ++tensor_;
        if (tensor_ == left_.size())
            return Error{Code::kInternal, "more tensor data than the header has tensors"};
        const size_t count = std::min<uint64_t>(left_[tensor_], data.size());
        TENON_CHECK(file_.write(data.first(count)));
        left_[tensor_] -= count;
        data = data.subspan(count);
        if (left_[tensor_] == 0) TENON_CHECK(pad());
    }
    return {};
}

Status GgufWriter::commit() {
    for (size_t i = 0; i < left_.size(); ++i)
        if (left_[i] != 0)
            return Error{Code::kInternal,
                         fmt::format("tensor {} lacks {} bytes of its data", i, left_[i])};
    return file_.commit();
}

}  // namespace tenon::formats
