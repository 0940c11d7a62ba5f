// tenon program MODEL: the step-program of a model, to be read by a person.
#include "core/cli/model_file.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/engine/device.h"
#include "core/formats/gguf.h"
#include "core/model/registry.h"
#include "core/ops/print.h"
#include "core/ops/verify.h"

#include <fmt/format.h>

namespace tenon::cli {

namespace {

int run(int argc, char** argv) {
    std::string name;
    bool dot = false, text = false, logits = false;
    uint32_t tokens = 512, sequences = 1, context = 2048;
    Arguments arguments("program", "Prints the nodes that one step of a model runs.");
    arguments.positional("MODEL", name, kModelHelp);
    arguments.flag("--text", text, "lines of text (what it does without a flag)");
    arguments.flag("--dot", dot, "a graph for dot");
    arguments.flag("--logits", logits, "end in logits, not in a drawn token");
    arguments.option("--step-tokens", tokens, "largest step");
    arguments.option("--sequences", sequences, "sequences of a step");
    arguments.option("-c,--ctx", context, "positions of a sequence");
    arguments.example("tenon program smollm2.gguf --dot | dot -Tsvg > step.svg");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (text && dot) {
        fmt::print(stderr, "tenon program: expected one of --text and --dot\n");
        return kExitUsage;
    }
    if (tokens < 1 || tokens > 65536 || sequences < 1 || sequences > 4096 || context < 1 ||
        context > 1u << 24) {
        fmt::print(stderr,
                   "tenon program: expected --step-tokens of 1 to 65536, --sequences of 1 to 4096, "
                   "--ctx of 1 to {}\n",
                   1u << 24);
        return kExitUsage;
    }
    const Result<std::string> path = find_model_file(name);
    if (!path.ok()) return report("program", path.error());
    Result<formats::FormatTable> table = engine::find_formats({});
    if (!table.ok()) return report("program", table.error());
    const Result<formats::LoadedGguf> source =
        formats::load_gguf(*path, {}, std::move(table).value());
    if (!source.ok()) return report("program", source.error());
    Result<std::unique_ptr<model::Model>> loaded = model::load_model(source->gguf);
    if (!loaded.ok()) return report("program", std::move(loaded).error().within(*path));
    model::StepShape shape;
    shape.tokens_max = tokens;
    shape.sequences_max = sequences;
    shape.logits_max = sequences;
    shape.blocks_per_sequence = engine::blocks_of(context);
    shape.context = context;
    shape.end = logits ? model::StepShape::End::kLogits : model::StepShape::End::kSample;
    const ops::Program program = (*loaded)->build_step(shape);
    if (const Status status = ops::verify_program(program.view()); !status.ok()) {
        return report("program", status.error());
    }
    const auto format = [&](uint32_t entry) -> std::string {
        const model::WeightSpec& spec = (*loaded)->weights()[entry];
        return spec.stored != nullptr ? std::string(spec.stored->format->name) : "f32";
    };
    fmt::print("{}", dot ? ops::program_dot(program.view(), format)
                         : ops::program_text(program.view(), format));
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_program;
const Verb kVerb_program = {"program", "the step-program of a model", true, run};

}  // namespace tenon::cli
