#!/usr/bin/env bash
# Table 1 of ECToNAS: greedy search, training alone and random choice on six data sets.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "720 searches of 10 to 45 minutes (V100) and 360 trainings of 200 epochs"
cost cpu "MNIST and CIFAR-10, 16 searches of some minutes and 8 trainings"
cost tiny "4 searches and 2 trainings, seconds each"
begin "$@"

search ectonas/table1 $(at cpu data=mnist,cifar10 algo.topology=medium_cnn,medium_ffnn) $(at tiny algo.topology=medium_cnn)
search ectonas/table1_random $(at cpu data=mnist,cifar10 algo.topology=medium_cnn,medium_ffnn) $(at tiny algo.topology=medium_cnn)
train ectonas/table1_baseline $(at cpu data=mnist,cifar10 network.topology=medium_cnn,medium_ffnn) $(at tiny network.topology=medium_cnn)

show
