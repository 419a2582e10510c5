#!/usr/bin/env bash
# Table V of Stage-Wise: how many networks a search trains.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "2 searches of eleven networks; 85 hours on a GTX 1080 Ti for the residual one"
cost cpu "4 searches, some minutes each"
cost tiny "4 searches, seconds each"
begin "$@"

search stagewise/table3_scratch $(at full seed=0)
search stagewise/table4_cells $(at full seed=0)

show
