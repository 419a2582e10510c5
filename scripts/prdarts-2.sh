#!/usr/bin/env bash
# Table II of PR-DARTS: limits of the morphisms, and how many operations they allow.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "3 searches; 0.82, 0.88 and 1.10 GPU days in the paper (GTX 1080 Ti)"
cost cpu "3 searches, some minutes each"
cost tiny "3 searches, seconds each"
begin "$@"

search prdarts/figure2 algo.morph_limits=DL,DR,UR seed=0

show
