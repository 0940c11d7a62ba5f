// A repository as the hub describes it, and what its refusals mean.
#pragma once

#include "core/base/result.h"
#include "core/hub/fetch.h"
#include "core/hub/places.h"
#include "core/hub/quantization.h"
#include "core/hub/reference.h"
#include "core/hub/transfer.h"

#include <string>
#include <string_view>
#include <vector>

namespace tenon::hub {

struct RepoListing {
    std::string commit;
    std::vector<RepoFile> files;  // those with a safe name; others cannot be asked for
};

// The answer of /api/models/ORG/REPO/revision/REV?blobs=true. kData says what is wrong with it.
Result<RepoListing> parse_listing(std::string_view text);

// Asks the hub, again when it is busy. kInvalid explains what the user can do about a refusal: a
// token, a licence to accept, another name. kBusy, kTimeout: it does not answer.
Result<RepoListing> fetch_listing(Fetcher& fetcher, const Places& places, const RepoName& repo,
                                  const std::string& revision, const TransferOptions& options,
                                  const TransferWatch& watch);

// What to hand to transfer() for one of its files.
RemoteFile remote_file(const Places& places, const RepoName& repo, const RepoListing& listing,
                       const RepoFile& file);

// kConfig when the token would go unencrypted to another machine.
Status check_token_goes_safely(const Places& places);

// `path` with everything but letters, digits, '/', '-', '_', '.' and '~' as %XX.
std::string url_encoded(std::string_view path);

}  // namespace tenon::hub
