#!/bin/bash
# The promises of the topic first-light. `./test.sh accept first-light --help`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
topic=first-light
# shellcheck source=tests/accept/criteria.sh
source "$root/tests/accept/criteria.sh"
cd "$root"

fresh=no peers='' only=''
while [[ $# -gt 0 ]]; do
    case $1 in
        --fresh) fresh=yes ;;
        --peers) peers=${2:?--peers wants a folder}; shift ;;
        --oracle) echo "first-light: --oracle is not needed; the references are committed in tests/golden" >&2; shift ;;
        --only) only=${2:?--only wants criterion numbers, as 7,9}; shift ;;
        -h | --help)
            cat <<'EOF'
usage: ./test.sh accept first-light [--peers DIR] [--only N[,N...]] [--fresh]

  --peers DIR    llama.cpp's programs and libraries, for the tokenizer and speed comparisons
  --only 7a,9    these criteria alone; a number takes all of its letters
  --fresh        forget what passed before; without it a run that was cut off goes on
EOF
            exit 0
            ;;
        *) echo "first-light: unknown argument '$1'" >&2; exit 2 ;;
    esac
    shift
done

tenon=$root/build/release/bin/tenon
python=/usr/bin/python3
model_of_catalog() { $python configs/models/pull.py smollm2-135m-instruct; }

# 1: an answer from a clean state, then again in under 5 s; CI green (it holds null and arm64).
quickstart_twice() {
    ./quickstart.sh || return 1
    local begin
    begin=$(date +%s%N)
    ./quickstart.sh || return 1
    local milliseconds=$((($(date +%s%N) - begin) / 1000000))
    echo "answered; second run $milliseconds ms, limit 5000"
    [[ $milliseconds -lt 5000 ]]
}
continuous_integration() {
    local begin=$SECONDS
    ./test.sh || { echo "not green"; return 1; }
    echo "green in $((SECONDS - begin)) s, null and arm64 included"
}

# 2 to 4: perplexity, greedy tokens, tiny checkpoints. The script prints a line per figure: ok, FAIL or skip.
quality() {
    local lines status=0
    lines=$($python tests/oracle/accept_quality.py --line "$1" --tenon "$tenon" --model "$(model_of_catalog)") || status=$?
    echo "$lines" >&2
    # All figures on one line; only what failed or was left out when not everything went well.
    if [[ $status -ne 0 ]]; then
        grep -v '^ok' <<<"$lines" | tr -s ' ' | paste -sd ';'
        return "$status"
    fi
    if grep -q '^skip' <<<"$lines"; then
        grep '^skip' <<<"$lines" | tr -s ' ' | paste -sd ';'
        return 77
    fi
    tr -s ' ' <<<"${lines//ok  /}" | paste -sd ';'
}

# 5
tokenizer() {
    [[ -n $peers ]] || { unrun "needs --peers DIR"; return; }
    local lines status=0
    lines=$($python tests/core/tokenizer/compare_llama_cpp.py --tenon "$tenon" --peers "$peers" \
        --smollm "$(model_of_catalog)") || status=$?
    tr -s ' ' <<<"$lines" | paste -sd ';'
    return "$status"
}
templates() {
    ctest --test-dir build/release/tests/core/chat_template --no-tests=error | tee >(cat >&2) |
        sed -n 's/^\([0-9]*% tests passed.*\)/\1/p'
}

# 6
speed() {
    [[ -f benchmarks/compare/cpu.sh ]] || { unrun "benchmarks/compare/cpu.sh is not there"; return; }
    [[ -n $peers ]] || { unrun "needs --peers DIR"; return; }
    benchmarks/compare/cpu.sh --peers "$peers"
}

# 7
mutants() {
    cmake --preset asan >/dev/null || return 1
    ninja -C build/asan gguf_mutants || return 1
    build/asan/bin/gguf_mutants --count 20000
}
fuzz_targets() {
    command -v clang++ >/dev/null || { unrun "no clang++ here; install [fuzz] of configs/packages.txt"; return; }
    cmake --preset fuzz >/dev/null || return 1
    local name count=0
    for name in gguf gguf_split template tokenizer yaml manifest; do
        ninja -C build/fuzz "fuzz_$name" || { echo "fuzz_$name does not build"; return 1; }
        mkdir -p "build/accept/corpus/$name"
        build/fuzz/bin/fuzz_$name -max_total_time=60 -rss_limit_mb=1024 \
            "build/accept/corpus/$name" "tests/fuzz/corpus/$name" || { echo "fuzz_$name found a crash"; return 1; }
        count=$((count + 1))
    done
    echo "$count targets searched for 60 s each without a crash"
}

# 8
trust() {
    ctest --test-dir build/release/tests/core/host --no-tests=error | tee >(cat >&2) |
        sed -n 's/^\([0-9]*% tests passed.*\)/\1/p'
}

# 9
memory() { $python tests/accept/memory.py "$tenon" "$(model_of_catalog)"; }

begin_topic "$fresh"
# These two build for themselves, from a clean state.
if wanted 1a; then criterion 1a "quickstart answers" quickstart_twice; fi
if wanted 1b; then criterion 1b "continuous integration" continuous_integration; fi
check 2 "perplexity against the fp32 reference" quality 2
check 3 "greedy tokens against the fp32 reference" quality 3
check 4 "tiny checkpoints in every format" quality 4
check 5a "tokenizer against llama.cpp" tokenizer
check 5b "chat templates against jinja2" templates
check 6 "speed against llama.cpp" speed
check 7a "20,000 mutants of GGUF files" mutants
check 7b "fuzz targets" fuzz_targets
check 8 "trust attacks and wrong binaries" trust
check 9 "memory and start-up" memory
end_topic
