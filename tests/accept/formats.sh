#!/bin/bash
# The promises of the topic formats. `./test.sh accept formats --help`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
topic=formats
# shellcheck source=tests/accept/criteria.sh
source "$root/tests/accept/criteria.sh"
cd "$root"

fresh=no peers='' oracle='' only=''
while [[ $# -gt 0 ]]; do
    case $1 in
        --fresh) fresh=yes ;;
        --peers) peers=${2:?--peers wants a folder}; shift ;;
        --oracle) oracle=${2:?--oracle wants a folder}; shift ;;
        --only) only=${2:?--only wants criterion numbers, as 1,3a}; shift ;;
        -h | --help)
            cat <<'EOT'
usage: ./test.sh accept formats [--peers DIR] [--oracle DIR] [--only N[,N...]] [--fresh]

  --peers DIR    llama.cpp's programs: DIR/bin/llama-quantize, llama-perplexity, llama-bench, llama-tokenize
  --oracle DIR   a Python environment with torch, transformers and gguf
  --only 1,2a    these criteria alone; a number takes all of its letters
  --fresh        forget what passed before; without it a run that was cut off goes on

Criterion 1 writes about 3 GB below build/accept/formats/files and keeps it: llama-quantize's files of SmolLM2.
In 1d `fast` may exceed llama.cpp's perplexity by two standard errors of the chunks' paired differences: both round
activations to 8 bits, which moves a figure up or down. A file on which llama-perplexity crashes is left out by name.
EOT
            exit 0
            ;;
        *) echo "formats: unknown argument '$1'" >&2; exit 2 ;;
    esac
    shift
done

tenon=$root/build/release/bin/tenon
python=/usr/bin/python3
files=$root/build/accept/formats/files
model_of_catalog() { $python configs/models/pull.py smollm2-135m-instruct; }

# figures COMMAND...: a command that prints a line per figure, ok, FAIL or skip. Its lines go to the log; what is left on
# stdout is the count, and every line that is not ok.
figures() {
    local lines status=0 count
    lines=$("$@") || status=$?
    echo "$lines" >&2
    count=$(grep -c '^ok' <<<"$lines") || true
    if [[ $status -eq 0 && $count -gt 0 ]]; then
        echo "$count figures$(grep '^skip' <<<"$lines" | tr -s ' ' | sed 's/^skip/; left out:/' | tr -d '\n')"
        return 0
    fi
    echo "$count good; $(grep -v '^ok' <<<"$lines" | tr -s ' ' | paste -sd ';')"
    return 1
}

# is_there FILE: a criterion whose script nobody has written is missed, not passed over.
is_there() { [[ -e $1 ]] || { echo "$1 is not there"; return 1; }; }

# 1
formats() {
    [[ -n $peers ]] || { unrun "needs --peers DIR"; return; }
    [[ -n $oracle ]] || { unrun "needs --oracle DIR"; return; }
    local model
    model=$(model_of_catalog) || return 1
    figures "$oracle/bin/python" -W ignore tests/oracle/accept_formats.py "$1" --tenon "$tenon" --peers "$peers" \
        --folder "$files" --model "$model" --decoder build/release/bin/decode_gguf
}

# 2
tokenizers() {
    [[ -n $peers ]] || { unrun "needs --peers DIR"; return; }
    local lines status=0
    lines=$($python tests/core/tokenizer/compare_llama_cpp.py --tenon "$tenon" --peers "$peers" \
        --smollm "$(model_of_catalog)") || status=$?
    echo "$lines" >&2
    tr -s ' ' <<<"$lines" | paste -sd ';'
    return "$status"
}
templates() {
    local name
    for name in llama31_tools llama32 qwen2 qwen3 gemma3 phi3 phi4 mistral_tekken deepseek_r1; do
        is_there "tests/golden/chat_template/templates/$name.jinja" || return 1
    done
    # Templates as models publish them come with llama.cpp's source.
    local published=("$peers"/src/llama_cpp_python-*/vendor/llama.cpp/models/templates)
    if [[ -n $peers && -d ${published[0]} ]]; then export TENON_TEST_TEMPLATES=${published[0]}; fi
    ctest --test-dir build/release/tests/core/chat_template --no-tests=error | tee >(cat >&2) |
        sed -n 's/^\([0-9]*% tests passed.*\)/\1/p'
}

# 3
speed() {
    [[ -n $peers ]] || { unrun "needs --peers DIR"; return; }
    [[ -n $oracle ]] || { unrun "needs --oracle DIR, whose gguf makes the file that llama-quantize starts from"; return; }
    "$oracle/bin/python" -W ignore tests/oracle/accept_formats.py files --tenon "$tenon" --peers "$peers" \
        --folder "$files" --model "$(model_of_catalog)" --format "$1" >&2 || { echo "no $1 file"; return 1; }
    benchmarks/compare/cpu.sh --peers "$peers" --model "$files/smollm2-$1.gguf"
}

# 4
made_up() { figures $python tests/accept/custom_format.py --tenon "$tenon"; }

# 5d: quantize beside llama-quantize, on a text long enough that perplexity is no noise.
quantize() {
    [[ -n $peers ]] || { unrun "needs --peers DIR"; return; }
    $python tests/accept/formats_quantize.py --tenon "$tenon" --peers "$peers" --model "$(model_of_catalog)" \
        --chars 36456 | tee >(cat >&2) | tail -n 1
    return "${PIPESTATUS[0]}"
}

# 5: end-to-end tests by name, each without a test left out.
end_to_end() {
    local name log=$folder/end_to_end.txt count=0 ran
    for name in "$@"; do
        is_there "tests/e2e/$name.py" || return 1
        TENON_BINARY=$tenon PYTHONDONTWRITEBYTECODE=1 $python "tests/e2e/$name.py" >"$log" 2>&1 ||
            { cat "$log" >&2; echo "$name failed"; return 1; }
        cat "$log" >&2
        if grep -q 'skipped=' "$log"; then unrun "$name left tests out: $(tail -n 1 "$log")"; return; fi
        ran=$(sed -n 's/^Ran \([0-9]*\) test.*/\1/p' "$log")
        count=$((count + ${ran:-0}))
    done
    echo "$count tests of $# scripts"
    [[ $count -gt 0 ]]
}

begin_topic "$fresh"
check 1a "a file of SmolLM2 in every format" formats files
check 1b "reference decoder against gguf, bit for bit" formats decode
check 1c "precise perplexity against float32 on those weights" formats precise
check 1d "fast perplexity not above llama.cpp's, chance apart" formats fast
check 1e "every architecture in every format, whole and split" formats tiny
check 2a "tokenizers against llama.cpp" tokenizers
check 2b "chat templates against jinja2" templates
check 3a "speed against llama.cpp: Q4_K_M" speed Q4_K
check 3b "speed against llama.cpp: Q5_K_M" speed Q5_K
check 3c "speed against llama.cpp: Q6_K" speed Q6_K
check 3d "speed against llama.cpp: Q8_0" speed Q8_0
check 3e "speed against llama.cpp: F16" speed F16
check 3f "speed against llama.cpp: BF16" speed BF16
check 4 "made-up formats by manifest alone" made_up
check 5a "conversation, completion and progress in tmux" end_to_end terminal_test
check 5b "help and three wrong calls of every verb" end_to_end golden_test help_test
check 5c "pulled files, split files, wrong configurations" end_to_end pull_test models_test formats_test bad_yaml_test
check 5d "quantize beside llama-quantize" quantize
end_topic
