#!/usr/bin/env bash
# Table 3 of CONet: found networks, baselines and compound scaling on CIFAR-10 and CIFAR-100.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "138 searches of 0.3 to 1 GPU days, 60 baselines and 30 retrainings, 250 epochs of training each"
cost cpu "CIFAR-10, 10 searches of some 10 minutes and 17 trainings"
cost tiny "5 searches and 11 trainings, seconds each; the deepest half a minute"
begin "$@"

# found MODEL DATA: the best network that a search of this table at delta 0.01 found, trained anew.
found() {
    local experiment=conet/retrained run
    local like=("network.cells=${1##*[a-z]}" "network.genotype=darts_$(case $1 in *plus*) echo plus ;; *) echo v2 ;; esac)")
    if [ "$1" = resnet34 ]; then experiment+=_resnet34 like=(network.family=resnet_channels); fi
    run=$(best conet "$(data "$2")" algo.delta=0.01 $(conet_search) $(reduced algo.c_min=8) "${like[@]}")
    train "$experiment" "data=$(data "$2")" "network.run=$run" $(reduced seed=0) $(at tiny network.changes.auxiliary=false)
}

for model in resnet34 darts7 dartsplus7 darts14 dartsplus14; do
    search "conet/table3_$model" $(at cpu data=cifar10) $(reduced algo.delta=0.01 algo.c_min=8) $(at tiny seed=0)
    train "conet/table3_baseline_$model" $(at cpu data=cifar10) $(reduced network.channels=8) $(at tiny seed=0)
    for set in cifar10 $(at full cifar100); do found "$model" "$set"; done
done
train conet/table3_compound $(at cpu data=cifar10) \
    $(reduced network.scale=1.4142135623730951 network.channels=8) $(at tiny seed=0)

show
