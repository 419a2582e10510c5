#!/usr/bin/env bash
# Section 4.2 of DensEMANN: the best networks trained anew, against the grown ones.
# The runs are those of Table 1.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "15 searches and 15 trainings; 117 and 39 GPU hours in the paper (RTX 2080 of a laptop, RTX 3090)"
cost cpu "6 searches and 6 trainings, some 5 minutes each"
cost tiny "2 searches and 2 trainings, seconds each"
begin "$@"

for set in $(sets cifar10 fashion_mnist svhn); do
    search "densemann/$set"
    found=$(best densemann "$(data "$set")")
    train "densemann/${set}_retrained" "network.run=$found" $(reduced seed=5,6)
done

show
