#include "core/cli/model_file.h"

#include "core/cli/pull_progress.h"
#include "core/cli/session.h"
#include "core/config/environment.h"
#include "core/hub/resolve.h"

#include <csignal>
#include <cstdint>

#include <unistd.h>

namespace tenon::cli {

Result<std::string> find_model_file(const std::string& text) {
    TENON_TRY(hub::FoundModel found, hub::find_model(text, hub::read_places()));
    return std::move(found.path);
}

Result<hub::Pulled> pull_model(std::string_view verb, const std::string& text,
                               const hub::Places& places, hub::PullOptions options) {
    TENON_TRY(options.fetch.proxies, net::ProxyRules::read(config::read_variable));
    // A file beyond the limit of the shell is an error of the write, not the end of the process.
    const auto previous = std::signal(SIGXFSZ, SIG_IGN);
    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    PullProgress progress{std::string(verb)};
    Result<hub::Pulled> pulled = hub::pull(text, places, options, progress.watch(), &cancel);
    progress.wipe();
    watch_interrupts(nullptr);
    std::signal(SIGXFSZ, previous);
    return pulled;
}

Status fetch_if_missing(std::string_view verb, const std::string& text) {
    if (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1) return {};
    const hub::Places places = hub::read_places();
    if (places.is_offline) return {};
    const Result<hub::FoundModel> found = hub::find_model(text, places);
    // Only what is known but absent; a mistyped name keeps its own sentence.
    if (found.ok() || found.error().code != Code::kConfig ||
        found.error().message.find("tenon pull") == std::string::npos) {
        return {};
    }
    TENON_TRY(const hub::Pulled pulled, pull_model(verb, text, places, {}));
    static_cast<void>(pulled);
    return {};
}

}  // namespace tenon::cli
