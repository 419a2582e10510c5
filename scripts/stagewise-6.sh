#!/usr/bin/env bash
# Table VI of Stage-Wise: architectures found on CIFAR-10, trained on Tiny ImageNet and ImageNet 32x32.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "2 searches, and 8 trainings of 200 epochs over 100,000 or 1.28 million images"
cost cpu "4 searches of some minutes and 8 trainings on 2,000 images"
cost tiny "3 searches, one of a minute, and 4 trainings"
begin "$@"

search stagewise/table3_scratch $(at full seed=0) $(at tiny algo.iterations=5)
search stagewise/table4_cells $(at full seed=0) $(at tiny seed=0 algo.iterations=5)
for modules in residual cell; do
    run=$(best stagewise "$(data cifar10)" "algo.modules=$modules" \
        network.family=none algo.criterion=pls algo.donor= "algo.extra_epochs=$(at full 100)$(at cpu 6)$(at tiny 1)")
    train stagewise/table6_transfer "network.run=$run" "algo.modules=$modules" $(at full seed=0) $(reduced seed=0)
done
train stagewise/table6_resnet110 seed=0 $(reduced network.width=4)
train stagewise/table6_nasnet241 seed=0 $(reduced network.width=4)

show
