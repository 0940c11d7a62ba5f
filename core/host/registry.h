// Registry: every plugin that can be found, what was decided of each, and why.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/host/loader.h"
#include "core/host/search_path.h"
#include "core/host/trust.h"

namespace tenon::host {

// Folders looked into per place, at most.
constexpr size_t kFoldersMax = 1024;

// One place and what became of it.
struct PlaceReport {
    SearchPlace place;
    std::string note;  // one sentence: searched, absent, left out or refused
    bool searched = false;
};

// One folder that claims to be a plugin.
struct Candidate {
    std::string id;    // its folder's name
    std::string path;  // of the folder
    SearchPlace::Origin origin = SearchPlace::Origin::kConfigured;
    bool usable = false;
    std::string reason;  // one sentence: why not, or how it would be loaded
    std::string version;
    std::string sha256;
    std::vector<std::string> kinds;
    std::vector<std::string> device_nodes;
    std::vector<OptionSpec> options;
    std::vector<DeclaredFormat> formats;  // of kind quant, also of one that is refused later

    bool has_kind(std::string_view kind) const noexcept {
        return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
    }
};

// Reads manifests and ELF notes only: no code of a plugin runs before load(). Thread-compatible.
class Registry {
public:
    static Registry scan(const std::vector<SearchPlace>& places, const Trust& trust);
    // The same of manifests alone, which is quicker; candidates() are those of kind quant.
    static Registry scan_formats(const std::vector<SearchPlace>& places, const Trust& trust);

    const std::vector<PlaceReport>& places() const noexcept { return places_; }
    const std::vector<Candidate>& candidates() const noexcept { return candidates_; }
    // Makes a usable candidate unusable: for what only the caller can see. `reason` is a sentence.
    void refuse(size_t candidate, std::string reason);
    // The usable one with this id, or null.
    const Candidate* find(const std::string& id) const noexcept;

    // Verifies the plugin again and loads it. An id that is not usable or of another kind is kInvalid
    // with the reasons.
    Result<Backend> load(const std::string& id) const;
    Result<SchedPlugin> load_sched(const std::string& id) const;

private:
    // `kind` is the one wanted: what messages name and list.
    Result<VerifiedPlugin> verify(const std::string& id, const std::string& kind) const;
    void look_into(const SearchPlace& place, bool only_data);
    void refuse_duplicates();
    void refuse_format_conflicts();

    Trust trust_;
    std::vector<PlaceReport> places_;
    std::vector<Candidate> candidates_;
    std::vector<std::pair<uint64_t, uint64_t>> seen_;  // device and inode of searched folders
};

}  // namespace tenon::host
