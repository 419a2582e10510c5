#!/usr/bin/env bash
# Table 3 of ECToNAS: which class of topology runs on the Adult data end in.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "450 searches of 10 to 45 minutes (V100)"
cost cpu "12 searches of some minutes"
cost tiny "12 searches, seconds each"
begin "$@"

search ectonas/table3 $(reduced algo.topology=medium_cnn,medium_ffnn)

show
