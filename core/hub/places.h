// Where models come from and where they go, as the environment says.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace tenon::hub {

// Keys of S3 requests; without them objects are asked for anonymously.
struct AwsKeys {
    std::string access_key, secret_key, session_token;
    std::string region;    // us-east-1 where nothing names one
    std::string endpoint;  // another S3 server, such as http://127.0.0.1:9000; empty: Amazon's
};

struct Places {
    std::vector<std::string> catalogs;  // folders of NAME.yaml, the first that has any counts
    std::string models;                 // files of catalog, URLs and S3
    std::string cache;                  // the hub's: models--org--repo/...
    std::string endpoint;               // of the hub, without '/' at its end
    std::string token;                  // for the hub; empty: none
    std::string token_origin;           // "HF_TOKEN", or the file it came from
    std::string home;                   // what "~/" means in a catalog
    bool is_offline = false;            // no network at all
    AwsKeys aws;
};

// catalogs: $TENON_CATALOG, beside the program (installed or in its build folder).
// models: $XDG_CACHE_HOME/tenon/models or ~/.cache/tenon/models.
// The hub's as its own Python package reads them: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME,
// HF_ENDPOINT, HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE;
// AWS_ACCESS_KEY_ID and its kin. `lookup` stands in for the environment in tests; "" means absent.
Places read_places(const std::function<std::string(const char*)>& lookup = {});

}  // namespace tenon::hub
