# Sourced by evidence-*.sh: runs of a claim, each kept in an archive in the repository as soon as it is finished.
# Runs that the archive holds are not repeated: stop a script when you like and start it again.
set -euo pipefail

HERE=$(dirname "${BASH_SOURCE[0]}")
GROWSEARCH=${GROWSEARCH:-growsearch}
NAME=$(basename "$0" .sh)
ARCHIVE=$HERE/../docs/evidence/${NAME#evidence-}.jsonl
OUTPUTS=${GROWSEARCH_OUTPUTS:-outputs/evidence}
OPTIONS=("$@")

for word in "$@"; do
    case $word in
        -h | --help)
            sed -n "2,/^source/p" "$0" | grep "^# " | cut -c3-
            echo "usage: scripts/$NAME.sh [KEY=VALUE...]    KEY=VALUE goes to every run, such as data.root=..."
            exit 0 ;;
        *=*) ;;
        *) echo "$NAME: '$word' is not accepted; use --help or KEY=VALUE" >&2; exit 2 ;;
    esac
done
if ! command -v "$GROWSEARCH" > /dev/null; then
    echo "$NAME: no command '$GROWSEARCH'; activate its environment, or name it: GROWSEARCH=PATH scripts/$NAME.sh" >&2; exit 2
fi
PYTHON=${PYTHON:-$(head -1 "$(command -v "$GROWSEARCH")" | cut -c3-)}

evidence() { "$PYTHON" "$HERE/evidence.py" "$@"; }

# folder NAME SEED: where a run of this script is kept.
folder() { echo "$OUTPUTS/${NAME#evidence-}/$1/$2"; }

# train NAME SEED WORDS: one run on one thread of the CPU; what is finished is not repeated.
train() {
    echo "+ $NAME $1 seed $2"
    "$GROWSEARCH" run "${@:3}" "seed=$2" hardware=cpu hardware.workers=1 track=quiet track.report=false \
        "output.root=$(folder "$1" "$2")" "${OPTIONS[@]}"
}

# cell NAME SEED WORDS: one run, unless the archive holds it.
cell() {
    if evidence has "$ARCHIVE" "$1" "$2"; then return; fi
    train "$@"
    evidence add "$ARCHIVE" "$1" "$2" "$(folder "$1" "$2")"
}

# kept NAME SEED WORDS: as cell, but its folder must be there for others, though the archive may hold the run.
kept() {
    cell "$@"
    if [ -z "$(found "$1" "$2" 2>/dev/null)" ]; then train "$@"; fi
}

# found NAME SEED: the folder of a finished run of this script; empty where it is gone.
found() { find "$(folder "$1" "$2")" -name result.json -exec dirname {} \; | head -1; }

# result NAME SEED KEY: a number of a run that is in the archive.
result() { evidence get "$ARCHIVE" "$@"; }

# table [AGAINST]: the archive's table, each cell against the one of that name in its group.
table() { evidence table "$ARCHIVE" "$@"; }

# figure WHICH: drawn from the archive, beside it.
figure() {
    local file="${ARCHIVE%/*}/$1.png"
    evidence figure "$1" "$ARCHIVE" "$file"
    echo "figure: $file"
}
