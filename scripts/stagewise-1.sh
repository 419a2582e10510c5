#!/usr/bin/env bash
# Table I of Stage-Wise: the first candidate for each number of modules at the start.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "15 runs of three networks for 200 epochs; some 17 hours each on a GTX 1080 Ti"
cost cpu "4 runs, some minutes each"
cost tiny "4 runs, seconds each"
begin "$@"

search stagewise/table1_m0 $(at cpu algo.m0=2,4) $(at tiny algo.m0=2,4)

show
