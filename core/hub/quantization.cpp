#include "core/hub/quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>

namespace tenon::hub {

namespace {

constexpr std::string_view kSuffix = ".gguf";
constexpr uint64_t kPartsMax = 9999;
constexpr size_t kShownMax = 24;  // names in one error

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "Q4_K_M", "IQ4_XS", "TQ1_0", "F16", "BF16", "F32", "MXFP4", "MXFP4_MOE".
bool is_label(std::string_view text) {
    for (const std::string_view plain : {"F16", "BF16", "F32", "FP16", "MXFP4", "MXFP4_MOE"}) {
        if (text == plain) return true;
    }
    if (text.starts_with('I') || text.starts_with('T')) text.remove_prefix(1);
    if (text.size() < 2 || text[0] != 'Q' || !is_digit(text[1])) return false;
    return std::all_of(text.begin() + 2, text.end(),
                       [](char c) { return c == '_' || is_digit(c) || (c >= 'A' && c <= 'Z'); }) &&
           (text.size() == 2 || text[2] == '_');
}

struct Part {
    std::string stem;
    uint64_t number = 1, count = 1;
};

// "name-00002-of-00005" of a file without its ".gguf".
Part part_of(std::string_view stem) {
    constexpr size_t kTail = std::string_view("-00001-of-00002").size();
    const Part whole{std::string(stem)};
    if (stem.size() <= kTail) return whole;
    const std::string_view tail = stem.substr(stem.size() - kTail);
    Part part{std::string(stem.substr(0, stem.size() - kTail))};
    const auto number = [&](size_t at, uint64_t& value) {
        const char* const begin = tail.data() + at;
        return std::all_of(begin, begin + 5, is_digit) &&
               std::from_chars(begin, begin + 5, value).ec == std::errc{};
    };
    if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !number(1, part.number) ||
        !number(10, part.count) || part.number < 1 || part.count < 2 || part.count > kPartsMax ||
        part.number > part.count) {
        return whole;
    }
    return part;
}

std::string_view name_of(std::string_view path) {
    return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

std::string list(const std::vector<ModelFiles>& models) {
    std::vector<std::string> names;
    for (const ModelFiles& model : models) {
        if (names.size() == kShownMax) {
            names.push_back(fmt::format("{} more", models.size() - kShownMax));
            break;
        }
        const bool is_unique =
            !model.quant.empty() &&
            std::count_if(models.begin(), models.end(),
                          [&](const ModelFiles& other) { return other.quant == model.quant; }) == 1;
        names.push_back(is_unique ? model.quant : std::string(model.stem));
    }
    return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

uint64_t ModelFiles::bytes() const {
    uint64_t sum = 0;
    for (const RepoFile& file : files)
        sum += file.size;
    return sum;
}

std::string quantization_of(std::string_view file) {
    std::string_view name = name_of(file);
    if (upper(name).ends_with(".GGUF")) name.remove_suffix(kSuffix.size());
    const std::string stem = upper(part_of(name).stem);
    std::string label;
    for (size_t begin = 0; begin < stem.size(); ++begin) {
        if (begin > 0 && stem[begin - 1] != '-' && stem[begin - 1] != '.' &&
            stem[begin - 1] != '_') {
            continue;
        }
        const size_t end = std::min(stem.find_first_of("-.", begin), stem.size());
        const std::string_view word = std::string_view(stem).substr(begin, end - begin);
        if (!is_label(word)) continue;
        const bool is_dynamic = begin >= 3 && std::string_view(stem).substr(begin - 3, 3) == "UD-";
        label = fmt::format("{}{}", is_dynamic ? "UD-" : "", word);
        begin = end;
    }
    return label;
}

bool is_model_file(std::string_view file) {
    const std::string name = upper(name_of(file));
    return name.ends_with(".GGUF") && name.find("MMPROJ") == std::string::npos &&
           name.find("IMATRIX") == std::string::npos;
}

std::vector<ModelFiles> group_models(const std::vector<RepoFile>& files) {
    // By stem and count: "x.gguf" beside "x-00001-of-00002.gguf" is another model.
    std::map<std::pair<std::string, uint64_t>, std::map<uint64_t, RepoFile>> found;
    for (const RepoFile& file : files) {
        if (!is_model_file(file.name)) continue;
        const Part part =
            part_of(std::string_view(file.name).substr(0, file.name.size() - kSuffix.size()));
        found[{part.stem, part.count}].emplace(part.number, file);
    }
    std::vector<ModelFiles> models;
    for (const auto& [key, parts] : found) {
        ModelFiles& model = models.emplace_back();
        model.stem = key.first;
        model.parts_wanted = key.second;
        model.quant = quantization_of(parts.begin()->second.name);
        for (const auto& [number, file] : parts)
            model.files.push_back(file);
    }
    return models;
}

const std::vector<std::string>& default_order() {
    static const std::vector<std::string> kOrder = {"Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0",   "Q4_1",
                                                    "IQ4_XS", "IQ4_NL", "MXFP4",  "Q5_K_S", "Q6_K",
                                                    "Q8_0",   "Q3_K_M", "BF16",   "F16",    "F32"};
    return kOrder;
}

Result<ModelFiles> choose_model(const std::vector<ModelFiles>& models, std::string_view wanted,
                                std::string_view where) {
    if (models.empty()) {
        return Error{Code::kInvalid,
                     fmt::format("{} has no .gguf file; only those can be run", where)};
    }
    std::vector<const ModelFiles*> matches;
    if (wanted.empty()) {
        if (models.size() == 1) matches = {&models.front()};
        for (const std::string& quant : default_order()) {
            if (!matches.empty()) break;
            for (const ModelFiles& model : models) {
                if (model.quant == quant) matches.push_back(&model);
            }
        }
    } else {
        const std::string name = upper(wanted);
        for (const ModelFiles& model : models) {
            const std::string stem = upper(model.stem);
            const bool is_file = model.files.size() == 1 && upper(model.files[0].name) == name;
            if (upper(model.quant) == name || stem == name || name_of(stem) == name || is_file ||
                std::string(name_of(stem)) + ".GGUF" == name) {
                matches.push_back(&model);
            }
        }
    }
    if (matches.size() == 1) {
        const ModelFiles& model = *matches.front();
        if (model.is_complete()) return model;
        return Error{Code::kInvalid,
                     fmt::format("{} has {} of the {} parts of {}", where, model.files.size(),
                                 model.parts_wanted, model.stem)};
    }
    if (matches.empty()) {
        return Error{wanted.empty() ? Code::kInvalid : Code::kUnsupported,
                     wanted.empty()
                         ? fmt::format("{} has several models and none of the usual "
                                       "quantizations; add one after a colon: {}",
                                       where, list(models))
                         : fmt::format("{} has no '{}'; it has: {}", where, wanted, list(models))};
    }
    std::vector<ModelFiles> several;
    for (const ModelFiles* match : matches)
        several.push_back(*match);
    return Error{Code::kInvalid,
                 fmt::format("{} has {} models of that quantization; name one after a colon: {}",
                             where, several.size(), list(several))};
}

}  // namespace tenon::hub
