#!/bin/bash
# The Arm levels of the cpu backend under qemu-user. `./test.sh accept formats_neon --help`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
topic=formats_neon
# shellcheck source=tests/accept/criteria.sh
source "$root/tests/accept/criteria.sh"
cd "$root"

fresh=no
while [[ $# -gt 0 ]]; do
    case $1 in
        --fresh) fresh=yes ;;
        -h | --help)
            cat <<'EOT'
usage: ./test.sh accept formats_neon [--fresh]

  --fresh        forget what passed before; without it a run that was cut off goes on
EOT
            exit 0
            ;;
        *) echo "formats_neon: unknown argument '$1'" >&2; exit 2 ;;
    esac
    shift
done

# The level that each emulated processor must be given.
declare -A level=([max]=i8mm [neoverse-n1]=dotprod [cortex-a72]=neon)
arm=$root/build/arm64
plugin=$arm/lib/tenon/plugins/cpu/cpu.so

# on PROCESSOR COMMAND...
on() { qemu-aarch64 -cpu "$1" -L /usr/aarch64-linux-gnu "${@:2}"; }

build() {
    configs/cmake/arm64_sysroot.sh
    cmake --preset arm64 -DTENON_TESTS=ON --log-level=WARNING
    ninja -C "$arm" program test_kernels conformance
    cmake --preset release --log-level=WARNING
    ninja -C build/release program
    echo "built"
} >&2

kernel_tests() {
    local log=$folder/kernels-$1.txt
    TENON_TEST_ISA=${level[$1]} on "$1" "$arm/bin/test_kernels" --gtest_brief=1 >"$log" || { cat "$log"; return 1; }
    echo "level ${level[$1]}, $(grep PASSED "$log" | tr -dc 0-9) tests passed, $(grep -c Skipped "$log") of levels above it left out"
}

conformance() {
    local log=$folder/conformance-$1.txt
    on "$1" "$arm/bin/conformance" --plugin "$plugin" --option "force_isa=$2" --seed 4 >"$log" 2>&1 || { cat "$log"; return 1; }
    echo "$2: $(tail -n 1 "$log")"
}

# A program that runs tenon on PROCESSOR, for scripts that want one path.
emulated() {
    local path=$folder/tenon-$1
    printf '#!/bin/sh\nexec qemu-aarch64 -cpu %s -L /usr/aarch64-linux-gnu %q "$@"\n' "$1" "$arm/bin/tenon" >"$path"
    chmod +x "$path"
    echo "$path"
}

checkpoints() {
    local lines status=0
    lines=$(/usr/bin/python3 tests/oracle/accept_quality.py --line 4 --isa "$2" --tenon "$(emulated "$1")") || status=$?
    echo "$lines" >&2
    grep "4 toy" <<<"$lines" | tr -s ' ' | paste -sd ';'
    return "$status"
}

# The fast path is exact sums of integers and float operations in a written order: what AVX2 answers. But i8mm's
# extension multiplies pairs of bfloat16, which AVX2 has nothing like.
as_avx2() {
    grep -qw avx2 /proc/cpuinfo || { unrun "this machine has no AVX2 to compare with"; return; }
    local without=()
    if [[ $2 == i8mm ]]; then without=(--without bf16); fi
    /usr/bin/python3 tests/accept/same_logits.py --compute fast "${without[@]}" build/release/bin/tenon avx2 "$(emulated "$1")" "$2"
}

begin_topic "$fresh"
build
for processor in max neoverse-n1 cortex-a72; do
    own=${level[$processor]}
    criterion "$processor-kernels" "every kernel against the scalar one on $processor" kernel_tests "$processor"
    criterion "$processor-conformance" "conformance of the cpu backend on $processor" conformance "$processor" "$own"
    criterion "$processor-checkpoints" "tiny checkpoints, precise, on $processor" checkpoints "$processor" "$own"
    criterion "$processor-fast" "tiny checkpoints, fast, on $processor" as_avx2 "$processor" "$own"
done
for own in scalar neon dotprod; do
    criterion "max-forced-$own" "conformance of level $own on max" conformance max "$own"
done
end_topic
