// tenon inspect FILE: what a model file holds, and what this machine makes of it.
#include "core/base/json_writer.h"
#include "core/cli/file_survey.h"
#include "core/cli/session.h"
#include "core/cli/table.h"
#include "core/cli/verb.h"

#include <fmt/format.h>

namespace tenon::cli {

namespace {

std::string shape_of(const formats::GgufTensor& tensor) {
    std::string text;
    for (uint32_t d = 0; d < tensor.dim_count; ++d)
        text += fmt::format("{}{}", d == 0 ? "" : " x ", tensor.dims[d]);
    return text;
}

std::string format_of(const formats::GgufTensor& tensor) {
    if (tensor.format != nullptr) return std::string(tensor.format->name);
    const std::string_view name = formats::gguf_type_name(tensor.type);
    return name.empty() ? fmt::format("type {}", tensor.type) : std::string(name);
}

uint64_t elements_of(const FileSurvey& survey) {
    uint64_t elements = 0;
    for (const auto& [name, share] : survey.formats)
        elements += share.elements;
    return elements;
}

std::string architecture_of(const FileSurvey& survey) {
    const auto name = survey.source.gguf.get_string_or("general.architecture", "");
    return name.ok() ? std::string(*name) : "";
}

void metadata_json(JsonWriter& out, const formats::GgufFile& gguf) {
    out.key("metadata").begin_array();
    for (const formats::GgufPair& pair : gguf.pairs()) {
        out.begin_object().field("key", pair.key).field("type", formats::name_of(pair.value.type));
        if (pair.value.type == formats::GgufType::kArray) {
            out.field("element", formats::name_of(pair.value.element));
            out.field("count", pair.value.count);
        }
        const std::span<const std::byte> bytes = pair.value.bytes;
        if (pair.value.type == formats::GgufType::kString) {
            out.field("value",
                      std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
        } else {
            out.field("value", formats::describe(pair.value, 200));
        }
        out.end_object();
    }
    out.end_array();
}

void tensors_json(JsonWriter& out, const formats::GgufFile& gguf) {
    out.key("tensors").begin_array();
    for (const formats::GgufTensor& tensor : gguf.tensors()) {
        out.begin_object().field("name", tensor.name);
        out.array("shape", std::span(tensor.dims, tensor.dim_count));
        out.field("format", format_of(tensor)).field("offset", tensor.offset);
        out.field("part", tensor.part);
        out.key("bytes");
        if (tensor.format != nullptr) {
            out.value(tensor.bytes.size());
        } else {
            out.null();
        }
        out.end_object();
    }
    out.end_array();
}

void print_json(const std::string& path, const FileSurvey& survey, bool tensors) {
    const formats::GgufFile& gguf = survey.source.gguf;
    JsonWriter out;
    out.begin_object().field("file", path).field("gguf_version", gguf.version());
    out.field("parts", gguf.part_count()).field("runs", survey.problems.empty());
    out.array("problems", survey.problems).field("architecture", architecture_of(survey));
    out.field("parameters", elements_of(survey)).field("tokenizer", survey.tokenizer);
    out.field("chat_template", survey.has_template);
    if (survey.model) {
        const model::ModelConfig& config = survey.model->config();
        out.field("name", config.name).field("layers", config.layers);
        out.field("hidden_size", config.hidden_size).field("q_heads", config.q_heads);
        out.field("kv_heads", config.kv_heads).field("vocab_size", config.vocab_size);
        out.field("context_length", config.context_length);
    }
    out.key("formats").begin_array();
    for (const auto& [name, share] : survey.formats) {
        out.begin_object().field("format", name).field("read", share.is_read);
        out.field("tensors", share.tensors).field("elements", share.elements);
        out.field("bytes", share.bytes).end_object();
    }
    out.end_array();
    metadata_json(out, gguf);
    if (tensors) tensors_json(out, gguf);
    if (!survey.device.empty()) {
        out.key("device").begin_object().field("backend", survey.backend);
        out.field("name", survey.device).field("detail", survey.detail).end_object();
        out.key("weights").begin_array();
        for (const WeightGroup& group : survey.weights) {
            out.begin_object().field("use", group.use).field("format", group.format);
            out.field("weights", group.weights).field("stored_bytes", group.stored);
            out.field("held_bytes", group.held).field("kernel", group.kernel);
            out.field("refusal", group.refusal).end_object();
        }
        out.end_array();
        out.field("nodes", survey.nodes).array("not_native", survey.placement);
    }
    out.end_object();
    std::string text = out.text();
    if (survey.memory) {
        text.pop_back();
        text += fmt::format(",\"memory\":{}}}", survey.memory->to_json());
    }
    fmt::print("{}\n", text);
}

void print_model(const FileSurvey& survey) {
    if (!survey.model) return;
    const model::ModelConfig& config = survey.model->config();
    if (!config.name.empty()) fmt::print("name          {}\n", printable(config.name));
    fmt::print("sizes         {} layers, {} wide, {} heads, {} of keys and values, {} tokens\n",
               config.layers, config.hidden_size, config.q_heads, config.kv_heads,
               config.vocab_size);
    fmt::print("context       {} tokens\n", config.context_length);
}

void print_device(const FileSurvey& survey) {
    if (survey.device.empty()) return;
    fmt::print("\non {} ({}, backend {})\n", survey.device, survey.detail, survey.backend);
    Table table({"WEIGHTS", "USE", "FORMAT", "IN THE FILE", "ON THE DEVICE", "KERNEL"});
    for (const WeightGroup& group : survey.weights) {
        table.row({std::to_string(group.weights), group.use, group.format, size_text(group.stored),
                   group.refusal.empty() ? size_text(group.held) : "refused", group.kernel});
    }
    fmt::print("{}", table.text());
    fmt::print(
        "{} nodes a step, {} run as the model wrote them\n", survey.nodes,
        survey.placement.empty() ? "all" : std::to_string(survey.nodes - survey.placement.size()));
    for (const std::string& line : survey.placement)
        fmt::print("  {}\n", line);
    if (!survey.memory) return;
    fmt::print("\nmemory for {} sequence{} of {} tokens\n{}\n", survey.memory->max_running_requests,
               survey.memory->max_running_requests == 1 ? "" : "s",
               survey.memory->runner.context_length, survey.memory->to_text());
}

void print_text(const std::string& path, const FileSurvey& survey, bool tensors) {
    const formats::GgufFile& gguf = survey.source.gguf;
    uint64_t bytes = 0;
    for (const auto& [name, share] : survey.formats)
        bytes += share.bytes;
    fmt::print("file          {}\n", printable(path));
    fmt::print("gguf          version {}, {} keys, {} tensors{}\n", gguf.version(),
               gguf.pairs().size(), gguf.tensors().size(),
               gguf.part_count() == 1 ? "" : fmt::format(", {} files", gguf.part_count()));
    fmt::print("architecture  {}\n", printable(architecture_of(survey)));
    fmt::print("parameters    {}, {} of weights\n", elements_of(survey), size_text(bytes));
    print_model(survey);
    fmt::print("tokenizer     {}\n", survey.tokenizer.empty() ? "none" : survey.tokenizer);
    fmt::print("template      {}\n", survey.has_template ? "yes" : "none");
    Table shares({"FORMAT", "TENSORS", "ELEMENTS", "BYTES"});
    for (const auto& [name, share] : survey.formats) {
        shares.row({name, std::to_string(share.tensors), std::to_string(share.elements),
                    share.is_read ? size_text(share.bytes) : "not read"});
    }
    fmt::print("\n{}\n", shares.text());
    for (const formats::GgufPair& pair : gguf.pairs()) {
        fmt::print("{} = {}\n", printable(std::string(pair.key)),
                   formats::describe(pair.value, 80));
    }
    if (tensors) {
        Table table({"TENSOR", "SHAPE", "FORMAT", "BYTES"});
        for (const formats::GgufTensor& tensor : gguf.tensors()) {
            table.row({std::string(tensor.name), shape_of(tensor), format_of(tensor),
                       tensor.format != nullptr ? std::to_string(tensor.bytes.size()) : "?"});
        }
        fmt::print("\n{}", table.text());
    }
    print_device(survey);
    if (survey.problems.empty()) return;
    fmt::print("\nit does not run here:\n");
    for (const std::string& sentence : survey.problems)
        fmt::print("  {}\n", printable(sentence));
}

int run(int argc, char** argv) {
    EngineArguments engine;
    bool tensors = false, json = false;
    Arguments arguments("inspect",
                        "Says what a model file holds, which of it is supported, and what memory "
                        "it will\ntake here. Loads no weight.");
    declare(arguments, engine);
    arguments.flag("--tensors", tensors, "also every tensor: shape, format, bytes");
    arguments.flag("--json", json, "one object");
    arguments.example("tenon inspect model.gguf --tensors");
    arguments.example("tenon inspect model.gguf -c 32768 --set max_running_requests=16");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (const auto code = resolve("inspect", engine)) return *code;
    const Result<FileSurvey> survey = survey_file(engine.model, engine.config);
    if (!survey.ok()) return report("inspect", survey.error());
    if (json) {
        print_json(engine.model, *survey, tensors);
    } else {
        print_text(engine.model, *survey, tensors);
    }
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_inspect;
const Verb kVerb_inspect = {"inspect", "what a model file holds and needs", true, run};

}  // namespace tenon::cli
