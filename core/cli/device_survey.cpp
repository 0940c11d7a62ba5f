#include "core/cli/device_survey.h"

#include "core/cli/plugin_log.h"
#include "core/host/host_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

namespace tenon::cli {

namespace {

constexpr size_t kLinesMax = 100;  // of one plugin; later ones are dropped

// The lines of the log while it lives.
class LogCapture {
public:
    LogCapture() { host::set_log(&LogCapture::take, this); }
    ~LogCapture() { show_plugin_lines(); }
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;

    std::vector<PluginLine> drain() {
        const std::lock_guard lock(mutex_);
        return std::exchange(lines_, {});
    }

private:
    static void take(void* self, tenon_log_level level, tenon_str text) {
        if (level > TENON_LOG_INFO) return;
        auto* capture = static_cast<LogCapture*>(self);
        const std::lock_guard lock(capture->mutex_);
        if (capture->lines_.size() == kLinesMax) return;
        capture->lines_.push_back({level, std::string(text.p, text.n)});
    }

    std::mutex mutex_;
    std::vector<PluginLine> lines_;
};

Status look_at_policy(const host::Registry& registry, const std::string& id) {
    TENON_TRY(const host::SchedPlugin plugin, registry.load_sched(id));
    const auto policy = plugin.create();
    return policy.ok() ? Status{} : Status{policy.error()};
}

Result<std::vector<tenon_device_info>> devices_of(const host::Registry& registry,
                                                  const std::string& id) {
    TENON_TRY(const host::Backend backend, registry.load(id));
    return backend.enumerate();
}

PluginReport look_at(const host::Registry& registry, const host::Candidate& plugin,
                     std::vector<SeenDevice>& devices) {
    PluginReport report;
    report.id = plugin.id;
    report.backend = plugin.has_kind("backend");
    report.text = plugin.reason;
    if (!plugin.usable) return report;
    report.good = true;
    report.text.clear();
    const auto fail = [&](const Error& error) {
        report.good = false;
        report.text = error.message;
        return report;
    };
    if (plugin.has_kind("sched")) {
        report.text = "scheduling policy, loads";
        if (const Status status = look_at_policy(registry, plugin.id); !status.ok())
            return fail(status.error());
    }
    if (!report.backend) return report;
    const Result<std::vector<tenon_device_info>> found = devices_of(registry, plugin.id);
    if (!found.ok()) return fail(found.error());
    if (found->empty()) report.text = "loads; no device on this machine";
    for (const tenon_device_info& info : *found)
        add_sighting(devices, {plugin.id, plugin.version, info});
    return report;
}

}  // namespace

std::string DeviceSurvey::backends_of(const SeenDevice& device) {
    std::string text;
    for (const Sighting& sighting : device)
        text += (text.empty() ? "" : ", ") + sighting.backend;
    return text;
}

void add_sighting(std::vector<SeenDevice>& devices, Sighting sighting) {
    const auto same = [&](const SeenDevice& device) {
        const bool other_backend =
            std::none_of(device.begin(), device.end(),
                         [&](const Sighting& seen) { return seen.backend == sighting.backend; });
        return other_backend && std::memcmp(device.front().info.uuid, sighting.info.uuid,
                                            sizeof sighting.info.uuid) == 0;
    };
    const auto& uuid = sighting.info.uuid;
    const bool has_uuid =
        std::any_of(std::begin(uuid), std::end(uuid), [](uint8_t byte) { return byte != 0; });
    const auto end = devices.end();
    const auto known = has_uuid ? std::find_if(devices.begin(), end, same) : end;
    if (known == end) {
        devices.push_back({std::move(sighting)});
    } else {
        known->push_back(std::move(sighting));
    }
}

DeviceSurvey survey_devices(const host::Registry& registry, const std::string& wanted) {
    DeviceSurvey survey;
    LogCapture log;
    for (const host::Candidate& plugin : registry.candidates()) {
        if (wanted != "auto" && plugin.id != wanted) continue;
        PluginReport report = look_at(registry, plugin, survey.devices);
        report.lines = log.drain();
        survey.plugins.push_back(std::move(report));
    }
    return survey;
}

}  // namespace tenon::cli
