#!/usr/bin/env bash
# Table 5 of ECToNAS: accuracy and size on the Adult data.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "600 searches of 10 to 45 minutes (V100) and 150 trainings of 200 epochs"
cost cpu "16 searches of some minutes and 4 trainings"
cost tiny "14 searches and 2 trainings, seconds each"
begin "$@"

search ectonas/table3 $(reduced algo.topology=medium_cnn,medium_ffnn)
search ectonas/table5_random $(at cpu algo.topology=medium_cnn,medium_ffnn) $(at tiny algo.topology=medium_cnn)
train ectonas/table5_baseline $(at cpu network.topology=medium_cnn,medium_ffnn) $(at tiny network.topology=medium_cnn)

show
