#include "core/server/prompt_list.h"

#include <fmt/format.h>

namespace tenon::server {

namespace {

void encode(FieldReader& fields, const char* name, const Service& service, std::string_view text,
            std::vector<Prompt>& out) {
    Result<std::vector<int32_t>> ids =
        service.model->tokenizer.encode(text, {.add_special = true, .parse_special = true});
    if (!ids.ok()) {
        return fields.refuse(
            name, fmt::format("'{}' cannot be tokenized: {}.", name, ids.error().message));
    }
    out.push_back({std::string(text), std::move(ids).value()});
}

void take_ids(FieldReader& fields, const char* name, const Service& service, JsonView array,
              std::vector<Prompt>& out) {
    std::vector<int32_t> ids = fields.token_ids(name, array, service.vocab_size);
    if (fields.failed()) return;
    Result<std::string> text = service.model->tokenizer.decode(ids);
    out.push_back({text.ok() ? std::move(text).value() : std::string(), std::move(ids)});
}

}  // namespace

std::vector<Prompt> read_prompts(FieldReader& fields, const char* name, const Service& service,
                                 size_t count_max) {
    std::vector<Prompt> out;
    const auto value = fields.find(name);
    if (value && value->is(JsonKind::kString)) {
        encode(fields, name, service, value->as_string(), out);
        return out;
    }
    const bool is_list = value && value->is(JsonKind::kArray) && value->size() > 0;
    if (!is_list) {
        fields.refuse(name, fmt::format("'{}' is {}; a string, token ids, or an array of either is "
                                        "expected.",
                                        name, value ? value->describe() : "missing"));
        return out;
    }
    bool is_ids = false;
    size_t index = 0;
    value->for_items([&](JsonView item) {
        if (index++ == 0) is_ids = item.is_number();
    });
    if (is_ids) {
        take_ids(fields, name, service, *value, out);
        return out;
    }
    if (value->size() > count_max) {
        fields.refuse(name, fmt::format("'{}' has {} items; at most {} are taken.", name,
                                        value->size(), count_max));
        return out;
    }
    value->for_items([&](JsonView item) {
        if (fields.failed()) return;
        if (item.is(JsonKind::kString)) return encode(fields, name, service, item.as_string(), out);
        if (item.is(JsonKind::kArray)) return take_ids(fields, name, service, item, out);
        fields.refuse(name, fmt::format("'{}' has {} at index {}; a string or token ids are "
                                        "expected.",
                                        name, item.describe(), out.size()));
    });
    return out;
}

}  // namespace tenon::server
