#include "core/hub/places.h"

#include "core/config/environment.h"
#include "core/hub/output_file.h"

#include <filesystem>
#include <string_view>
#include <system_error>

namespace tenon::hub {

namespace {

namespace fs = std::filesystem;

constexpr const char* kEndpoint = "https://huggingface.co";
constexpr uint64_t kTokenBytes = 4096;

bool is_true(std::string text) {
    for (char& c : text)
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

std::string trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

}  // namespace

Places read_places(const std::function<std::string(const char*)>& lookup) {
    const auto get = [&](const char* name) {
        return lookup ? lookup(name) : config::read_variable(name);
    };
    const auto first = [&](std::initializer_list<const char*> names) {
        for (const char* name : names) {
            if (std::string value = get(name); !value.empty()) return value;
        }
        return std::string();
    };
    Places places;
    places.home = get("HOME");
    const auto expand = [&](std::string path) {
        return path.starts_with("~/") ? places.home + path.substr(1) : path;
    };
    if (std::string given = get("TENON_CATALOG"); !given.empty()) {
        places.catalogs.push_back(std::move(given));
    }
    std::error_code fault;
    if (const fs::path program = fs::read_symlink("/proc/self/exe", fault); !fault) {
        places.catalogs.push_back((program.parent_path() / "../share/tenon/models").string());
        // build/PRESET/bin/tenon
        places.catalogs.push_back((program.parent_path() / "../../../configs/models").string());
    }
    std::string cache = get("XDG_CACHE_HOME");
    if (cache.empty()) cache = places.home + "/.cache";
    places.models = cache + "/tenon/models";
    std::string hub_home = expand(get("HF_HOME"));
    if (hub_home.empty()) hub_home = cache + "/huggingface";
    places.cache = expand(first({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}));
    if (places.cache.empty()) places.cache = hub_home + "/hub";
    places.endpoint = get("HF_ENDPOINT");
    if (places.endpoint.empty()) places.endpoint = kEndpoint;
    while (places.endpoint.ends_with('/'))
        places.endpoint.pop_back();
    places.token = trimmed(first({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}));
    places.token_origin = "HF_TOKEN";
    if (places.token.empty()) {
        std::string path = expand(get("HF_TOKEN_PATH"));
        if (path.empty()) path = hub_home + "/token";
        places.token = trimmed(read_whole(path, kTokenBytes));
        places.token_origin = path;
    }
    places.is_offline = is_true(first({"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}));
    places.aws.access_key = get("AWS_ACCESS_KEY_ID");
    places.aws.secret_key = get("AWS_SECRET_ACCESS_KEY");
    places.aws.session_token = get("AWS_SESSION_TOKEN");
    places.aws.region = first({"AWS_REGION", "AWS_DEFAULT_REGION"});
    if (places.aws.region.empty()) places.aws.region = "us-east-1";
    places.aws.endpoint = first({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
    while (places.aws.endpoint.ends_with('/'))
        places.aws.endpoint.pop_back();
    return places;
}

}  // namespace tenon::hub
