#!/bin/bash
# From a bare Debian 12 to an answer: packages, build, model, one prompt. `./quickstart.sh --help`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=configs/packages.sh
source "$root/configs/packages.sh"

usage() {
    cat <<'EOF'
usage: ./quickstart.sh [--no-install] [--help]

Installs the Debian packages that are missing, builds build/release/bin/tenon, fetches the default
model (98 MB) and answers one prompt. Steps that are done are skipped: a second run needs no network.

  --no-install   leave the packages alone (build with what is there)
  --help         this text
EOF
}

install=yes
for argument in "$@"; do
    case $argument in
        --no-install) install=no ;;
        -h | --help) usage; exit 0 ;;
        *) echo "quickstart.sh: unknown argument '$argument'; see ./quickstart.sh --help" >&2; exit 2 ;;
    esac
done

bold='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\033[1m' plain=$'\033[0m'; fi
step() { echo "${bold}[$1/4] $2${plain}"; }

step 1 "packages"
if [[ $install == yes ]]; then
    install_packages build
else
    echo "skipped (--no-install)"
fi

step 2 "build (release; a few minutes the first time)"
cd "$root"
if [[ ! -f build/release/build.ninja ]]; then
    options=(-DTENON_TESTS=OFF)
    if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
    cmake --preset release "${options[@]}"
fi
CCACHE_DEPEND=1 ninja -C build/release program

step 3 "model"
model=smollm2-135m-instruct
build/release/bin/tenon pull "$model"

step 4 "answer"
prompt='What is a mortise and tenon joint? Answer in one sentence.'
echo "> $prompt"
build/release/bin/tenon run "$model" "$prompt" -n 64

cat <<EOF

${bold}Try next${plain}
  $root/build/release/bin/tenon run $model "Write a haiku about wood."
  $root/build/release/bin/tenon bench $model
  $root/build/release/bin/tenon plugins list --why
  $root/build/release/bin/tenon --help
EOF
