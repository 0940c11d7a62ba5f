# shellcheck shell=bash disable=SC2154
# Sourced by quickstart.sh and test.sh, which set `root`: installs Debian packages that are missing.

# install_packages SECTION...: the sections of configs/packages.txt; no network when all are there.
install_packages() {
    local section name missing=() wanted=() status
    for section in "$@"; do
        while read -r name; do
            wanted+=("$name")
        done < <(sed -n "/^\[$section\]/,/^\[/p" "$root/configs/packages.txt" | grep -v -e '^\[' -e '^#' -e '^$')
    done
    # One query for all: a name that dpkg does not know is not in its answer.
    status=$(dpkg-query -W -f='${db:Status-Abbrev} ${binary:Package}\n' "${wanted[@]}" 2>/dev/null \
        | sed -n 's/^ii *\([^ :]*\).*/\1/p') || true
    for name in "${wanted[@]}"; do
        grep -qxF -- "$name" <<<"$status" || missing+=("$name")
    done
    if [[ ${#missing[@]} -eq 0 ]]; then
        echo "all ${#wanted[@]} packages are installed"
        return 0
    fi
    echo "installing: ${missing[*]}"
    local as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        if ! command -v sudo >/dev/null; then
            echo "Packages are missing and neither root nor sudo is at hand. As root, run:" >&2
            echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}"
}
