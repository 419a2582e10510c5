#!/usr/bin/env bash
# Table III of PR-DARTS: the published cells and those they are compared with, our own searches and their cells, random ones.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "9 searches of about a GPU day and 8 of DARTS (1.5 and 4 days for four), and 78 trainings of 600 epochs; 1 to 1.5 days each on a GTX 1080 Ti"
cost cpu "8 searches, some minutes each, and 52 trainings of 5 epochs"
cost tiny "5 searches and 13 trainings, seconds each"
begin "$@"

search prdarts/search $(at tiny seed=0)
search prdarts/search_darts $(reduced seed=0)
search prdarts/search_darts_second_order $(reduced seed=0)
train prdarts/table3 $(reduced network.channels=8 network.layers=5) \
    $(at tiny network.channels=4 network.layers=3 seed=0)
for limits in DL DR UR; do
    found=$(best prdarts "$(data cifar10)" "algo.morph_limits=$limits" \
        "algo.evaluation.training.epochs=$(at full 600)$(at cpu 20)$(at tiny 1)")
    train prdarts/table3 "network.genotype=$found" $(reduced network.channels=8 network.layers=5) \
        $(at tiny network.channels=4 network.layers=3 seed=0)
done
train prdarts/table3 network.genotype=random $(reduced network.channels=8 network.layers=5) \
    $(at tiny network.channels=4 network.layers=3 seed=0)
train prdarts/table3_baselines $(reduced network.channels=8 network.layers=5) \
    $(at tiny network.channels=4 network.layers=3 seed=0)

show
