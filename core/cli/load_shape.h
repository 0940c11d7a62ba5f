// What the requests of a load test say: lengths, shared prefixes, which API.
#pragma once

#include "core/base/result.h"
#include "core/net/http_client.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::cli {

// Tokens of a request: `mean`, or normally distributed around it, never below 1.
struct TokenCount {
    double mean = 1, deviation = 0;
};

// "64" or "64,8".
Result<TokenCount> parse_token_count(std::string_view text);

struct LoadShape {
    std::string base;  // of the API: "http://127.0.0.1:30000/v1"
    std::string model, api_key;
    bool is_chat = false;
    bool as_ids = false;      // prompts as token ids, which /completions takes; else as words
    uint32_t vocab = 30'000;  // ids are drawn from the middle of it: control tokens lie at its ends
    TokenCount input{64, 0}, output{128, 0};
    uint32_t shared_prefix = 0;  // tokens in front of each prompt, the same for each group
    uint32_t shared_groups = 1;
    bool ignore_eos = false;
    float temperature = 0;
    uint64_t seed = 1;
    std::chrono::milliseconds timeout{0};
};

// The base of an API from what a user writes: "http://host:port" means its /v1.
Result<std::string> api_base(std::string_view url);

// The request of this number: the same for the same shape, another prompt for each number.
net::ClientRequest make_request(const LoadShape& shape, uint64_t number);

}  // namespace tenon::cli
