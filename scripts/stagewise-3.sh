#!/usr/bin/env bash
# Table III of Stage-Wise: residual networks from scratch and by weight transfer, beside ResNets.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "3 trainings of 9 to 21 hours, a search of 85 and one of 15 (GTX 1080 Ti)"
cost cpu "2 trainings and 4 searches, some minutes each"
cost tiny "2 trainings and 4 searches, seconds each"
begin "$@"

train stagewise/table3_baselines $(reduced network=resnet44) $(at tiny network.width=4)
search stagewise/table3_scratch $(at full seed=0) $(at tiny algo.iterations=5)
donor=$(best stagewise "$(data cifar10)" algo.iterations=0 "network.depths=$(at full '[18, 18, 18]')$(reduced '[7, 7, 7]')")
search stagewise/table3_transfer "algo.donor=$donor" $(at full seed=0) $(at cpu algo.width=16) $(at tiny algo.iterations=5)

show
