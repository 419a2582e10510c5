#!/usr/bin/env bash
# Table 2 of CONet: epochs per trial and the factor's scale, DARTS-7 on CIFAR-100.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "21 searches of 0.3 GPU days and 250 epochs of training each"
cost cpu "14 searches, some 10 minutes each"
cost tiny "6 searches, seconds each"
begin "$@"

search conet/table2_epochs $(at tiny algo.trials=1 seed=0)
search conet/table2_phi $(at tiny algo.search.epochs=1 seed=0)

show
