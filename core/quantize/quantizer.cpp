#include "core/quantize/quantizer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <sys/stat.h>
#include <tenon/reference/dequant.h>

#include "core/formats/gguf_split.h"
#include "core/formats/gguf_writer.h"
#include "core/quantize/encoder.h"

namespace tenon::quantize {

namespace {

using formats::GgufTensor;
using formats::StoredFormat;

constexpr uint32_t kQuantizationVersion = 2;    // of block layouts, as published files have it
constexpr uint64_t kSlabElements = 2u << 20;    // rows of one slab hold about as many
constexpr uint64_t kPieceElements = 32u << 10;  // what a thread takes at a time

// Rows `first` and up of a tensor, encoded by all threads.
struct Slab {
    const GgufTensor* tensor;
    const Encoder* encoder;
    uint64_t first, rows;
    std::vector<std::byte> bytes;
};

Error no_number(const GgufTensor& tensor, uint64_t row, uint64_t col, float value) {
    return {Code::kData, fmt::format("tensor {}, row {}, column {}: {} is no weight",
                                     printable(tensor.name), row, col, value)};
}

// One thread's part of a slab.
class RowWorker {
public:
    RowWorker(Slab& slab, std::atomic<uint64_t>& next, std::atomic<bool>& stop)
        : slab_(slab), next_(next), stop_(stop) {}

    void run() {
        const uint64_t cols = slab_.tensor->cols();
        const uint64_t piece = std::max<uint64_t>(1, kPieceElements / cols);
        source_.resize(cols);
        decoded_.resize(cols);
        while (!stop_) {
            const uint64_t start = next_.fetch_add(piece);
            if (start >= slab_.rows) return;
            for (uint64_t row = start; row < std::min(start + piece, slab_.rows); ++row) {
                status_ = encode(row);
                if (!status_.ok()) {
                    stop_ = true;
                    return;
                }
            }
        }
    }
    const Status& status() const noexcept { return status_; }
    const ErrorSums& sums() const noexcept { return sums_; }

private:
    Status encode(uint64_t row) {
        const GgufTensor& tensor = *slab_.tensor;
        const tenon_format& from = tensor.format->format;
        const uint64_t cols = tensor.cols();
        const uint64_t bytes = cols / from.block_elems * from.block_bytes;
        const std::byte* stored = tensor.bytes.data() + (slab_.first + row) * bytes;
        if (!reference::dequant_row(from, stored, static_cast<int64_t>(cols), source_.data()))
            return Error{Code::kInternal, "a source row has no decoder"};
        for (uint64_t i = 0; i < cols; ++i)
            if (!std::isfinite(source_[i]))
                return no_number(tensor, slab_.first + row, i, source_[i]);
        const uint64_t row_bytes = slab_.encoder->row_bytes(cols);
        Status status = slab_.encoder->encode_row(
            source_.data(), cols, slab_.bytes.data() + row * row_bytes, decoded_.data(), space_);
        if (!status.ok())
            return std::move(status).error().within(
                fmt::format("tensor {}, row {}", printable(tensor.name), slab_.first + row));
        ErrorSums sums;
        sums.elements = cols;
        for (uint64_t i = 0; i < cols; ++i) {
            const double miss = static_cast<double>(source_[i]) - decoded_[i];
            sums.squared_error += miss * miss;
            sums.squares += static_cast<double>(source_[i]) * source_[i];
            sums.max_error = std::max(sums.max_error, std::fabs(miss));
        }
        sums_.add(sums);
        return {};
    }

    Slab& slab_;
    std::atomic<uint64_t>& next_;
    std::atomic<bool>& stop_;
    std::vector<float> source_, decoded_;
    Encoder::Workspace space_;
    ErrorSums sums_;
    Status status_;
};

Result<ErrorSums> encode_slab(Slab& slab, uint32_t threads) {
    slab.bytes.resize(slab.rows * slab.encoder->row_bytes(slab.tensor->cols()));
    std::atomic<uint64_t> next{0};
    std::atomic<bool> stop{false};
    std::vector<RowWorker> workers(std::max(threads, 1u), RowWorker(slab, next, stop));
    std::vector<std::thread> others;
    for (size_t i = 1; i < workers.size(); ++i)
        others.emplace_back([&worker = workers[i]] { worker.run(); });
    workers.front().run();
    for (std::thread& other : others)
        other.join();
    ErrorSums sums;
    for (const RowWorker& worker : workers) {
        if (!worker.status().ok()) return worker.status().error();
        sums.add(worker.sums());
    }
    return sums;
}

Status check_apart(const std::string& in, const formats::LoadedGguf& loaded,
                   const std::string& out) {
    struct stat there {};
    if (stat(out.c_str(), &there) != 0) return {};
    std::vector<std::string> sources{loaded.file.path()};
    for (const MappedFile& part : loaded.parts)
        sources.push_back(part.path());
    for (const std::string& source : sources) {
        struct stat from {};
        if (stat(source.c_str(), &from) == 0 && from.st_ino == there.st_ino &&
            from.st_dev == there.st_dev)
            return Error{Code::kInvalid,
                         fmt::format("{} is the model that is read from {}", out, in)};
    }
    return {};
}

formats::GgufHeader header_of(const formats::GgufFile& file, const Plan& plan) {
    formats::GgufHeader header(file.alignment());
    bool has_type = false, has_version = false;
    for (const formats::GgufPair& pair : file.pairs()) {
        if (pair.key.starts_with("split.")) continue;
        if (pair.key == "general.file_type") {
            has_type = true;
            if (plan.has_file_type) header.add(pair.key, plan.file_type);
        } else if (pair.key == "general.quantization_version") {
            has_version = true;
            header.add(pair.key, kQuantizationVersion);
        } else {
            header.add(pair.key, pair.value);
        }
    }
    if (!has_version) header.add("general.quantization_version", kQuantizationVersion);
    if (!has_type && plan.has_file_type) header.add("general.file_type", plan.file_type);
    for (const TensorPlan& tensor : plan.tensors)
        header.add_tensor(tensor.tensor->name, *tensor.target,
                          std::span(tensor.tensor->dims).first(tensor.tensor->dim_count));
    return header;
}

// The work behind quantize_file once all is decided.
class Writing {
public:
    Writing(const formats::LoadedGguf& loaded, const Plan& plan, const QuantizeOptions& options)
        : loaded_(loaded), plan_(plan), options_(options) {
        for (const TensorPlan& tensor : plan.tensors)
            elements_ += tensor.tensor->rows() * tensor.tensor->cols();
    }

    Status make_encoders() {
        for (const TensorPlan& tensor : plan_.tensors) {
            if (tensor.is_copied || encoders_.contains(tensor.target)) continue;
            TENON_TRY(Encoder encoder, Encoder::create(tensor.target->format));
            encoders_.emplace(tensor.target, std::move(encoder));
        }
        return {};
    }

    Status write(formats::GgufWriter& writer, Report& report) {
        for (size_t i = 0; i < plan_.tensors.size(); ++i) {
            const TensorPlan& plan = plan_.tensors[i];
            TENON_CHECK(plan.is_copied ? copy(writer, plan)
                                       : convert(writer, plan, report.tensors[i].error));
            report.total.add(report.tensors[i].error);
            loaded_.release(plan.tensor->bytes);
        }
        return loaded_.check_unchanged();
    }

private:
    Status step(uint64_t elements) {
        done_ += elements;
        if (options_.progress) options_.progress(done_, elements_);
        if (options_.cancel != nullptr && *options_.cancel != 0)
            return Error{Code::kCancelled, "interrupted"};
        return {};
    }

    Status copy(formats::GgufWriter& writer, const TensorPlan& plan) {
        std::span<const std::byte> left = plan.tensor->bytes;
        while (!left.empty()) {
            const auto piece = left.first(std::min<size_t>(left.size(), kSlabElements));
            TENON_CHECK(writer.write(piece));
            TENON_CHECK(step(0));
            left = left.subspan(piece.size());
        }
        return step(plan.tensor->rows() * plan.tensor->cols());
    }

    Status convert(formats::GgufWriter& writer, const TensorPlan& plan, ErrorSums& error) {
        const GgufTensor& tensor = *plan.tensor;
        const uint64_t per_slab = std::max<uint64_t>(1, kSlabElements / tensor.cols());
        for (uint64_t row = 0; row < tensor.rows(); row += per_slab) {
            Slab slab{&tensor,
                      &encoders_.at(plan.target),
                      row,
                      std::min(per_slab, tensor.rows() - row),
                      {}};
            TENON_TRY(const ErrorSums sums, encode_slab(slab, options_.threads));
            error.add(sums);
            TENON_CHECK(writer.write(slab.bytes));
            TENON_CHECK(step(slab.rows * tensor.cols()));
        }
        return {};
    }

    const formats::LoadedGguf& loaded_;
    const Plan& plan_;
    const QuantizeOptions& options_;
    std::map<const StoredFormat*, Encoder> encoders_;
    uint64_t elements_ = 0, done_ = 0;
};

}  // namespace

void ErrorSums::add(const ErrorSums& other) noexcept {
    elements += other.elements;
    squared_error += other.squared_error;
    squares += other.squares;
    max_error = std::max(max_error, other.max_error);
}

double ErrorSums::rmse() const noexcept {
    return elements > 0 ? std::sqrt(squared_error / static_cast<double>(elements)) : 0;
}

double ErrorSums::nmse() const noexcept { return squares > 0 ? squared_error / squares : 0; }

Result<Report> quantize_file(const std::string& in, const std::string& out,
                             const QuantizeOptions& options, formats::FormatTable table) {
    TENON_TRY(const formats::LoadedGguf loaded, formats::load_gguf(in, {}, std::move(table)));
    TENON_CHECK(check_apart(in, loaded, out));
    Result<Plan> plan = plan_tensors(loaded.gguf, loaded.formats, options.request);
    if (!plan.ok())
        return plan.error().code == Code::kUnsupported ? std::move(plan).error().within(in)
                                                       : std::move(plan).error();
    const formats::GgufHeader header = header_of(loaded.gguf, *plan);
    Report report;
    TENON_TRY(report.file_bytes, header.file_bytes().get("the file"));
    for (size_t i = 0; i < plan->tensors.size(); ++i) {
        const TensorPlan& tensor = plan->tensors[i];
        report.tensors.push_back({std::string(tensor.tensor->name),
                                  std::string(tensor.tensor->format->name),
                                  std::string(tensor.target->name),
                                  tensor.note,
                                  tensor.tensor->rows(),
                                  tensor.tensor->cols(),
                                  tensor.tensor->bytes.size(),
                                  header.tensor_bytes()[i],
                                  tensor.is_copied,
                                  {}});
        report.fallbacks += tensor.note.empty() ? 0 : 1;
    }
    Writing writing(loaded, *plan, options);
    TENON_CHECK(writing.make_encoders());
    if (options.dry_run) return report;
    TENON_TRY(formats::GgufWriter writer,
              formats::GgufWriter::create(out, header, options.replace));
    TENON_CHECK(writing.write(writer, report));
    TENON_CHECK(writer.commit());
    return report;
}

}  // namespace tenon::quantize
