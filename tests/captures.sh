#!/usr/bin/env bash
# Refreshes the captures of the screen in README.md from the real program, in tmux, with scripted models, and walks
# away from a run in every way a person can (pause, detach, a terminal that is killed), which must not change it:
#
#     cargo build --release && tests/captures.sh
#
# PROGRAM=FILE takes another binary. Nothing of the person's own is read or written.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${PROGRAM:-${CARGO_TARGET_DIR:-target}/release/dataenvgym}")
work=$(mktemp -d)
export XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/config XDG_CACHE_HOME=$work/cache
export XDG_STATE_HOME=$work/state XDG_RUNTIME_DIR=$work/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
unset TMUX NO_COLOR
screen() { tmux -L "captures-$$" -f /dev/null "$@"; }
leave() {
    screen kill-server 2>/dev/null || true
    for run in first second walked alone; do "$program" stop "$run" --now >/dev/null 2>&1 || true; done
    rm -rf "$work"
}
trap leave EXIT

# Waits until the screen says something.
until_it_says() {
    for _ in $(seq 600); do
        screen capture-pane -p -t view | grep -q -- "$1" && return
        sleep 0.1
    done
    echo "the screen never said: $1" >&2
    screen capture-pane -p -t view >&2
    exit 1
}
press() { for key in "$@"; do screen send-keys -t view "$key"; sleep 0.3; done; }
write() { screen send-keys -t view -l "$1"; sleep 0.5; }

# Puts what the screen shows between the marks of that name in README.md.
capture() {
    sleep 0.5
    screen capture-pane -p -t view | sed 's/ *$//' >"$work/capture"
    awk -v name="$1" -v file="$work/capture" '
        $0 == "<!-- capture " name " -->" {
            print; print "```text"
            while ((getline line < file) > 0) print line
            print "```"; skip = 1
        }
        $0 == "<!-- /capture -->" { skip = 0 }
        !skip
    ' README.md >"$work/readme"
    cat "$work/readme" >README.md
}

"$program" run --config scripted --name first --set episode.iterations=3 --set 'episode.gates=["train"]' >/dev/null
screen new-session -d -s view -x 120 -y 40 "$program attach first"
until_it_says "at a gate"
press r
until_it_says "2 of 3"
until_it_says "at a gate"
press 4 j j -
press j e
write "Please: "
press C-x
until_it_says "accepted by you"
press k
capture home

screen resize-window -t view -x 200 -y 55
capture wide

press F Tab Tab
screen resize-window -t view -x 80 -y 24
capture values
press Escape
press / C-u
write 'skill:div iter:>1 verdict:'
capture filter
press Escape 1
capture narrow

"$program" run --config scripted --name second --seed 3 --set episode.iterations=3 --set policy.kind=random >/dev/null
press b j j j j Enter Escape r
until_it_says "finished"
for _ in $(seq 600); do "$program" runs | grep -q "second.*finished" && break; sleep 0.1; done
press R
until_it_says second
press k c
until_it_says "answered by all"
capture compare
press Escape Escape C
capture charts
press Escape q

# The walk: a run that is paused, left, gone on with, left by force and come back to, against the same run that
# nobody looked at.
fail() { echo "the walk: $1" >&2; "$program" runs >&2; exit 1; }
runner() { sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$XDG_DATA_HOME/dataenvgym/runs/$1/run.lock" | head -1; }
attach() {
    screen new-session -d -s view -x 120 -y 40 "$program attach walked"
    until_it_says "1 Skills"
}
gone() {
    for _ in $(seq 100); do screen has-session -t view 2>/dev/null || return 0; sleep 0.1; done
    fail "the screen is still there after: $1"
}
gone "q"
same=(--config scripted --seed 7 --set episode.iterations=3 --set student.script.latency_ms=20)
"$program" run "${same[@]}" --name alone --headless >/dev/null 2>&1
"$program" run "${same[@]}" --name walked >/dev/null
attach
press p
until_it_says "paused"
pid=$(runner walked)
[ -n "$pid" ] && kill -0 "$pid" || fail "a paused run has no runner"
press q Enter
gone "q, Enter"
attach
until_it_says "paused"
[ "$(runner walked)" = "$pid" ] || fail "the runner changed when the screen was left"
press r
until_it_says "running"
screen kill-session -t view
gone "kill-session"
sleep 1
kill -0 "$pid" || fail "the runner ended with the terminal"
[ "$(runner walked)" = "$pid" ] || fail "the runner changed when the terminal was killed"
attach
until_it_says "finished"
press q
"$program" compare alone walked --out "$work/compared" >/dev/null
[ "$(wc -l <"$work/compared/items.csv")" = 1 ] || fail "the runs have other answers"
echo "the walk: paused, left, killed and come back to, the run is as if nobody had looked"
