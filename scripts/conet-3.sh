#!/usr/bin/env bash
# Table 3 of CONet: found networks, baselines and compound scaling on CIFAR-10 and CIFAR-100.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "138 searches of 0.3 to 1 GPU days and 60 baselines, 250 epochs of training each"
cost cpu "CIFAR-10, 10 searches of some 10 minutes and 14 trainings"
cost tiny "10 searches and 12 trainings, seconds each"
begin "$@"

for model in resnet34 darts7 dartsplus7 darts14 dartsplus14; do
    search "conet/table3_$model" $(at cpu data=cifar10) $(reduced algo.delta=0.01 algo.c_min=8)
    train "conet/table3_baseline_$model" $(at cpu data=cifar10) $(reduced network.channels=8)
done
train conet/table3_compound $(at cpu data=cifar10) $(reduced network.scale=1.4142135623730951 network.channels=8)

show
