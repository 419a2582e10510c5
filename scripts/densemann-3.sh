#!/usr/bin/env bash
# Section 4.2 of DensEMANN: the best networks trained anew, against the grown ones; the runs are those of Table 1.
# shellcheck disable=SC1091
source "$(dirname "$0")/densemann-1.sh"
