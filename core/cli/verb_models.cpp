// tenon models: what was fetched, what was begun, and what the catalog offers.
#include "core/base/json_writer.h"
#include "core/cli/session.h"
#include "core/cli/table.h"
#include "core/cli/verb.h"
#include "core/hub/byte_text.h"
#include "core/hub/shelf.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

namespace tenon::cli {

namespace {

const char* kind_name(hub::ShelfModel::Kind kind) {
    switch (kind) {
        case hub::ShelfModel::Kind::kCatalog: return "catalog";
        case hub::ShelfModel::Kind::kHub: return "hub";
        case hub::ShelfModel::Kind::kUrl: return "url";
    }
    return "";
}

std::string date_text(int64_t seconds) {
    if (seconds <= 0) return "-";
    const std::time_t time = static_cast<std::time_t>(seconds);
    std::tm local{};
    localtime_r(&time, &local);
    return fmt::format("{:%Y-%m-%d}", local);
}

void print_json(const std::vector<hub::ShelfModel>& models, const hub::Places& places) {
    JsonWriter json;
    json.begin_object().field("models_folder", places.models).field("cache", places.cache);
    json.key("models").begin_array();
    for (const hub::ShelfModel& model : models) {
        json.begin_object().field("name", model.name).field("kind", kind_name(model.kind));
        json.field("state", hub::name_of(model.state)).field("quant", model.quant);
        json.field("bytes", model.bytes).array("files", model.files);
        json.key("last_used");
        if (model.last_used > 0) {
            json.value(model.last_used);
        } else {
            json.null();
        }
        json.end_object();
    }
    json.end_array().end_object();
    fmt::print("{}\n", json.text());
}

int run(int argc, char** argv) {
    bool json = false;
    Arguments arguments(
        "models",
        "Lists models: those fetched, downloads that were begun, and what the catalog\n"
        "offers. 'tenon run NAME' takes the first column.");
    arguments.flag("--json", json, "one object: models_folder, cache, models");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    const hub::Places places = hub::read_places();
    const Result<std::vector<hub::ShelfModel>> models = hub::list_models(places);
    if (!models.ok()) return report("models", models.error());
    if (json) {
        print_json(*models, places);
        return kExitOk;
    }
    if (models->empty()) {
        fmt::print("nothing was fetched, and there is no catalog\n");
        return kExitOk;
    }
    Table table({"NAME", "SIZE", "QUANT", "LAST USED", "PATH"});
    for (const hub::ShelfModel& model : *models) {
        const bool is_absent = model.state == hub::ShelfModel::State::kAbsent;
        const bool is_fetched = model.state == hub::ShelfModel::State::kFetched;
        table.row({model.name, hub::format_bytes(model.bytes),
                   model.quant.empty() ? "-" : model.quant,
                   is_absent ? "-" : date_text(model.last_used),
                   is_absent ? fmt::format("not fetched: tenon pull {}", model.name)
                             : model.files.front() + (is_fetched ? "" : " (unfinished)")});
    }
    fmt::print("{}", table.text());
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_models;
const Verb kVerb_models = {"models", "models fetched, and those to be had", true, run};

}  // namespace tenon::cli
