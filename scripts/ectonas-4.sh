#!/usr/bin/env bash
# Table 4 of ECToNAS: what a pooling put into a trained network costs.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "100 runs of 25 epochs and five of one"
cost cpu "2 runs, a minute each"
cost tiny "2 runs, seconds each"
begin "$@"

search ectonas/table4

show
