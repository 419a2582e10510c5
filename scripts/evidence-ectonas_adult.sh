#!/usr/bin/env bash
# Do searches of ECToNAS end in the other class of networks, and what does compression cost, on a table?
# Adult (2,000 training and 500 validation rows, the full test set) as 10x10 squares, a budget of 400 epochs: three levels of
# greediness, and the start network trained for as many epochs as the greedy winner; six start topologies, five seeds. 120 runs.
source "$(dirname "$0")/evidence.sh"

data=(data=adult data.train_size=2000 data.val_size=500 schedule=paper)

for seed in 0 1 2 3 4; do
    for topology in small_cnn small_ffnn medium_cnn medium_ffnn large_cnn large_ffnn; do
        search=(algo=ectonas "${data[@]}" algo.budget=400 "algo.topology=$topology")
        cell "$topology/greedy" $seed "${search[@]}" algo.alpha=1
        cell "$topology/half" $seed "${search[@]}" algo.alpha=0.5
        cell "$topology/zero" $seed "${search[@]}" algo.alpha=0
        epochs=$(result "$topology/greedy" $seed winner_epochs)
        cell "$topology/baseline" $seed algo=ectonas_baseline "${data[@]}" "network.topology=$topology" \
            "algo.training.epochs=${epochs%.*}"
    done
done

table baseline
evidence crossings "$ARCHIVE"
