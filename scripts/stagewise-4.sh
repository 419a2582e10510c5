#!/usr/bin/env bash
# Table IV of Stage-Wise: networks of NASNet cells, found and uniform.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "3 trainings of 300 epochs and a search of eleven networks; each network some three times a residual one's"
cost cpu "2 trainings and 2 searches, some 10 minutes each"
cost tiny "2 trainings of seconds and a search of a minute"
begin "$@"

train stagewise/table4_baselines $(reduced network=nasnet169) $(at cpu network.width=8) $(at tiny network.width=4)
search stagewise/table4_cells $(at full seed=0) $(at tiny seed=0 algo.iterations=5)

show
