#!/bin/bash
# The promises of the topic vulkan. `./test.sh accept vulkan --help`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
topic=vulkan
# shellcheck source=tests/accept/criteria.sh
source "$root/tests/accept/criteria.sh"
cd "$root"

fresh=no peers='' only=''
while [[ $# -gt 0 ]]; do
    case $1 in
        --fresh) fresh=yes ;;
        --peers) peers=${2:?--peers wants a folder}; shift ;;
        --oracle) echo "vulkan: --oracle is not needed; the references are committed in tests/golden" >&2; shift ;;
        --only) only=${2:?--only wants criterion numbers, as 1,2a}; shift ;;
        -h | --help)
            cat <<'EOT'
usage: ./test.sh accept vulkan [--peers DIR] [--only N[,N...]] [--fresh]

  --peers DIR    DIR/bin/llama-bench built with -DGGML_VULKAN=ON; without a Vulkan one decode is held against 13.5 tokens/s
  --only 1,2a    these criteria alone; a number takes all of its letters
  --fresh        forget what passed before; without it a run that was cut off goes on
EOT
            exit 0
            ;;
        *) echo "vulkan: unknown argument '$1'" >&2; exit 2 ;;
    esac
    shift
done

tenon=$root/build/release/bin/tenon
python=/usr/bin/python3
share_of_ci=480  # seconds of all ctest lines of this backend
model_of_catalog() { $python configs/models/pull.py smollm2-135m-instruct; }
tiny_model=tests/golden/tiny/llama-q8_0.gguf

# devices of the backend as lines "kind name"
devices() {
    "$tenon" devices --backend vulkan --json |
        $python -c 'import json, sys
for d in json.load(sys.stdin)["devices"]: print(d["kind"], d["name"] + ", " + d["detail"])'
}

# 1: ctest's lines; a skipped one is not met. The seconds of each are kept for 1d.
tests_named() {
    local log=$folder/ctest.$1.txt
    ctest --test-dir build/release --no-tests=error --output-on-failure -j 1 -R "$1" >"$log" 2>&1 ||
        { cat "$log" >&2; grep -E 'FAILURE:' "$log" | head -n 3 | paste -sd ';'; return 1; }
    cat "$log" >&2
    if grep -q 'Skipped$' "$log"; then echo "left out: $(grep -c 'Skipped$' "$log") tests were skipped"; return 1; fi
    sed -n 's/^\([0-9]*% tests passed.*\)/\1/p; s/^Total Test time (real) = *\(.*\)/in \1/p' "$log" | paste -sd ' '
}
conformance() {
    tests_named "^conformance\\.$1\$" >&2 || { echo "conformance.$1 failed"; return 1; }
    # ctest keeps a test's output here, passed or not.
    grep -E '^[0-9]+ passed, ' build/release/Testing/Temporary/LastTest.log | tail -n 1
}
time_of_ci() {
    local seconds
    # Name, runs, mean seconds: what ctest itself keeps of earlier runs.
    seconds=$(awk '$1 ~ /^(conformance\.vulkan|shaders\.|fault)/ {s += $3} END {printf "%d", s}' \
        build/release/Testing/Temporary/CTestCostData.txt)
    echo "$seconds s, limit $share_of_ci s"
    [[ $seconds -gt 0 && $seconds -le $share_of_ci ]]
}

# 2: the script prints a line per figure: ok, FAIL or skip.
quality() {
    local lines status=0
    lines=$($python tests/oracle/accept_quality.py --line "$1" --tenon "$tenon" --model "$(model_of_catalog)" \
        --backend vulkan --chunks 4 --prompts 16 --steps 16 --precise-limit 0.0005) || status=$?
    echo "$lines" >&2
    grep -E '^(ok|FAIL|skip)' <<<"$lines" | sed 's/^ok *//' | tr -s ' ' | paste -sd ';'
    if grep -q '^skip' <<<"$lines"; then return 77; fi
    return "$status"
}

# 3 and 4
speed() {
    local arguments=()
    if [[ -n $peers ]]; then arguments=(--peers "$peers"); fi
    benchmarks/compare/vulkan.sh "${arguments[@]}" | tee >(cat >&2) | tail -n 1
    return "${PIPESTATUS[0]}"
}
gpu() {
    local found
    found=$(devices | grep -E '^i?gpu ' | head -n 1) || true
    [[ -n $found ]] || { unrun "no GPU with a Vulkan driver here: $(devices | paste -sd ';' | sed 's/^$/no device at all/')"; return; }
    if [[ ! -d build/release/lib/tenon/plugins/cuda ]]; then
        # "beside" is the same without cooperative matrices.
        unrun "there is ${found#* }, but no CUDA backend to measure against; its own figures: $(benchmarks/compare/vulkan.sh \
            -p 512 -n 128 --floor 0 --beside vulkan.mask_coopmat=true | tail -n 2 | paste -sd ';')"
        return
    fi
    local vulkan cuda
    vulkan=$("$tenon" bench "$(model_of_catalog)" --backend vulkan --json)
    cuda=$("$tenon" bench "$(model_of_catalog)" --backend cuda --json)
    $python -c 'import json, sys
v, c = ({r["test"]: r["tokens_per_second"] for r in json.loads(a)["results"]} for a in sys.argv[1:3])
decode, prefill = v["tg128"] / c["tg128"], v["pp512"] / c["pp512"]
print(f"{sys.argv[3]}: decode {decode:.0%} of CUDA (wanted 80 %), prefill {prefill:.0%} (wanted 60 %)")
sys.exit(decode < 0.8 or prefill < 0.6)' "$vulkan" "$cuda" "${found#* }"
}

# 5
arm64() {
    [[ -f build/arm64-sysroot/complete ]] || configs/cmake/arm64_sysroot.sh >&2 || { unrun "no arm64 libraries could be fetched"; return; }
    cmake --preset arm64 -DTENON_TESTS=ON >&2 && ninja -C build/arm64 program conformance >&2 || return 1
    local qemu=(qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu) lines backend figure=''
    lines=$("${qemu[@]}" build/arm64/bin/tenon doctor 2>&1) || true
    echo "$lines" >&2
    lines=$("${qemu[@]}" build/arm64/bin/tenon devices --json) || return 1
    $python -c 'import json, sys
found = json.loads(sys.argv[1])
assert not any(d["backend"] == "vulkan" for d in found["devices"]), "there is a device under emulation"
reasons = [w["reason"] for w in found["without"] if w["backend"] == "vulkan"]
assert reasons and "loads" in reasons[0], reasons
print("the vulkan plugin", reasons[0], file=sys.stderr)' "$lines" || { echo "the plugin does not load without a device"; return 1; }
    for backend in null cpu; do
        figure+="$backend $("${qemu[@]}" build/arm64/bin/conformance --plugin \
            "build/arm64/lib/tenon/plugins/$backend/$backend.so" | tee >(cat >&2) | grep -E '^[0-9]+ passed' | cut -d';' -f1); " ||
            { echo "the suite of $backend failed"; return 1; }
    done
    echo "doctor answers; plugin loads, no device; ${figure%; }"
}

# 6
no_driver() {
    local lines status=0 nowhere=$folder/nowhere.json
    rm -f "$nowhere"
    lines=$(VK_ICD_FILENAMES=$nowhere VK_DRIVER_FILES=$nowhere "$tenon" run "$tiny_model" hello --raw -n 2 \
        --backend vulkan 2>&1 </dev/null) || status=$?
    echo "$lines" >&2
    [[ $status -ne 0 && $status -lt 126 ]] || { echo "run without a driver ended with $status"; return 1; }
    [[ $(grep -c . <<<"$lines") -le 3 ]] || { echo "run without a driver says more than one error"; return 1; }
    VK_ICD_FILENAMES=$nowhere VK_DRIVER_FILES=$nowhere "$tenon" devices >&2 || { echo "devices fails without a driver"; return 1; }
    # What needs no Vulkan goes on.
    VK_ICD_FILENAMES=$nowhere VK_DRIVER_FILES=$nowhere "$tenon" run "$tiny_model" hello --raw -n 2 --backend cpu \
        >&2 </dev/null || { echo "the CPU backend fails without a driver"; return 1; }
    echo "one error (code $status): $(head -n 1 <<<"$lines" | cut -c1-120)"
}
# Killed while it starts, compiles pipelines, writes their cache or computes: the next run finds nothing that hurts it.
kills() {
    local i pid cache=$folder/kills ids=$folder/ids.json wanted answer
    rm -rf "$cache" && mkdir -p "$cache"
    $python -c 'import json, sys
json.dump({"ids": json.load(open("tests/golden/tiny/tiny.json"))["ids"]}, open(sys.argv[1], "w"))' "$ids"
    choices=("$tenon" logits "$tiny_model" --ids "$ids" --compute precise --json --backend vulkan
        --set "vulkan.pipeline_cache=$cache")
    wanted=$("${choices[@]}" | md5sum) || { echo "the run before any kill failed"; return 1; }
    for ((i = 0; i < 20; ++i)); do
        if ((i % 2 == 0)); then rm -rf "${cache:?}"/*; fi
        "${choices[@]}" >/dev/null 2>&1 &
        pid=$!
        sleep "$(awk -v i="$i" 'BEGIN {print 0.02 + i * 0.06}')"
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        answer=$("${choices[@]}" | md5sum)
        [[ $answer == "$wanted" ]] || { echo "after kill $i the answer is another"; return 1; }
    done
    echo "20 kills, each followed by the same answer"
}
faults() {
    TENON_TEST_EVERY_FAULT=1 ctest --test-dir build/release/tests/fault --no-tests=error --output-on-failure |
        tee >(cat >&2) | sed -n 's/^\([0-9]*% tests passed.*\)/\1/p'
}

begin_topic "$fresh"
check 1a "conformance with validation and synchronisation checks" conformance vulkan
check 1b "conformance on a masked device" conformance vulkan_masked
check 1c "shaders with validation" tests_named '^shaders\.'
check 1d "share of CI's time" time_of_ci
check 2a "perplexity against the fp32 reference" quality 2
check 2b "greedy tokens against the fp32 reference" quality 3
check 3 "decode against llama.cpp on the same device" speed
check 4 "a GPU's figures against CUDA" gpu
check 5 "arm64 under qemu-user" arm64
check 6a "no driver" no_driver
check 6b "killed at any time" kills
check 6c "out of memory, lost device" faults
end_topic
