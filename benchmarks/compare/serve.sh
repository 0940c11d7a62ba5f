#!/bin/bash
# `tenon serve` beside llama-server and `tenon bench` on this CPU, interleaved. `benchmarks/compare/serve.sh --help`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=/usr/bin/python3

usage() {
    cat <<'EOT'
usage: benchmarks/compare/serve.sh [--peers DIR] [--model FILE] [--tenon PATH] [--streams LIST] [-t THREADS] [-r ROUNDS]
                                   [--json FILE] [--no-prefix]

64 prompt and 128 output tokens, greedy, streamed, every prompt another one, at each number of streams: output tokens
per second of `tenon serve`, of DIR/bin/llama-server with as many slots, both driven by `tenon bench serve`, and of
`tenon bench --mix`, which has the same batch and no server. Then the time to the first token behind a shared prefix of
1,500 tokens, prefix cache on and off. Prints medians of the rounds and their ratios.
Exit code: 0 when serve reaches 0.90 of bench and 1.00 of llama-server at every number of streams, and the cache makes
the first token 3 times as fast; 1 when not; 2 on wrong use.

  --peers DIR      DIR/bin/llama-server, built for this machine; without it that column is left out
  --model FILE     default: smollm2-135m-instruct of the catalog
  --tenon PATH     default: build/release/bin/tenon
  --streams LIST   default: 8,32
  -t THREADS       of all; default 2
  -r ROUNDS        default 3
  --json FILE      every figure, as one object
  --no-prefix      leave the shared prefix out
EOT
}

wrong() { echo "serve.sh: $1" >&2; exit 2; }

peers='' model='' tenon=$root/build/release/bin/tenon streams=8,32 threads=2 rounds=3 json='' prefix=1
while [[ $# -gt 0 ]]; do
    case $1 in
        --peers | --model | --tenon | --streams | -t | -r | --json)
            [[ $# -ge 2 ]] || wrong "$1 wants a value"
            case $1 in
                --peers) peers=$2 ;;
                --model) model=$2 ;;
                --tenon) tenon=$2 ;;
                --streams) streams=$2 ;;
                -t) threads=$2 ;;
                -r) rounds=$2 ;;
                --json) json=$2 ;;
            esac
            shift 2
            ;;
        --no-prefix) prefix=0; shift ;;
        -h | --help) usage; exit 0 ;;
        *) wrong "unknown argument '$1'; --help lists them" ;;
    esac
done
[[ -z $peers || -x $peers/bin/llama-server ]] || wrong "$peers/bin/llama-server is not a program"
[[ -x $tenon ]] || wrong "$tenon is not a program; build it or name one with --tenon"
[[ $streams =~ ^[1-9][0-9]*(,[1-9][0-9]*)*$ ]] || wrong "--streams wants numbers such as 8,32, not '$streams'"
[[ $threads =~ ^[1-9][0-9]*$ ]] || wrong "-t wants a positive number, not '$threads'"
[[ $rounds =~ ^[1-9][0-9]*$ ]] || wrong "-r wants a positive number, not '$rounds'"
[[ -n $model ]] || model=$($python "$root/configs/models/pull.py" smollm2-135m-instruct)
[[ -f $model ]] || wrong "$model is not a file"

prompt=64 output=128 context=256
work=$(mktemp -d)
server=''
stop_server() {
    [[ -n $server ]] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=''
}
trap 'stop_server; rm -rf "$work"' EXIT

free_port() {
    $python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start_server PORT COMMAND...: returns when /health answers 200.
start_server() {
    local port=$1
    shift
    "$@" >"$work/server.log" 2>&1 &
    server=$!
    for ((i = 0; i < 600; ++i)); do
        if ! kill -0 "$server" 2>/dev/null; then break; fi
        if $python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/health', timeout=2)" \
            2>/dev/null; then
            return 0
        fi
        sleep 0.1
    done
    echo "serve.sh: $1 is not ready; the end of what it printed:" >&2
    tail -n 5 "$work/server.log" >&2
    return 1
}

# drive PORT STREAMS REQUESTS OPTION...: one object of `tenon bench serve`.
drive() {
    local port=$1 count=$2 requests=$3
    shift 3
    env -u OPENAI_API_KEY "$tenon" bench serve "http://127.0.0.1:$port" --concurrency "$count" \
        --num-prompts "$requests" --prompts ids --vocab-size 49152 --ignore-eos --json "$@"
}

start_tenon() { # start_tenon PORT STREAMS CONTEXT OPTION...
    local port=$1 count=$2 positions=$3
    shift 3
    start_server "$port" "$tenon" serve --model "$model" --port "$port" --metrics-port "$(free_port)" -t "$threads" \
        -c "$positions" --max-running-requests "$count" --auth none --set log.level=warn \
        --set limits.drain_delay_ms=1 "$@"
}

run_tenon() { # run_tenon STREAMS SEED
    local port
    port=$(free_port)
    start_tenon "$port" "$1" $context
    drive "$port" "$1" $(($1 * 2)) --input-tokens $prompt --output-tokens $output --warmup "$1" --seed "$2"
    stop_server
}

run_llama() { # run_llama STREAMS SEED; no prompt comes twice, so its cache is only in the way
    local port
    port=$(free_port)
    start_server "$port" "$peers/bin/llama-server" -m "$model" --host 127.0.0.1 --port "$port" -t "$threads" \
        -tb "$threads" -np "$1" -c $(($1 * context)) --no-webui --no-cache-prompt --cache-ram 0
    drive "$port" "$1" $(($1 * 2)) --input-tokens $prompt --output-tokens $output --warmup "$1" --seed "$2"
    stop_server
}

run_bench() { # run_bench STREAMS
    "$tenon" bench "$model" -p $prompt -n $output -b "$1" --mix -r 1 -t "$threads" --json
}

run_prefix() { # run_prefix OPTION...
    local port
    port=$(free_port)
    start_tenon "$port" 4 2048 "$@"
    drive "$port" 1 12 --shared-prefix 1500 --input-tokens 16 --output-tokens 8 --warmup 2
    stop_server
}

sed -n 's/^model name[[:space:]]*: /CPU: /p' /proc/cpuinfo | head -n 1
echo "model: $(basename "$model"), $(stat -Lc %s "$model") bytes; $threads threads; $rounds rounds"
for ((round = 1; round <= rounds; ++round)); do
    for count in ${streams//,/ }; do
        run_tenon "$count" "$round" >"$work/serve.$count.$round"
        [[ -z $peers ]] || run_llama "$count" "$round" >"$work/llama.$count.$round"
        run_bench "$count" >"$work/bench.$count.$round"
    done
    if [[ $prefix == 1 ]]; then
        run_prefix >"$work/cache.on.$round"
        run_prefix --disable-radix-cache >"$work/cache.off.$round"
    fi
done

$python "$here/serve_table.py" "$work" "$rounds" "$streams" ${json:+"$json"}
