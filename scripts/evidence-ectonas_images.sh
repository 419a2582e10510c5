#!/usr/bin/env bash
# Does ECToNAS find networks that beat the start network trained as long, and what does compression cost, on images?
# MNIST and Fashion-MNIST at 14x14 pixels (2,500 training and 500 validation images, the full test sets) at the paper's budget: two
# levels of greediness, and the start network trained for as many epochs as the greedy winner, with its last weights and with
# those of its best epoch by validation; four start topologies, three seeds. 96 runs.
source "$(dirname "$0")/evidence.sh"

for seed in 0 1 2; do
    for images in mnist fashion_mnist; do
        for topology in small_cnn small_ffnn large_cnn large_ffnn; do
            name=$images/$topology
            data=("data=$images" data.resize=14 data.train_size=2500 data.val_size=500 data.cutout=0 schedule=paper)
            search=(algo=ectonas "${data[@]}" algo.budget=1000 "algo.topology=$topology")
            cell "$name/greedy" $seed "${search[@]}" algo.alpha=1
            cell "$name/half" $seed "${search[@]}" algo.alpha=0.5
            epochs=$(result "$name/greedy" $seed winner_epochs)
            baseline=(algo=ectonas_baseline "${data[@]}" "network.topology=$topology" "algo.training.epochs=${epochs%.*}")
            cell "$name/baseline" $seed "${baseline[@]}"
            cell "$name/best_epoch" $seed "${baseline[@]}" algo.training.keep=best_val_accuracy
        done
    done
done

table baseline
table best_epoch
evidence crossings "$ARCHIVE"
