// tenon quantize IN OUT --format ID: a model in another format.
#include "core/base/bytes.h"
#include "core/base/json_writer.h"
#include "core/cli/progress.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/engine/device.h"
#include "core/quantize/quantizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace tenon::cli {

namespace {

constexpr double kMiB = 1 << 20;

void print_errors(JsonWriter& out, const quantize::ErrorSums& sums) {
    out.field("nmse", sums.nmse()).field("rmse", sums.rmse()).field("max_error", sums.max_error);
}

void print_json(const quantize::Report& report, const std::string& path,
                const quantize::QuantizeOptions& options) {
    JsonWriter out;
    out.begin_object().field("file", path).field("format", options.request.format);
    out.field("bytes", report.file_bytes).field("written", !options.dry_run);
    out.field("fallbacks", report.fallbacks).key("tensors").begin_array();
    for (const quantize::TensorReport& tensor : report.tensors) {
        out.begin_object().field("name", tensor.name).field("from", tensor.from);
        out.field("to", tensor.to).field("rows", tensor.rows).field("cols", tensor.cols);
        out.field("bytes", tensor.bytes);
        if (!tensor.is_copied && !options.dry_run) print_errors(out, tensor.error);
        if (!tensor.note.empty()) out.field("note", tensor.note);
        out.end_object();
    }
    out.end_array().key("total").begin_object().field("elements", report.total.elements);
    print_errors(out, report.total);
    out.end_object().end_object();
    fmt::print("{}\n", out.text());
}

void print_table(const quantize::Report& report, const std::string& path, bool dry_run) {
    size_t width = 6;
    for (const quantize::TensorReport& tensor : report.tensors)
        width = std::max(width, printable(tensor.name).size());
    fmt::print("{:{}}  {:6} {:8} {:>10}  {:>10} {:>10} {:>10}\n", "tensor", width, "from", "to",
               "MiB", "NMSE", "RMSE", "max error");
    for (const quantize::TensorReport& tensor : report.tensors) {
        std::string errors;
        if (!tensor.is_copied && !dry_run)
            errors = fmt::format("  {:10.3e} {:10.3e} {:10.3e}", tensor.error.nmse(),
                                 tensor.error.rmse(), tensor.error.max_error);
        fmt::print("{:{}}  {:6} {:8} {:10.3f}{}{}{}\n", printable(tensor.name), width, tensor.from,
                   tensor.to, static_cast<double>(tensor.bytes) / kMiB, errors,
                   tensor.note.empty() ? "" : "  ", tensor.note);
    }
    const auto mebibytes = static_cast<double>(report.file_bytes) / kMiB;
    if (dry_run) {
        fmt::print("{} would have {:.2f} MiB\n", path, mebibytes);
        return;
    }
    fmt::print("{}: {:.2f} MiB, NMSE {:.3e}, RMSE {:.3e}, max error {:.3e}\n", path, mebibytes,
               report.total.nmse(), report.total.rmse(), report.total.max_error);
}

int run(int argc, char** argv) {
    std::string in, out;
    quantize::QuantizeOptions options;
    bool json = false;
    EngineArguments engine;  // where formats that a manifest declares are looked for
    Arguments arguments("quantize",
                        "Writes a model in another format, with the error of each tensor.");
    arguments.positional("IN", in,
                         "a .gguf file in f32, f16, bf16 or q8_0; any part of a split one");
    arguments.positional("OUT", out, "the .gguf file to write; appears when it is complete");
    arguments.option("--format", options.request.format,
                     "file type (q4_k_m, q8_0, f16 ...) or a format by name or id (required)",
                     "ID");
    arguments.option("--tensor-type", options.request.overrides,
                     "a format for weights whose names fit; the first that fits wins; may repeat",
                     "PATTERN=ID");
    arguments.flag("--pure", options.request.pure, "no mixture: every weight in the one format");
    arguments.flag("--allow-requantize", options.request.allow_requantize,
                   "start also from formats that lost bits already");
    arguments.option("-t,--threads", engine.threads, "threads that encode [cores]", "N")
        .sets("threads");
    arguments.option("--plugin-dir", engine.plugin_dirs,
                     "search here first for manifests that declare formats", "DIR");
    arguments.flag("--force", options.replace, "replace OUT when it exists");
    arguments.flag("--dry-run", options.dry_run, "say what each tensor becomes, write nothing");
    arguments.flag("--json", json, "one object: file, bytes, tensors with errors, total");
    arguments.example("tenon quantize smollm2-f16.gguf smollm2-q4_k_m.gguf --format q4_k_m");
    arguments.example("tenon quantize in.gguf out.gguf --format q4_0 --tensor-type attn_v=q8_0");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (const auto code = resolve("quantize", engine)) return *code;
    if (options.request.format.empty()) {
        fmt::print(stderr, "tenon quantize: --format is missing\nTry 'tenon quantize --help'.\n");
        return kExitUsage;
    }
    options.threads = engine.config.threads != 0
                          ? engine.config.threads
                          : std::max(1u, std::thread::hardware_concurrency());
    Result<formats::FormatTable> formats = engine::find_formats(engine.config);
    if (!formats.ok()) return cli::report("quantize", formats.error());
    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    options.cancel = &cancel;
    Result<quantize::Report> report = Error{};
    {
        Progress progress("quantizing");
        options.progress = [&](uint64_t done, uint64_t total) { progress.show(done, total); };
        report = quantize::quantize_file(in, out, options, std::move(*formats));
    }
    if (!report.ok()) return cli::report("quantize", report.error());
    if (json)
        print_json(*report, out, options);
    else
        print_table(*report, out, options.dry_run);
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_quantize;
const Verb kVerb_quantize = {"quantize", "a model in another format", true, run};

}  // namespace tenon::cli
