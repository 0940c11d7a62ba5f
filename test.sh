#!/bin/bash
# Builds and tests Tenon. `./test.sh --help`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=configs/packages.sh
source "$root/configs/packages.sh"
cd "$root"

usage() {
    cat <<'EOF'
usage: ./test.sh [--no-install]             what CI runs: installs, builds, tests; ctest's lines are last
       ./test.sh fast                       the developer's loop: release build, tests not labelled slow
       ./test.sh accept TOPIC [ARGUMENT...] the promises of a topic, one line each; may take hours
       ./test.sh --help
EOF
    echo "topics: $(cd tests/accept && echo *.sh | sed 's/\.sh//g')"
}

# A miss in the cache costs no run of the preprocessor: the compiler lists the headers anyway.
export CCACHE_DEPEND=1

# configure PRESET [-DOPTION...]: once; ninja configures again by itself when a list file changes.
configure() {
    local preset=$1
    shift
    local options=("$@")
    if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
    cmake --preset "$preset" "${options[@]}" --log-level=WARNING >/dev/null
}

jobs=$(nproc)
tests_of() { ctest --test-dir "$1" --output-on-failure --no-tests=error -j "$jobs" "${@:2}"; }

# Folders out of "$@" that exist under tests/, as ninja's targets or ctest's folders.
present() {
    local room
    for room in "$@"; do
        if [[ -f tests/$room/CMakeLists.txt ]]; then echo "tests/$room"; fi
    done
}

build_release() {
    configure release -DTENON_TESTS=ON -DTENON_WERROR=ON
    ninja -C build/release
}

# build_and_test PRESET ROOM...: the tests of these rooms in another preset.
build_and_test() {
    local preset=$1 folders folder status=0
    shift
    mapfile -t folders < <(present "$@")
    configure "$preset" -DTENON_TESTS=ON
    ninja -C "build/$preset" "${folders[@]/%//all}"
    for folder in "${folders[@]}"; do
        tests_of "build/$preset/$folder" || status=1
    done
    echo "$preset: ${#folders[@]} rooms tested"
    return $status
}

# Every reader of bytes from outside, and who owns which block.
asan_stage() {
    build_and_test asan core/base core/formats core/tokenizer core/chat_template core/config core/host core/hub core/kv core/net core/sched fuzz
}

null_stage() {
    local rooms
    mapfile -t rooms < <(cd tests && find core -name CMakeLists.txt -printf '%h\n' | sort)
    configure null -DTENON_TESTS=ON
    ninja -C build/null program
    build/null/bin/tenon --version
    build_and_test null "${rooms[@]}"
}

arm64_stage() {
    configs/cmake/arm64_sysroot.sh
    # The program itself as well: it must link, and start.
    configure arm64 -DTENON_TESTS=ON
    ninja -C build/arm64 program
    qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu build/arm64/bin/tenon --version
    # The Vulkan plugin loads where there is neither a loader nor a device, and says so.
    local devices
    devices=$(qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu build/arm64/bin/tenon devices)
    echo "$devices"
    grep -q '^vulkan: loads; no device' <<<"$devices"
    TENON_TEST_ISA=i8mm build_and_test arm64 core/host core/tokenizer kernels
    # The lower levels on processors that stop there: Graviton2's, and one of Armv8.0.
    kernels_on neoverse-n1 dotprod
    kernels_on cortex-a72 neon
}

# kernels_on PROCESSOR LEVEL: that it is the level found, and the contract of the level's kernels.
kernels_on() {
    echo "kernels of $2 on $1"
    TENON_TEST_ISA=$2 qemu-aarch64 -cpu "$1" -L /usr/aarch64-linux-gnu build/arm64/bin/test_kernels \
        --gtest_brief=1 --gtest_filter="Isa.*:MatmulList.*:*$2*"
}

# Tests that want a real model skip, and say so, when this names none.
name_model() {
    local path
    if path=$(configs/models/pull.py smollm2-135m-instruct "$@"); then export TENON_TEST_MODEL=$path; fi
}

failed=()
# stage NAME COMMAND...: its time, and its failure remembered rather than ending the run.
stage() {
    local name=$1 begin=$SECONDS
    shift
    echo "== $name"
    # Not as a condition: bash ignores set -e below an if.
    set +e
    (set -e; "$@")
    local status=$?
    set -e
    if [[ $status -eq 0 ]]; then
        echo "== $name: passed in $((SECONDS - begin)) s"
    else
        echo "== $name: FAILED after $((SECONDS - begin)) s"
        failed+=("$name")
    fi
}

full() {
    if [[ $install == yes ]]; then
        echo "== packages"
        install_packages build test arm64
    fi
    echo "== model"
    name_model
    echo "== release build"
    build_release
    stage "address and undefined-behaviour sanitizers" asan_stage
    stage "null backend alone" null_stage
    stage "arm64 under qemu-user" arm64_stage
    if [[ ${#failed[@]} -gt 0 ]]; then
        echo "== stages that FAILED, whatever the lines below say: ${failed[*]}"
    fi
    echo "== release tests"
    tests_of build/release || exit 1
    [[ ${#failed[@]} -eq 0 ]]
}

install=yes
case ${1:-} in
    '') full ;;
    --no-install) install=no; full ;;
    fast)
        name_model --offline 2>/dev/null
        build_release
        tests_of build/release -LE slow
        ;;
    accept)
        topic=${2:-}
        if [[ -z $topic || $topic == */* || ! -f tests/accept/$topic.sh ]]; then
            echo "test.sh: no topic '$topic'" >&2
            usage >&2
            exit 2
        fi
        shift 2
        exec bash "tests/accept/$topic.sh" "$@"
        ;;
    -h | --help) usage ;;
    *)
        echo "test.sh: unknown argument '$1'; see ./test.sh --help" >&2
        exit 2
        ;;
esac
