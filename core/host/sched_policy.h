// Owners over a scheduler plugin's table: tenon.sched/0.
#pragma once

#include <tenon/abi.h>

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/base/result.h"
#include "core/host/backend.h"

namespace tenon::host {

// One policy of a loaded plugin. Plans of one policy are asked for one at a time.
class SchedPolicy {
public:
    // Takes over `handle`. `table` lives for the process.
    SchedPolicy(std::string id, const tenon_sched_table* table, tenon_sched_policy* handle)
        : id_(std::move(id)), table_(table), handle_(handle) {}
    SchedPolicy(const SchedPolicy&) = delete;
    SchedPolicy& operator=(const SchedPolicy&) = delete;
    ~SchedPolicy() { table_->destroy(handle_); }

    // Of the plugin.
    const std::string& id() const noexcept { return id_; }

    // Writes the counts and the arrays of `plan`, whose capacity is at least view.n_rows. kInternal
    // when the plugin says that it wrote more than there is room for. Whether the plan is legal is
    // for the caller to find out.
    Status plan(const tenon_sched_view& view, tenon_sched_plan& plan) const;

private:
    std::string id_;
    const tenon_sched_table* table_;
    tenon_sched_policy* handle_;  // owned
};

// A loaded scheduler plugin: id, version and table. A value; the plugin is never unloaded.
class SchedPlugin {
public:
    SchedPlugin(std::string id, std::string version, const tenon_sched_table* table)
        : id_(std::move(id)), version_(std::move(version)), table_(table) {}

    const std::string& id() const noexcept { return id_; }
    const std::string& version() const noexcept { return version_; }

    // [load] An unknown option is kInvalid and named.
    Result<std::unique_ptr<SchedPolicy>> create(std::span<const PluginOption> options = {}) const;

private:
    std::string id_;
    std::string version_;
    const tenon_sched_table* table_;
};

}  // namespace tenon::host
