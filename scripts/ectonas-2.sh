#!/usr/bin/env bash
# Table 2 of ECToNAS: levels of greediness on six data sets; alpha 1 is Table 1's.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "1,080 searches of 10 to 45 minutes (V100)"
cost cpu "MNIST and CIFAR-10, 24 searches of some minutes"
cost tiny "6 searches, seconds each"
begin "$@"

search ectonas/table1 $(at cpu data=mnist,cifar10 algo.topology=medium_cnn,medium_ffnn) $(at tiny algo.topology=medium_cnn)
search ectonas/table2 $(at cpu data=mnist,cifar10 algo.topology=medium_cnn,medium_ffnn) $(at tiny algo.topology=medium_cnn)

show
