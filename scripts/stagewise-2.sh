#!/usr/bin/env bash
# Table II of Stage-Wise: criteria of importance.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "9 runs of eleven networks for 200 epochs; 17 hours an iteration on a GTX 1080 Ti"
cost cpu "6 runs, some minutes each"
cost tiny "6 runs, seconds each"
begin "$@"

search stagewise/table2_criteria $(at tiny algo.iterations=5)

show
