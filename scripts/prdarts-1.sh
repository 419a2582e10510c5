#!/usr/bin/env bash
# Table I of PR-DARTS: the cycles of a search, as a run took them.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "1 search; 0.82 GPU days in the paper (GTX 1080 Ti)"
cost cpu "1 search, some minutes"
cost tiny "1 search, seconds"
begin "$@"

search prdarts/figure2 seed=0

show
