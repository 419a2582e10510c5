# Sourced by evidence-*.sh: runs of a claim, each kept in an archive in the repository as soon as it is finished.
# Runs that the archive holds are not repeated: stop a script when you like and start it again.
set -euo pipefail

HERE=$(dirname "${BASH_SOURCE[0]}")
GROWSEARCH=${GROWSEARCH:-growsearch}
PYTHON=${PYTHON:-$(head -1 "$(command -v "$GROWSEARCH")" | cut -c3-)}
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

evidence() { "$PYTHON" "$HERE/evidence.py" "$@"; }

# cell NAME SEED WORDS: one run on one thread of the CPU, unless the archive holds it.
cell() {
    local name=$1 seed=$2 folder
    shift 2
    if evidence has "$ARCHIVE" "$name" "$seed"; then return; fi
    folder=$OUTPUTS/${NAME#evidence-}/$name/$seed
    echo "+ $NAME $name seed $seed"
    "$GROWSEARCH" run "$@" "seed=$seed" hardware=cpu hardware.workers=1 track=quiet track.report=false \
        "output.root=$folder" "${OPTIONS[@]}"
    evidence add "$ARCHIVE" "$name" "$seed" "$folder"
}

# result NAME SEED KEY: a number of a run that is in the archive.
result() { evidence get "$ARCHIVE" "$@"; }

# table [AGAINST]: the archive's table, each cell against the one of that name in its group.
table() { evidence table "$ARCHIVE" "$@"; }
