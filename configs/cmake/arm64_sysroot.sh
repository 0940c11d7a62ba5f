#!/bin/bash
# Unpacks the arm64 builds of the libraries we link into build/arm64-sysroot. The machine's own dpkg
# architectures and apt lists are left alone: apt works here on a private state directory.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
sysroot=$root/build/arm64-sysroot
packages=$(sed -n '/^\[arm64-sysroot\]/,/^\[/p' "$root/configs/packages.txt" | grep -v -e '^\[' -e '^#' -e '^$' | tr '\n' ' ')
if [[ -f $sysroot/complete && $(cat "$sysroot/complete") == "$packages" ]]; then
    exit 0
fi

work=$root/build/arm64-apt
rm -rf "$work" "$sysroot"
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,sources.d,debs} "$sysroot"
: >"$work/status"
: >"$work/sources.list"
if [[ -f /etc/apt/sources.list.d/debian.sources ]]; then
    cp /etc/apt/sources.list.d/debian.sources "$work/sources.d/"
elif [[ -s /etc/apt/sources.list ]]; then
    cp /etc/apt/sources.list "$work/sources.list"
else
    echo "No Debian source in /etc/apt: neither sources.list.d/debian.sources nor sources.list." >&2
    exit 1
fi
cat >"$work/apt.conf" <<EOF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/sources.d";
EOF
export APT_CONFIG=$work/apt.conf
apt-get -qq update
# shellcheck disable=SC2086  # a list of words
(cd "$work/debs" && apt-get -qq download $packages)
for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$sysroot"
done
rm -rf "$work"
printf '%s' "$packages" >"$sysroot/complete"
echo "arm64 libraries are in build/arm64-sysroot"
