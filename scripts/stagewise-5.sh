#!/usr/bin/env bash
# Table V of Stage-Wise: how many networks a search trains, and the ensemble of what two of them found.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "2 searches of eleven networks; 85 hours on a GTX 1080 Ti for the residual one"
cost cpu "4 searches, some minutes each"
cost tiny "3 searches, one of a minute"
begin "$@"

search stagewise/table3_scratch $(at full seed=0) $(at tiny algo.iterations=5)
search stagewise/table4_cells $(at full seed=0) $(at tiny seed=0 algo.iterations=5)

# The ensemble of both searches' candidates; at reduced scales of fewer, whose images are normalised as there.
found() {
    best stagewise "$(data cifar10)" "algo.modules=$1" network.family=none algo.criterion=pls algo.donor= seed=0 \
        "algo.extra_epochs=$(at full 100)$(at cpu 6)$(at tiny 1)"
}
search stagewise/table5_ensemble "network.runs=[$(found residual),$(found cell)]" seed=0 \
    $(at cpu 'network.candidates=[1,3]') $(at tiny 'network.candidates=[1,2]') $(reduced data.normalisation=standard)

show
