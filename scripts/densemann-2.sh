#!/usr/bin/env bash
# Table 2 of DensEMANN: CIFAR-10 beside other methods; the runs are those of Table 1.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "5 searches and 5 trainings; 67 and 19 GPU hours in the paper (RTX 2080 of a laptop)"
cost cpu "2 searches and 2 trainings, some 5 minutes each"
cost tiny "2 searches and 2 trainings, seconds each"
begin "$@"

search densemann/cifar10
found=$(best densemann "$(data cifar10)")
train densemann/cifar10_retrained "network.run=$found" $(reduced seed=5,6)

show
