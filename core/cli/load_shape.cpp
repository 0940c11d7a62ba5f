#include "core/cli/load_shape.h"

#include "core/base/json_writer.h"
#include "core/net/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <random>
#include <vector>

namespace tenon::cli {

namespace {

constexpr double kTokensMax = 1 << 20;

// Short English words, each one token of most vocabularies.
constexpr const char* kWords[] = {
    "the",   "of",    "and",  "to",   "in",    "is",    "you",   "that", "it",    "he",   "was",
    "for",   "on",    "are",  "as",   "with",  "his",   "they",  "at",   "be",    "this", "have",
    "from",  "or",    "one",  "had",  "by",    "word",  "but",   "not",  "what",  "all",  "were",
    "we",    "when",  "your", "can",  "said",  "there", "use",   "each", "which", "she",  "do",
    "how",   "their", "if",   "will", "up",    "other", "about", "out",  "many",  "then", "them",
    "these", "so",    "some", "her",  "would", "make",  "like",  "him",  "into"};

uint32_t draw_count(const TokenCount& count, std::mt19937_64& random) {
    double tokens = count.mean;
    if (count.deviation > 0) {
        tokens = std::normal_distribution<double>(count.mean, count.deviation)(random);
    }
    return static_cast<uint32_t>(std::clamp(std::round(tokens), 1.0, kTokensMax));
}

// `count` tokens as numbers: ids, or places in kWords.
void draw_tokens(const LoadShape& shape, uint32_t count, uint64_t seed,
                 std::vector<uint32_t>& tokens) {
    std::mt19937_64 random(seed);
    const uint32_t low = shape.as_ids ? shape.vocab / 8 : 0;
    const uint32_t high = shape.as_ids ? shape.vocab - shape.vocab / 8 : std::size(kWords);
    for (uint32_t i = 0; i < count; ++i)
        tokens.push_back(low + static_cast<uint32_t>(random() % (high - low)));
}

std::string words_of(const std::vector<uint32_t>& tokens) {
    std::string text;
    for (const uint32_t token : tokens) {
        if (!text.empty()) text += ' ';
        text += kWords[token];
    }
    return text;
}

}  // namespace

Result<TokenCount> parse_token_count(std::string_view text) {
    TokenCount count;
    const size_t comma = std::min(text.find(','), text.size());
    const auto read = [](std::string_view part, double& value) {
        const char* last = part.data() + part.size();
        const auto [end, error] = std::from_chars(part.data(), last, value);
        return error == std::errc{} && end == last && value >= 0 && value <= kTokensMax;
    };
    const bool is_good = read(text.substr(0, comma), count.mean) && count.mean >= 1 &&
                         (comma == text.size() || read(text.substr(comma + 1), count.deviation));
    if (is_good) return count;
    return Error{
        Code::kInvalid,
        fmt::format("expected TOKENS or MEAN,STDDEV from 1 to {}, got '{}'", kTokensMax, text)};
}

Result<std::string> api_base(std::string_view url) {
    while (!url.empty() && url.back() == '/')
        url.remove_suffix(1);
    TENON_TRY(const net::Url parsed, net::parse_url(url));
    return parsed.target == "/" ? std::string(url) + "/v1" : std::string(url);
}

net::ClientRequest make_request(const LoadShape& shape, uint64_t number) {
    // Streams of random numbers that never meet: lengths, own tokens, prefixes of groups.
    std::mt19937_64 lengths(shape.seed * 3 + 0x9e3779b97f4a7c15 * (number + 1));
    std::vector<uint32_t> tokens;
    if (shape.shared_prefix > 0) {
        const uint64_t group = number % std::max(shape.shared_groups, 1u);
        draw_tokens(shape, shape.shared_prefix, shape.seed * 3 + 1 + (group << 32), tokens);
    }
    draw_tokens(shape, draw_count(shape.input, lengths), lengths(), tokens);

    JsonWriter body;
    body.begin_object().field("model", shape.model);
    if (shape.is_chat) {
        body.key("messages").begin_array().begin_object().field("role", "user");
        body.field("content", words_of(tokens)).end_object().end_array();
    } else if (shape.as_ids) {
        body.array("prompt", tokens);
    } else {
        body.field("prompt", words_of(tokens));
    }
    body.field("max_tokens", draw_count(shape.output, lengths));
    body.field("temperature", static_cast<double>(shape.temperature)).field("stream", true);
    body.key("stream_options").begin_object().field("include_usage", true).end_object();
    if (shape.ignore_eos) body.field("ignore_eos", true);
    body.end_object();

    net::ClientRequest request;
    request.method = "POST";
    request.url = shape.base + (shape.is_chat ? "/chat/completions" : "/completions");
    request.headers.add("Content-Type", "application/json");
    request.headers.add("Accept", "text/event-stream");
    if (!shape.api_key.empty()) request.headers.add("Authorization", "Bearer " + shape.api_key);
    request.body = body.text();
    request.timeout = shape.timeout;
    request.is_repeatable = true;  // some servers close an idle connection with a request in it
    return request;
}

}  // namespace tenon::cli
