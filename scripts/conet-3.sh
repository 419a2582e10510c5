#!/usr/bin/env bash
# Table 3 of CONet: found networks, baselines and compound scaling on CIFAR-10 and CIFAR-100.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "138 searches of 0.3 to 1 GPU days and 60 baselines, 250 epochs of training each"
cost cpu "CIFAR-10, 10 searches of some 10 minutes and 12 trainings"
cost tiny "5 searches and 6 trainings, seconds each; the deepest half a minute"
begin "$@"

for model in resnet34 darts7 dartsplus7 darts14 dartsplus14; do
    search "conet/table3_$model" $(at cpu data=cifar10) $(reduced algo.delta=0.01 algo.c_min=8) $(at tiny seed=0)
    train "conet/table3_baseline_$model" $(at cpu data=cifar10) $(reduced network.channels=8) $(at tiny seed=0)
done
train conet/table3_compound $(at cpu data=cifar10) \
    $(reduced network.scale=1.4142135623730951 network.channels=8) $(at tiny seed=0)

show
