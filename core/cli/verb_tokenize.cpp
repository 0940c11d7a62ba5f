// tenon tokenize MODEL [TEXT]: the ids of a text.
#include "core/base/json_writer.h"
#include "core/cli/model_file.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/formats/gguf.h"
#include "core/formats/gguf_vocabulary.h"

#include <fmt/format.h>

namespace tenon::cli {

namespace {

// The tokenizer alone: a model that this program cannot run, or a file without weights, has one, too.
Result<tokenizer::Tokenizer> open_tokenizer(const std::string& path) {
    TENON_TRY(const formats::LoadedGguf source,
              formats::load_gguf(path, {.takes_unknown_types = true}));
    Result<tokenizer::Vocabulary> vocabulary = formats::parse_vocabulary(source.gguf);
    if (!vocabulary.ok()) return std::move(vocabulary).error().within(path);
    Result<tokenizer::Tokenizer> made = tokenizer::Tokenizer::create(*vocabulary);
    if (!made.ok()) return std::move(made).error().within(path);
    return made;
}

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
    const Result<tokenizer::Tokenizer> tokenizer = open_tokenizer(*path);
    if (!tokenizer.ok()) return report("tokenize", tokenizer.error());
    const Result<std::vector<int32_t>> ids =
        tokenizer->encode(text, {.add_special = !no_special, .parse_special = parse_special});
    if (!ids.ok()) return report("tokenize", ids.error());
    if (!json) {
        for (const int32_t id : *ids) {
            fmt::print("{:6}  {}\n", id, JsonWriter().value(tokenizer->token_bytes(id)).text());
        }
        return kExitOk;
    }
    JsonWriter out;
    out.begin_object().array("ids", *ids).key("pieces").begin_array();
    for (const int32_t id : *ids)
        out.value(tokenizer->token_bytes(id));
    out.end_array().end_object();
    fmt::print("{}\n", out.text());
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_tokenize;
const Verb kVerb_tokenize = {"tokenize", "token ids of a text", true, run};

}  // namespace tenon::cli
