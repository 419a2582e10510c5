#!/usr/bin/env bash
# Table 6 of ECToNAS: the start topologies, as they are built here.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "6 trainings of 200 epochs on CIFAR-10"
cost cpu "6 trainings of 5 epochs"
cost tiny "6 trainings, seconds each"
begin "$@"

train ectonas/table1_baseline $(at full data=cifar10 seed=42) $(at cpu data=cifar10 seed=0) $(at tiny seed=0)

show
