#!/bin/bash
# The promises of the topic engine. `./test.sh accept engine --help`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
topic=engine
# shellcheck source=tests/accept/criteria.sh
source "$root/tests/accept/criteria.sh"
cd "$root"

fresh=no peers='' only=''
while [[ $# -gt 0 ]]; do
    case $1 in
        --fresh) fresh=yes ;;
        --peers) peers=${2:?--peers wants a folder}; shift ;;
        --only) only=${2:?--only wants criterion numbers, as 1,6}; shift ;;
        -h | --help)
            cat <<'EOT'
usage: ./test.sh accept engine [--peers DIR] [--only N[,N...]] [--fresh]

  --peers DIR    llama.cpp's programs and libraries, for the speed comparison
  --only 1,6a    these criteria alone; a number takes all of its letters
  --fresh        forget what passed before; without it a run that was cut off goes on
EOT
            exit 0
            ;;
        *) echo "engine: unknown argument '$1'" >&2; exit 2 ;;
    esac
    shift
done

tenon=$root/build/release/bin/tenon
python=/usr/bin/python3
clients=$root/build/accept/clients
tiny=$root/tests/golden/tiny/llama3-untied-f32.gguf
rates=$root/build/accept/engine/rates.json
model_of_catalog() { $python configs/models/pull.py smollm2-135m-instruct; }

# An environment of its own for clients of PyPI, made when the pinned versions change.
client_environment() {
    local wanted=tests/oracle/requirements-clients.txt
    cmp -s "$wanted" "$clients/installed.txt" && return 0
    rm -rf "$clients"
    $python -m venv "$clients" >&2 &&
        "$clients/bin/pip" install --quiet --disable-pip-version-check -r "$wanted" >&2 &&
        cp "$wanted" "$clients/installed.txt"
}
with_clients() {
    client_environment || { unrun "PyPI did not give tests/oracle/requirements-clients.txt"; return; }
    "$@"
}

surface() { $python tests/accept/serve_surface.py "$1" --tenon "$tenon" --model "$2" "${@:3}"; }
load() { $python tests/accept/serve_load.py "$1" --tenon "$tenon" --model "$2" "${@:3}"; }

# 1
ready() { surface ready "$(model_of_catalog)"; }
official_clients() {
    "$clients/bin/python" -W ignore tests/oracle/clients_suite.py --tenon "$tenon" \
        --model "$(model_of_catalog)" "$@"
}

# 2
determinism_tiny() { build/release/bin/determinism --runs 1000; }
determinism_model() { build/release/bin/determinism --model "$(model_of_catalog)" --runs 50; }

# 3: one run of the comparison holds all three figures. rate bench|llama|cache
rate() {
    [[ $1 != llama || -n $peers ]] || { unrun "needs --peers DIR"; return; }
    if [[ ! -f $rates ]]; then
        # Its exit code speaks of all figures together.
        benchmarks/compare/serve.sh ${peers:+--peers "$peers"} --tenon "$tenon" --json "$rates" >&2 || true
    fi
    $python - "$1" "$rates" <<'PYTHON'
import json
import sys

which, path = sys.argv[1:]
result = json.load(open(path, encoding="utf-8"))
wanted = result["wanted"][which]
if which == "cache":
    found = {"off / on": result["prefix"]["ratio"]}
else:
    found = {f"{count} streams": row["ratios"][which] for count, row in result["streams"].items()}
print(", ".join(f"{name} {value:.3f}" for name, value in found.items()) + f", wanted {wanted:g} or more")
sys.exit(0 if all(value >= wanted for value in found.values()) else 1)
PYTHON
}

# 4
cancels() { load cancels "$tiny" --deterministic; }
slow_connections() { load slow "$(model_of_catalog)"; }
# Short answers: a full batch of the model's ends well inside the deadline.
overload() { load overload "$(model_of_catalog)" --tokens 16; }

# 5
kills() { $python tests/accept/serve_kills.py --tenon "$tenon" --model "$(model_of_catalog)"; }

# 6
schemas() { surface schemas "$tiny" --schemathesis "$clients/bin/schemathesis"; }
drain() { surface drain "$(model_of_catalog)"; }

# The tests of these rooms under a sanitizer. The cpu backend they run on is the release build's: its
# kernels take too long to compile with one, and the backend's own tests have theirs.
sanitizer() {
    local preset=$1 build=build/accept/$1 room report count=0 cache=()
    if command -v ccache >/dev/null; then cache=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
    # Compiled as fast as a sanitizer may be: what warns is the business of the other builds.
    cmake --preset "$preset" -B "$build" -DTENON_TESTS=ON -DTENON_BACKENDS=null -DTENON_WERROR=OFF \
        -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1 -DNDEBUG" "${cache[@]}" >&2 || return 1
    ninja -C "$build" tests/core/{net,server,engine}/all plugin_fcfs plugin_prefix >&2 || return 1
    cp -R build/release/lib/tenon/plugins/cpu "$build/lib/tenon/plugins/" || return 1
    for room in net server engine; do
        report=$folder/$preset.$room
        TSAN_OPTIONS="suppressions=$root/tests/accept/tsan.supp" ctest --test-dir "$build/tests/core/$room" \
            --no-tests=error --output-on-failure >"$report" 2>&1 ||
            { cat "$report" >&2; echo "$preset: core/$room is not clean"; return 1; }
        cat "$report" >&2
        count=$((count + $(sed -n 's/.* tests failed out of \([0-9]*\).*/\1/p' "$report")))
    done
    echo "$preset: $count tests without a report"
}
sanitizers() {
    local threads memory
    threads=$(sanitizer tsan) || { echo "$threads"; return 1; }
    memory=$(sanitizer asan) || { echo "$memory"; return 1; }
    echo "$threads, $memory; core/net, core/server, core/engine"
}
radix_fuzz() {
    TENON_FUZZ_OPS=2000000 build/release/bin/test_kv --gtest_filter='RadixFuzz.*' | tee >(cat >&2) |
        sed -n '/operations:/p'
}

begin_topic "$fresh"
rm -f "$rates"
check 1a "ready in 1 s" ready
check 1b "official clients, two processes" with_clients official_clients
check 1c "official clients, --in-process" with_clients official_clients --in-process
check 2a "one prompt, one output: tiny checkpoint" determinism_tiny
check 2b "one prompt, one output: SmolLM2" determinism_model
check 3a "throughput against tenon bench" rate bench
check 3b "throughput against llama-server" rate llama
check 3c "first token behind a shared prefix" rate cache
check 4a "10,000 requests, 10 % cut" cancels
check 4b "2,000 slow connections" slow_connections
check 4c "5x overload for 60 s" overload
check 5 "100 kills of the engine process" kills
check 6a "routes without a key" surface routes "$tiny"
check 6b "schemathesis over /openapi.json" with_clients schemas
check 6c "ThreadSanitizer and AddressSanitizer" sanitizers
check 6d "radix tree against a naive model" radix_fuzz
check 6e "SIGTERM under load" drain
end_topic
