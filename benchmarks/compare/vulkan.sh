#!/bin/bash
# Tenon on a Vulkan device beside llama.cpp on the same device, and beside our own CPU backend.
# `benchmarks/compare/vulkan.sh --help`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=/usr/bin/python3

usage() {
    cat <<'EOT'
usage: benchmarks/compare/vulkan.sh [--peers DIR] [--model FILE] [--tenon PATH] [--compute C] [-p N] [-n N] [-r ROUNDS]
                                    [--set KEY=VALUE]... [--beside KEY=VALUE] [--times X | --floor TOKENS_PER_SECOND]

Runs `tenon bench --backend vulkan`, `tenon bench --backend cpu` and, with --peers, DIR/bin/llama-bench by turns on one
model file, and prints the medians of the rounds with their extremes, the ratio to llama.cpp and the fraction of the CPU
backend. Exit code: 0 when decode is at least X times llama.cpp's, or the floor without a peer; 1 when it is less; 2 on
wrong use.

  --peers DIR    DIR/bin/llama-bench, built with -DGGML_VULKAN=ON; where there is none, or it sees no Vulkan device,
                 the floor decides
  --model FILE   default: smollm2-135m-instruct of the catalog
  --tenon PATH   default: build/release/bin/tenon
  --compute C    fast (default) or precise
  -p N, -n N     tokens of prefill and of decode; default 16 and 16 (llama.cpp takes a minute and more for 64 on a
                 CPU driver), 512 and 128 on a GPU
  -r ROUNDS      default 3
  --set K=V      an option of the Vulkan runs, such as vulkan.force_variant=matmul:tile
  --beside K=V   runs Vulkan with this option too, by turns; what cooperative matrices give a GPU's prefill:
                 --beside vulkan.mask_coopmat=true -p 512 -n 128 --floor 0
  --times X      default 5
  --floor F      default 13.5: five times the 2.7 that llama.cpp gave on lavapipe and two cores
EOT
}

wrong() { echo "vulkan.sh: $1" >&2; exit 2; }

peers='' model='' tenon=$root/build/release/bin/tenon compute=fast prompt=16 decode=16 rounds=3 times=5 floor=13.5
sets=() beside=''
while [[ $# -gt 0 ]]; do
    case $1 in
        --peers | --model | --tenon | --compute | -p | -n | -r | --set | --beside | --times | --floor)
            [[ $# -ge 2 ]] || wrong "$1 wants a value"
            case $1 in
                --peers) peers=$2 ;;
                --model) model=$2 ;;
                --tenon) tenon=$2 ;;
                --compute) compute=$2 ;;
                -p) prompt=$2 ;;
                -n) decode=$2 ;;
                -r) rounds=$2 ;;
                --set) sets+=(--set "$2") ;;
                --beside) beside=$2 ;;
                --times) times=$2 ;;
                --floor) floor=$2 ;;
            esac
            shift 2
            ;;
        -h | --help) usage; exit 0 ;;
        *) wrong "unknown argument '$1'; --help lists them" ;;
    esac
done
[[ -x $tenon ]] || wrong "$tenon is not a program; build it or name one with --tenon"
for number in "$prompt" "$decode" "$rounds"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || wrong "-p, -n and -r want positive numbers, not '$number'"
done
# llama.cpp leaves CPU drivers out unless it is told which device to see.
export GGML_VK_VISIBLE_DEVICES=${GGML_VK_VISIBLE_DEVICES:-0}
if [[ -n $peers ]]; then
    [[ -x $peers/bin/llama-bench ]] || wrong "$peers/bin/llama-bench is not a program"
    if ! "$peers/bin/llama-bench" --list-devices 2>/dev/null | grep -q '^ *Vulkan'; then
        echo "no peer: $peers/bin/llama-bench sees no Vulkan device; the floor of $floor tokens/s decides"
        peers=''
    fi
fi
[[ -n $model ]] || model=$($python "$root/configs/models/pull.py" smollm2-135m-instruct)
[[ -f $model ]] || wrong "$model is not a file"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run_tenon BACKEND FILE OPTION...
run_tenon() {
    "$tenon" bench "$model" --backend "$1" -p "$prompt" -n "$decode" -b 1 -r 1 --compute "$compute" --json "${@:3}" >"$2"
}
run_llama() {
    "$peers/bin/llama-bench" -m "$model" -p "$prompt" -n "$decode" -r 1 -ngl 99 -o json >"$1" 2>"$work/llama.log" ||
        { tail -n 3 "$work/llama.log" >&2; return 1; }
    # Built without Vulkan, or finding no device, it would measure its CPU backend.
    $python -c 'import json, sys; sys.exit("Vulkan" not in json.load(open(sys.argv[1]))[0]["backends"])' "$1" ||
        { echo "vulkan.sh: $peers/bin/llama-bench did not run on Vulkan" >&2; return 1; }
}

"$tenon" devices 2>/dev/null | sed 's/^/  /' || true
echo "model: $(basename "$model"), $(stat -Lc %s "$model") bytes; pp$prompt, tg$decode; $rounds rounds; compute $compute${sets[*]:+; ${sets[*]}}"
if [[ -n $beside ]]; then echo "beside: the same with $beside"; fi
for ((round = 1; round <= rounds; ++round)); do
    run_tenon vulkan "$work/vulkan.$round" "${sets[@]}"
    if [[ -n $beside ]]; then run_tenon vulkan "$work/beside.$round" "${sets[@]}" --set "$beside"; fi
    run_tenon cpu "$work/cpu.$round"
    if [[ -n $peers ]]; then run_llama "$work/llama.$round"; fi
done
$python "$here/vulkan_table.py" "$work" "$rounds" "$prompt" "$decode" "$times" "$floor"
