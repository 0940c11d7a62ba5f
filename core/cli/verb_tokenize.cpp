// tenon tokenize MODEL [TEXT]: the ids of a text.
#include "core/base/json_writer.h"
#include "core/cli/model_file.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"

#include <fmt/format.h>

namespace tenon::cli {

namespace {

int run(int argc, char** argv) {
    std::string model, text, file;
    bool json = false, no_special = false, parse_special = false;
    Arguments arguments("tokenize", "Prints the token ids of a text, one per line with its bytes.");
    arguments.positional("MODEL", model, kModelHelp);
    arguments.positional("TEXT", text, "text; without it --file or standard input", false);
    arguments.option("--file", file, "read the text from here", "FILE");
    arguments.flag("--parse-special", parse_special, "control tokens in the text become tokens");
    arguments.flag("--no-special", no_special, "no BOS or EOS, also where the model wants them");
    arguments.flag("--json", json, "one object: ids, pieces");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (!arguments.given("TEXT")) {
        Result<std::string> read = read_text(file.empty() ? "-" : file);
        if (!read.ok()) return report("tokenize", read.error());
        text = std::move(read).value();
    }
    const Result<std::string> path = find_model_file(model);
    if (!path.ok()) return report("tokenize", path.error());
    const Result<engine::LoadedModel> loaded = engine::LoadedModel::open(*path);
    if (!loaded.ok()) return report("tokenize", loaded.error());
    const Result<std::vector<int32_t>> ids = loaded->tokenizer.encode(
        text, {.add_special = !no_special, .parse_special = parse_special});
    if (!ids.ok()) return report("tokenize", ids.error());
    if (!json) {
        for (const int32_t id : *ids) {
            fmt::print("{:6}  {}\n", id,
                       JsonWriter().value(loaded->tokenizer.token_bytes(id)).text());
        }
        return kExitOk;
    }
    JsonWriter out;
    out.begin_object().array("ids", *ids).key("pieces").begin_array();
    for (const int32_t id : *ids)
        out.value(loaded->tokenizer.token_bytes(id));
    out.end_array().end_object();
    fmt::print("{}\n", out.text());
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_tokenize;
const Verb kVerb_tokenize = {"tokenize", "token ids of a text", true, run};

}  // namespace tenon::cli
