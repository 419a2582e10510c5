#!/usr/bin/env bash
# Does ECToNAS find networks that beat the start network trained as long, and what does compression cost?
# Digits at the paper's budget of 1,000 epochs: three levels of greediness, random choice, and the start network trained
# for 200 epochs and for as many as the greedy winner (baseline); six start topologies, five seeds.
# 180 runs, about two and a half hours of one core.
source "$(dirname "$0")/evidence.sh"

for seed in 0 1 2 3 4; do
    for topology in small_cnn small_ffnn medium_cnn medium_ffnn large_cnn large_ffnn; do
        search=(experiment=ectonas/digits algo.budget=1000 "algo.topology=$topology")
        start=(experiment=ectonas/digits_baseline "network.topology=$topology")
        cell "$topology/greedy" $seed "${search[@]}" algo.alpha=1
        cell "$topology/half" $seed "${search[@]}" algo.alpha=0.5
        cell "$topology/zero" $seed "${search[@]}" algo.alpha=0
        cell "$topology/random" $seed experiment=ectonas/digits_random algo.budget=1000 "algo.topology=$topology"
        epochs=$(result "$topology/greedy" $seed winner_epochs)
        cell "$topology/baseline" $seed "${start[@]}" "algo.training.epochs=${epochs%.*}"
        cell "$topology/baseline200" $seed "${start[@]}" algo.training.epochs=200
    done
done

table baseline
figure compression
