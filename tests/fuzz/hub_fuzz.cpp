// A hub's list of files, an entry of the catalog, a name or URL, and the state of a download: the first
// byte says which. Oracle beside "no crash": no name that could leave its folder gets through.
#include "core/hub/catalog.h"
#include "core/hub/part_list.h"
#include "core/hub/quantization.h"
#include "core/hub/reference.h"
#include "core/hub/remote_repo.h"

#include <cstdlib>

namespace {

using namespace tenon::hub;

void expect(bool truth) {
    if (!truth) std::abort();
}

void read_listing(std::string_view text) {
    const tenon::Result<RepoListing> listing = parse_listing(text);
    if (!listing.ok()) return;
    expect(listing->commit.size() == 40 && is_safe_tag(listing->commit));
    for (const RepoFile& file : listing->files)
        expect(is_safe_path(file.name) && is_safe_tag(file.etag));
    for (const ModelFiles& model : group_models(listing->files))
        expect(!model.files.empty() && model.files.size() <= model.parts_wanted);
    static_cast<void>(choose_model(group_models(listing->files), "", "x"));
}

void read_entry(std::string_view text) {
    const tenon::Result<CatalogEntry> entry = parse_catalog_entry(text, "f");
    if (!entry.ok()) {
        expect(entry.error().message.rfind("f:", 0) == 0);
        return;
    }
    expect(is_safe_name(entry->file) && is_safe_name(entry->name) && entry->size > 0);
    for (const Source& source : entry->sources)
        expect(source.kind != Source::Kind::kHub || parse_repo(source.place).has_value());
}

void read_reference(std::string_view text) {
    const tenon::Result<Reference> reference = parse_reference(text, "https://hub.example");
    if (!reference.ok()) return;
    if (reference->kind == Reference::Kind::kName) expect(is_safe_name(reference->name));
    if (reference->kind != Reference::Kind::kRepo) return;
    expect(is_safe_name(reference->repo.folder()));
    expect(parse_repo_folder(reference->repo.folder()) == reference->repo);
    expect(reference->file.empty() || is_safe_path(reference->file));
    expect(reference->revision.empty() || is_safe_tag(reference->revision));
}

void read_parts(std::string_view text) {
    const std::optional<PartList> parts = PartList::parse(text, 1000, "e");
    if (!parts) return;
    expect(parts->done() <= 1000 &&
           PartList::parse(parts->text("e"), 1000, "e")->done() == parts->done());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1 || size > 64 * 1024) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0]) {
        case 'l': read_listing(text); break;
        case 'c': read_entry(text); break;
        case 'r': read_reference(text); break;
        case 'p': read_parts(text); break;
        default: break;
    }
    return 0;
}
