#include "core/formats/gguf_split.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include <fmt/format.h>

namespace tenon::formats {
namespace {

// "-00001-of-00003.gguf"
constexpr size_t kDigits = 5;
constexpr std::string_view kOf = "-of-", kEnding = ".gguf";
constexpr size_t kSuffix = 1 + kDigits + kOf.size() + kDigits + kEnding.size();
constexpr uint32_t kPartsMax = 99'999;

std::optional<uint32_t> digits_of(std::string_view text) {
    uint32_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, fault] = std::from_chars(text.data(), end, value);
    if (fault != std::errc() || rest != end) return std::nullopt;
    return value;
}

Error refused(const std::string& path, const std::string& sentence) {
    return {Code::kInvalid, fmt::format("{}: {}", path, sentence)};
}

bool is_of_a_part(std::string_view key) {
    return key.substr(0, 6) == "split." || key == "general.alignment";
}

bool is_same(const GgufValue& a, const GgufValue& b) {
    return a.type == b.type && a.element == b.element && a.count == b.count &&
           std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end());
}

}  // namespace

std::optional<SplitName> find_split_name(const std::string& path) {
    if (path.size() <= kSuffix) return std::nullopt;
    const std::string_view suffix = std::string_view(path).substr(path.size() - kSuffix);
    if (suffix[0] != '-' || suffix.substr(1 + kDigits, kOf.size()) != kOf ||
        suffix.substr(kSuffix - kEnding.size()) != kEnding)
        return std::nullopt;
    const auto number = digits_of(suffix.substr(1, kDigits));
    const auto count = digits_of(suffix.substr(1 + kDigits + kOf.size(), kDigits));
    if (!number || !count || *number < 1 || *number > *count) return std::nullopt;
    return SplitName{path.substr(0, path.size() - kSuffix), *number - 1, *count};
}

std::string split_path(const SplitName& name, uint32_t part) {
    return fmt::format("{}-{:05}{}{:05}{}", name.stem, part + 1, kOf, name.count, kEnding);
}

Result<uint32_t> count_parts(const GgufFile& file, const GgufLimits& limits) {
    if (file.find("split.count") == nullptr) return uint32_t{1};
    TENON_TRY(const uint32_t count, file.get_u32("split.count"));
    const uint32_t most = std::min(limits.parts_max, kPartsMax);
    if (count < 1 || count > most)
        return Error{Code::kInvalid, fmt::format("split.count is {}, wants 1 to {}", count, most)};
    if (count == 1) return count;
    TENON_TRY(const uint32_t number, file.get_u32("split.no"));
    if (number >= count)
        return Error{Code::kInvalid, fmt::format("split.no is {}, split.count is {}; parts count "
                                                 "from 0",
                                                 number, count)};
    return count;
}

class GgufJoiner {
public:
    GgufJoiner(std::vector<GgufFile> parts, std::span<const std::string> paths,
               const GgufLimits& limits)
        : parts_(std::move(parts)), paths_(paths), limits_(limits) {}

    Result<GgufFile> join() {
        if (parts_.empty() || parts_.size() != paths_.size())
            return Error{Code::kInternal, "a model has no parts, or parts without a path"};
        uint64_t pairs = 0, tensors = 0;
        for (uint32_t i = 0; i < parts_.size(); ++i) {
            TENON_CHECK(check_place(i));
            if (i > 0) TENON_CHECK(check_metadata(i));
            pairs += parts_[i].pairs().size();
            tensors += parts_[i].tensors().size();
        }
        if (tensors > limits_.tensors_max || pairs > limits_.pairs_max)
            return refused(paths_[0], fmt::format("its {} parts have {} tensors and {} key-value "
                                                  "pairs, the limits are {} and {}",
                                                  parts_.size(), tensors, pairs,
                                                  limits_.tensors_max, limits_.pairs_max));
        TENON_CHECK(check_total(tensors));
        return collect();
    }

private:
    Status check_place(uint32_t part) const {
        auto count = count_parts(parts_[part], limits_);
        if (!count.ok()) return std::move(count).error().within(paths_[part]);
        if (*count != parts_.size())
            return refused(paths_[part],
                           fmt::format("split.count is {}, the names of the files say {}", *count,
                                       parts_.size()));
        const auto number = parts_[part].get_u32_or("split.no", 0);
        if (!number.ok()) return Error(number.error()).within(paths_[part]);
        if (*number != part)
            return refused(paths_[part],
                           fmt::format("split.no says that it is part {}, its name says part {}; "
                                       "parts were swapped or renamed",
                                       *number + 1, part + 1));
        return {};
    }

    Status check_metadata(uint32_t part) const {
        for (const GgufPair& pair : parts_[part].pairs()) {
            if (is_of_a_part(pair.key)) continue;
            const GgufValue* first = parts_[0].find(pair.key);
            if (first != nullptr && is_same(*first, pair.value)) continue;
            return refused(paths_[part],
                           fmt::format("key {} is {}, in {} it is {}; they are parts of different "
                                       "models",
                                       printable(pair.key), describe(pair.value), paths_[0],
                                       first == nullptr ? "missing" : describe(*first)));
        }
        return {};
    }

    Status check_total(uint64_t tensors) const {
        if (parts_.size() == 1) return {};
        for (size_t i = 0; i < parts_.size(); ++i) {
            const auto total = parts_[i].get_u64("split.tensors.count");
            if (!total.ok()) return Error(total.error()).within(paths_[i]);
            if (*total != tensors)
                return refused(paths_[i],
                               fmt::format("split.tensors.count is {}, the {} parts have {} "
                                           "tensors; a part is not of this model",
                                           *total, parts_.size(), tensors));
        }
        return {};
    }

    Result<GgufFile> collect() {
        GgufFile model = std::move(parts_[0]);
        model.part_count_ = static_cast<uint32_t>(parts_.size());
        for (uint32_t i = 1; i < parts_.size(); ++i) {
            for (GgufTensor& tensor : parts_[i].tensors_) {
                tensor.part = i;
                model.tensors_.push_back(tensor);
            }
        }
        std::vector<GgufTensor>& tensors = model.tensors_;
        std::vector<uint32_t>& order = model.tensors_by_name_;
        order.resize(tensors.size());
        std::iota(order.begin(), order.end(), 0u);
        std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
            const int sign = tensors[a].name.compare(tensors[b].name);
            return sign != 0 ? sign < 0 : a < b;
        });
        for (size_t i = 1; i < order.size(); ++i) {
            const GgufTensor &first = tensors[order[i - 1]], &second = tensors[order[i]];
            if (first.name == second.name)
                return refused(paths_[second.part],
                               fmt::format("tensor {} is in {} too", printable(first.name),
                                           paths_[first.part]));
        }
        return model;
    }

    std::vector<GgufFile> parts_;
    std::span<const std::string> paths_;
    const GgufLimits& limits_;
};

Result<GgufFile> join_gguf(std::vector<GgufFile> parts, std::span<const std::string> paths,
                           const GgufLimits& limits) {
    return GgufJoiner(std::move(parts), paths, limits).join();
}

Result<LoadedGguf> load_gguf(const std::string& path, const GgufLimits& limits,
                             FormatTable formats) {
    const auto open_part = [&](const std::string& at) -> Result<std::pair<MappedFile, GgufFile>> {
        TENON_TRY(MappedFile file, MappedFile::open(at));
        auto gguf = parse_gguf(file.bytes(), limits, formats);
        if (!gguf.ok()) return std::move(gguf).error().within(at);
        return std::pair(std::move(file), std::move(gguf).value());
    };
    TENON_TRY(auto given, open_part(path));
    auto count = count_parts(given.second, limits);
    if (!count.ok()) return std::move(count).error().within(path);
    if (*count == 1)
        return LoadedGguf{std::move(formats), std::move(given.first), {}, std::move(given.second)};

    const std::optional<SplitName> name = find_split_name(path);
    const uint32_t number = *given.second.get_u32("split.no");
    if (!name || name->count != *count)
        return refused(path,
                       fmt::format("it is part {0} of {1} of a split model; its name must end "
                                   "in -{0:05}-of-{1:05}.gguf for the others to be found",
                                   number + 1, *count));
    std::vector<std::string> paths;
    std::vector<MappedFile> files;
    std::vector<GgufFile> parts;
    for (uint32_t i = 0; i < *count; ++i) {
        paths.push_back(i == name->part ? path : split_path(*name, i));
        auto part = i == name->part ? std::move(given) : open_part(paths.back());
        if (!part.ok())
            return std::move(part).error().within(
                fmt::format("{}: part {} of {} of its model", path, i + 1, *count));
        files.push_back(std::move(part->first));
        parts.push_back(std::move(part->second));
    }
    TENON_TRY(GgufFile model, join_gguf(std::move(parts), paths, limits));
    MappedFile first = std::move(files.front());
    files.erase(files.begin());
    return LoadedGguf{std::move(formats), std::move(first), std::move(files), std::move(model)};
}

void LoadedGguf::release(std::span<const std::byte> bytes) const noexcept {
    const auto give_back = [&](const MappedFile& mapped) {
        const std::span<const std::byte> all = mapped.bytes();
        if (bytes.data() < all.data() || bytes.data() >= all.data() + all.size()) return;
        mapped.release(static_cast<uint64_t>(bytes.data() - all.data()), bytes.size());
    };
    give_back(file);
    for (const MappedFile& part : parts)
        give_back(part);
}

Status LoadedGguf::check_unchanged() const {
    TENON_CHECK(file.check_unchanged());
    for (const MappedFile& part : parts)
        TENON_CHECK(part.check_unchanged());
    return {};
}

}  // namespace tenon::formats
