#!/bin/bash
# Tenon beside llama.cpp on this CPU: pp512 and tg128, interleaved. `benchmarks/compare/cpu.sh --help`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=/usr/bin/python3

usage() {
    cat <<'EOF'
usage: benchmarks/compare/cpu.sh --peers DIR [--model FILE] [--tenon PATH] [--compute C] [-t THREADS] [-r ROUNDS]

Runs `tenon bench` and DIR/bin/llama-bench by turns on one model file, after one discarded run of each, and prints the
medians of the rounds, their extremes and the ratio, with what this machine can do at most, probed before and after.
Exit code: 0 when both ratios are 1.00 or more, 1 when one is less, 2 on wrong use.

  --peers DIR    DIR/bin/llama-bench, built for this machine
  --model FILE   default: smollm2-135m-instruct of the catalog
  --tenon PATH   default: build/release/bin/tenon
  --compute C    fast (default) or precise
  -t THREADS     of both; default 2
  -r ROUNDS      default 5
EOF
}

wrong() { echo "cpu.sh: $1" >&2; exit 2; }

peers='' model='' tenon=$root/build/release/bin/tenon compute=fast threads=2 rounds=5
while [[ $# -gt 0 ]]; do
    case $1 in
        --peers | --model | --tenon | --compute | -t | -r)
            [[ $# -ge 2 ]] || wrong "$1 wants a value"
            case $1 in
                --peers) peers=$2 ;;
                --model) model=$2 ;;
                --tenon) tenon=$2 ;;
                --compute) compute=$2 ;;
                -t) threads=$2 ;;
                -r) rounds=$2 ;;
            esac
            shift 2
            ;;
        -h | --help) usage; exit 0 ;;
        *) wrong "unknown argument '$1'; --help lists them" ;;
    esac
done
[[ -n $peers ]] || wrong "--peers DIR is needed; DIR/bin/llama-bench is run"
[[ -x $peers/bin/llama-bench ]] || wrong "$peers/bin/llama-bench is not a program"
[[ -x $tenon ]] || wrong "$tenon is not a program; build it or name one with --tenon"
[[ $compute == fast || $compute == precise ]] || wrong "--compute wants fast or precise, not '$compute'"
[[ $threads =~ ^[1-9][0-9]*$ ]] || wrong "-t wants a positive number, not '$threads'"
[[ $rounds =~ ^[1-9][0-9]*$ ]] || wrong "-r wants a positive number, not '$rounds'"
[[ -n $model ]] || model=$($python "$root/configs/models/pull.py" smollm2-135m-instruct)
[[ -f $model ]] || wrong "$model is not a file"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
g++ -O3 -std=c++20 -pthread "$here/ceilings.cpp" -o "$work/ceilings"

run_tenon() {
    "$tenon" bench "$model" -p 512 -n 128 -b 1 -r 1 -t "$threads" --compute "$compute" --backend cpu --json
}
run_llama() {
    "$peers/bin/llama-bench" -m "$model" -p 512 -n 128 -r 1 -t "$threads" -o json 2>"$work/llama.log" ||
        { tail -n 3 "$work/llama.log" >&2; return 1; }
}

sed -n 's/^model name[[:space:]]*: /CPU: /p' /proc/cpuinfo | head -n 1
echo "model: $(basename "$model"), $(stat -Lc %s "$model") bytes; $threads threads; $rounds rounds; compute $compute"
"$work/ceilings" "$threads" >"$work/ceilings.before"
run_tenon >/dev/null
run_llama >/dev/null
for ((round = 1; round <= rounds; ++round)); do
    run_tenon >"$work/tenon.$round"
    run_llama >"$work/llama.$round"
done
"$work/ceilings" "$threads" >"$work/ceilings.after"

$python "$here/cpu_table.py" "$work" "$rounds" "$(stat -Lc %s "$model")"
