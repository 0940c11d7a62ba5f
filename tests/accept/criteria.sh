# shellcheck shell=bash disable=SC2154
# Sourced by a topic's script, which sets `topic` and `root`: runs criteria, one line each.
#
# begin_topic FRESH            opens build/accept/TOPIC.state; a criterion that passed on this commit
#                              and these sources is not run again, unless FRESH is yes
# criterion ID TITLE COMMAND   runs it, its output in build/accept/TOPIC/ID.log. The last line printed
#                              on stdout is the figure. Exit code 0 = met, 77 = not run, else missed
# check ID TITLE COMMAND       criterion, where --only (in `only`) asks for it, on a release build
# end_topic                    the closing line; exit code 0 only when every criterion is met

begin_topic() {
    folder=$root/build/accept/$topic
    state=$root/build/accept/$topic.state
    mkdir -p "$folder"
    green='' red='' plain=''
    if [[ -t 1 && -z ${NO_COLOR:-} ]]; then green=$'\033[32m' red=$'\033[31m' plain=$'\033[0m'; fi
    # What was measured: the commit and every change on top of it.
    local sources
    sources=$({ git -C "$root" rev-parse HEAD; git -C "$root" diff HEAD; } 2>/dev/null | sha256sum | cut -c1-16)
    if [[ $1 == yes || ! -f $state || $(head -n 1 "$state") != "sources $sources" ]]; then
        echo "sources $sources" >"$state"
    fi
    met=0 missed=0 unrun=0
}

criterion() {
    local id=$1 title=$2 log=$folder/$1.log line verdict figure begin=$SECONDS status=0
    shift 2
    line=$(grep -F -- "$id"$'\t' "$state" | tail -n 1) || true
    if [[ -n $line ]]; then
        met=$((met + 1))
        printf '%-4s %smet   %s  %s: %s (from an earlier run)\n' "$id" "$green" "$plain" "$title" "${line#*$'\t'}"
        return 0
    fi
    "$@" >"$log.out" 2>"$log" || status=$?
    figure=$(grep -v '^[[:space:]]*$' "$log.out" | tail -n 1) || true
    cat "$log.out" >>"$log"
    rm -f "$log.out"
    case $status in
        0) verdict=met met=$((met + 1)) colour=$green ;;
        77) verdict='unrun' unrun=$((unrun + 1)) colour='' ;;
        *)
            verdict=missed missed=$((missed + 1)) colour=$red
            figure="${figure:-no figure}; exit code $status, see ${log#"$root"/}"
            ;;
    esac
    if [[ $verdict == met ]]; then printf '%s\t%s\n' "$id" "$figure" >>"$state"; fi
    printf '%-4s %s%-6s%s  %s: %s (%s s)\n' "$id" "$colour" "$verdict" "$plain" "$title" "$figure" "$((SECONDS - begin))"
}

end_topic() {
    echo "$topic: $met met, $missed missed, $unrun not run"
    [[ $missed -eq 0 && $unrun -eq 0 ]]
}

# unrun SENTENCE: a criterion's way to say why it cannot be run here.
unrun() {
    echo "$1"
    return 77
}

built=no
build_release() {
    local log=$folder/build.log
    if ! { cmake --preset release -DTENON_TESTS=ON -DTENON_WERROR=ON && ninja -C build/release; } >"$log" 2>&1; then
        echo "$topic: the release build failed; see ${log#"$root"/}" >&2
        exit 1
    fi
    built=yes
}
wanted() { [[ -z $only || ,$only, == *,$1,* || ,$only, == *,${1%%[a-z]},* ]]; }
check() {
    wanted "$1" || return 0
    if [[ $built == no ]]; then build_release; fi
    criterion "$@"
}
