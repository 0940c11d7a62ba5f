#include "core/cli/file_survey.h"

#include "core/chat_template/template.h"
#include "core/cli/session.h"
#include "core/engine/device.h"
#include "core/engine/runner_config.h"
#include "core/engine/step_program.h"
#include "core/formats/gguf_vocabulary.h"
#include "core/model/registry.h"
#include "core/tokenizer/tokenizer.h"

#include <tenon/ext_weight_kernels.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tuple>

namespace tenon::cli {

namespace {

std::string use_text(uint32_t uses) {
    std::string text;
    const auto add = [&](uint32_t flag, const char* name) {
        if ((uses & flag) != 0) text += (text.empty() ? "" : "+") + std::string(name);
    };
    add(TENON_USE_MATMUL, "matmul");
    add(TENON_USE_ROWS, "rows");
    add(TENON_USE_ELEMENTWISE, "elementwise");
    return text.empty() ? "other" : text;
}

class Surveyor {
public:
    Surveyor(FileSurvey& survey, const config::EngineConfig& config)
        : survey_(survey), config_(config) {}

    void look() {
        count_formats();
        look_at_tokenizer();
        look_at_template();
        const bool is_read = std::all_of(survey_.formats.begin(), survey_.formats.end(),
                                         [](const auto& share) { return share.second.is_read; });
        if (!is_read) {
            // A model would read sizes of tensors that nobody knows; its name can still be told.
            const auto name = gguf().get_string_or("general.architecture", "");
            if (name.ok() && name->empty()) problem("general.architecture is missing");
            return;
        }
        Result<std::unique_ptr<model::Model>> model = model::load_model(gguf());
        if (!model.ok()) return problem(model.error().message);
        survey_.model = std::move(model).value();
        look_at_device();
    }

private:
    const formats::GgufFile& gguf() const { return survey_.source.gguf; }
    void problem(std::string sentence) { survey_.problems.push_back(std::move(sentence)); }

    void count_formats() {
        for (const formats::GgufTensor& tensor : gguf().tensors()) {
            std::string name;
            if (tensor.format != nullptr) {
                name = tensor.format->name;
            } else {
                name = formats::gguf_type_name(tensor.type);
                if (name.empty()) name = fmt::format("type {}", tensor.type);
            }
            FormatShare& share = survey_.formats[name];
            if (share.tensors == 0 && tensor.format == nullptr) {
                problem(fmt::format("tensors stored as {} are not read; the formats read are {}",
                                    name, survey_.source.formats.names()));
            }
            share.is_read = tensor.format != nullptr;
            ++share.tensors;
            share.elements += tensor.cols() * tensor.rows();
            share.bytes += tensor.bytes.size();
        }
    }

    void look_at_tokenizer() {
        const Result<tokenizer::Vocabulary> vocabulary = formats::parse_vocabulary(gguf());
        if (!vocabulary.ok()) return problem(vocabulary.error().message);
        const Result<tokenizer::Tokenizer> made = tokenizer::Tokenizer::create(*vocabulary);
        if (!made.ok()) return problem("the tokenizer: " + made.error().message);
        const auto kind = gguf().get_string_or("tokenizer.ggml.model", "");
        const auto rules = gguf().get_string_or("tokenizer.ggml.pre", "");
        survey_.tokenizer = kind.ok() ? std::string(*kind) : "";
        if (rules.ok() && !rules->empty()) survey_.tokenizer += ", " + std::string(*rules);
        survey_.tokenizer += fmt::format(", {} tokens", made->size());
    }

    void look_at_template() {
        if (gguf().find("tokenizer.chat_template") == nullptr) return;
        const auto text = gguf().get_string("tokenizer.chat_template");
        if (!text.ok()) return problem(text.error().message);
        const auto parsed = chat_template::ChatTemplate::parse(*text);
        if (!parsed.ok()) return problem("tokenizer.chat_template: " + parsed.error().message);
        survey_.has_template = true;
    }

    void look_at_device() {
        Result<engine::OpenedDevice> device = engine::open_device(config_);
        if (!device.ok()) return problem(device.error().message);
        survey_.device = device->info.name;
        survey_.detail = device->info.detail;
        survey_.backend = device->backend;
        weigh(device->device);
        plan(*device);
    }

    // Each weight measured by itself.
    void weigh(const host::Device& device) {
        std::map<std::tuple<std::string, std::string, std::string>, WeightGroup> groups;
        for (const model::WeightSpec& spec : survey_.model->weights()) {
            const std::string format =
                spec.stored != nullptr ? std::string(spec.stored->format->name) : "f32 (computed)";
            const tenon_weight weight = engine::weight_of(spec, true);
            const Result<Measured> measured = measure(device, weight);
            const std::string kernel = measured.ok() ? measured->kernel : "";
            WeightGroup& group = groups[{use_text(spec.uses), format, kernel}];
            group.format = format;
            group.use = use_text(spec.uses);
            group.kernel = kernel;
            ++group.weights;
            group.stored += weight.plane_bytes[0];
            if (measured.ok()) {
                group.held += measured->bytes;
            } else if (group.refusal.empty()) {
                group.refusal = measured.error().message;
                problem(group.refusal);
            }
        }
        for (auto& [key, group] : groups)
            survey_.weights.push_back(std::move(group));
    }

    struct Measured {
        uint64_t bytes = 0;
        std::string kernel;
    };

    Result<Measured> measure(const host::Device& device, const tenon_weight& weight) const {
        TENON_TRY(const host::WeightSet set, device.weights(1, weight.plane_bytes[0]));
        TENON_TRY(const uint32_t entry, set.put(weight));
        TENON_TRY(const tenon_weights_info info, set.finish());
        return Measured{info.device_bytes, kernel_of(device, set, entry, weight.uses)};
    }

    // One name for each use, where the backend gives them.
    std::string kernel_of(const host::Device& device, const host::WeightSet& set, uint32_t entry,
                          uint32_t uses) const {
        const auto* names = static_cast<const tenon_weight_kernels*>(
            device.find_extension(TENON_EXT_WEIGHT_KERNELS));
        if (names == nullptr || names->size < sizeof *names) return "";
        const uint32_t compute =
            config_.compute == "precise" ? TENON_COMPUTE_PRECISE : TENON_COMPUTE_FAST;
        std::string all;
        for (const uint32_t use : {TENON_USE_MATMUL, TENON_USE_ROWS, TENON_USE_ELEMENTWISE}) {
            char text[128] = {};
            if ((uses & use) == 0 ||
                names->name(set.handle(), entry, use, compute, text, sizeof text) != TENON_OK) {
                continue;
            }
            text[sizeof text - 1] = '\0';
            all += (all.empty() ? "" : "; ") + std::string(text);
        }
        return all;
    }

    // For one sequence, as `run` holds it, unless the configuration says more.
    void plan(const engine::OpenedDevice& device) {
        config::EngineConfig config = config_;
        const uint32_t trained = survey_.model->config().context_length;
        if (config.context_length == 0) {
            config.context_length =
                trained == 0 ? kContextTokens : std::min(trained, kContextTokens);
        }
        if (config.max_running_requests == 0 && config.max_total_tokens == 0) {
            config.max_running_requests = 1;
            config.max_total_tokens = config.context_length;
        }
        const Result<HostMemory> host = read_host_memory();
        if (!host.ok()) return problem(host.error().message);
        Result<engine::RunnerOptions> options = engine::configure(config, {});
        if (!options.ok()) return problem(options.error().message);
        place(device.device, *options);
        Result<engine::MemoryPlan> plan =
            engine::plan_memory(device.device, device.info, *host, *survey_.model,
                                std::move(*options), engine::memory_request(config));
        if (!plan.ok()) return problem(plan.error().message);
        survey_.memory = std::move(plan).value();
    }

    // Which nodes of a step the device does not run as the model wrote them.
    void place(const host::Device& device, const engine::RunnerOptions& options) {
        const ops::Program program =
            survey_.model->build_step(engine::shape_of(engine::normalised(options)));
        survey_.nodes = program.view().n_nodes;
        const auto verdicts = device.query(program.view(), options.compute);
        if (!verdicts.ok()) return problem(verdicts.error().message);
        for (uint32_t i = 0; i < verdicts->size(); ++i) {
            const tenon_verdict& verdict = (*verdicts)[i];
            if (verdict.kind != TENON_VERDICT_NO) continue;
            const std::string reason(verdict.reason,
                                     strnlen(verdict.reason, sizeof verdict.reason));
            survey_.placement.push_back(fmt::format("node {}: {}", i, reason));
        }
    }

    FileSurvey& survey_;
    const config::EngineConfig& config_;
};

}  // namespace

Result<FileSurvey> survey_file(const std::string& path, const config::EngineConfig& config) {
    formats::GgufLimits limits;
    limits.takes_unknown_types = true;
    TENON_TRY(formats::FormatTable table, engine::find_formats(config));
    TENON_TRY(formats::LoadedGguf source, formats::load_gguf(path, limits, std::move(table)));
    FileSurvey survey(std::move(source));
    Surveyor(survey, config).look();
    return survey;
}

}  // namespace tenon::cli
