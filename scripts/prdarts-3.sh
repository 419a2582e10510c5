#!/usr/bin/env bash
# Table III of PR-DARTS: the published cells and those they are compared with, trained, and our own searches.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "9 searches of about a GPU day and the training of their cells, and 54 trainings of 600 epochs; 1 to 1.5 days each on a GTX 1080 Ti"
cost cpu "6 searches, some minutes each, and 36 trainings of 5 epochs"
cost tiny "6 searches and 4 trainings, seconds each"
begin "$@"

search prdarts/search
train prdarts/table3 $(reduced network.channels=8 network.layers=5) \
    $(at tiny network.channels=4 network.layers=3 network.genotype=DL2)
train prdarts/table3_baselines $(reduced network.channels=8 network.layers=5) \
    $(at tiny network.channels=4 network.layers=3 network.genotype=DARTS_V2)

show
