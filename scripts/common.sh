# Sourced by the scripts beside it. A script names its table, what each scale costs and its steps; this file knows
# the scales. Runs that are finished are not repeated: stop a script when you like and start it again.
set -euo pipefail

SCRIPT=$(basename "$0" .sh)
GROWSEARCH=${GROWSEARCH:-growsearch}
SCALE=""
DRY=""
OPTIONS=()
declare -A COST

usage() {
    cat <<END
usage: scripts/$SCRIPT.sh SCALE [--dry-run] [KEY=VALUE...]

  full   the publication's schedule, data and seeds
  cpu    schedule=quick on 2,000 training images, two seeds; other networks and budgets, so other numbers
  tiny   handwritten digits for seconds; shows that everything works, and no more

Runs go below outputs/paper-SCALE (GROWSEARCH_OUTPUTS=... for another folder). KEY=VALUE goes to every run, such as
data.root=... or hardware=gpu. --dry-run says what would be run and what it costs.
END
}

# cost SCALE TEXT: what a scale takes.
cost() { COST[$1]=$2; }

# begin "$@": read the command line and say what is to come.
begin() {
    local word
    for word in "$@"; do
        case $word in
            full | cpu | tiny) SCALE=$word ;;
            --dry-run) DRY=1 ;;
            -h | --help) usage; exit 0 ;;
            *=*) OPTIONS+=("$word") ;;
            *) echo "$SCRIPT: '$word' is not accepted; use full, cpu, tiny, --dry-run or KEY=VALUE" >&2; exit 2 ;;
        esac
    done
    if [ -z "$SCALE" ]; then usage >&2; exit 2; fi
    OUTPUTS=${GROWSEARCH_OUTPUTS:-outputs/paper-$SCALE}
    echo "$SCRIPT, scale $SCALE: ${COST[$SCALE]}"
    echo "runs below $OUTPUTS; finished ones are not repeated"
}

# at SCALE WORDS: the words, at that scale only. reduced WORDS: at cpu and tiny.
at() { if [ "$SCALE" = "$1" ]; then shift; echo "$@"; fi; }
reduced() { if [ "$SCALE" != full ]; then echo "$@"; fi; }

# sets NAMES: data sets to go through; the first one at tiny, where all stand for the digits.
sets() { if [ "$SCALE" = tiny ]; then echo "$1"; else echo "$@"; fi; }

# data NAME: the data set that a name stands for.
data() { if [ "$SCALE" = tiny ]; then echo digits; else echo "$1"; fi; }

# search EXPERIMENT [KEY=VALUE...]: a sweep of searches. train: of networks given, whose epochs no schedule reduces.
search() { _sweep "$@"; }
train() {
    local experiment=$1
    shift
    # shellcheck disable=SC2046
    _sweep "$experiment" $(at cpu algo.training.epochs=5) $(at tiny algo.training.epochs=1) "$@"
}

_sweep() {
    local experiment=$1
    shift
    local scale=()
    case $SCALE in
        cpu) scale=(schedule=quick data.train_size=2000 data.val_size=500 data.test_size=1000 seed=0,1 hardware=cpu) ;;
        tiny) scale=(data=digits schedule=smoke data.pool=train data.train_size=100 data.val_size=50 data.test_size=50
            seed=0,1 hardware=cpu track=quiet track.report=false) ;;
    esac
    _do "$GROWSEARCH" run -m "experiment=$experiment" "output.root=$OUTPUTS" "${scale[@]}" "$@" "${OPTIONS[@]}"
}

_do() {
    echo "+ $*"
    if [ -z "$DRY" ]; then "$@"; fi
}

# best ALGO DATA [KEY=VALUE...]: the finished run of least validation loss with these options, which must tell a script's
# searches from those that other tables put into the same folder.
best() {
    if [ -n "$DRY" ]; then echo "BEST-RUN-OF-$1"; return; fi
    local python=${PYTHON:-$(head -1 "$(command -v "$GROWSEARCH")" | cut -c3-)}
    "$python" "$(dirname "$0")/best_run.py" "$OUTPUTS/$1/$2" "${@:3}"
}

# conet_search: options of CONet's searches in Tables 3 and 4 that those of Table 2 vary.
conet_search() { echo algo.phi=0.2 "algo.search.epochs=$(at full 20)$(at cpu 5)$(at tiny 2)"; }

# show: the table.
show() {
    echo "+ $GROWSEARCH table $SCRIPT $OUTPUTS"
    if [ -z "$DRY" ]; then "$GROWSEARCH" table "$SCRIPT" "$OUTPUTS"; fi
}
