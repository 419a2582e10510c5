#!/usr/bin/env bash
# Do searched cells beat random ones of the same space?
# Fashion-MNIST (4,000 training images): cells found by PR-DARTS and by first-order DARTS here, random cells, and the published cells
# of PR-DARTS, DARTS and P-DARTS, all stacked to 6 cells of 12 channels and trained for 30 epochs; five seeds, of which each draws
# random cells of its own. 40 runs.
source "$(dirname "$0")/evidence.sh"

data=(data=fashion_mnist data.train_size=4000 data.val_size=1000)
stacked=(algo=fixed network=darts network.channels=12 network.layers=6 "${data[@]}" schedule=quick algo.training.batch_size=64
    algo.training.lr=0.025 algo.training.schedule=cosine algo.training.weight_decay=3e-4 algo.training.clip=5
    algo.training.crop_padding=1 algo.training.epochs=30 algo.training.keep=last)

for seed in 0 1 2 3 4; do
    for cells in random DL2 DARTS_V2 P-DARTS; do
        cell "$cells" $seed "${stacked[@]}" "network.genotype=$cells"
    done
    for algo in prdarts darts; do
        kept "$algo-search" $seed "algo=$algo" "${data[@]}" schedule=quick algo.evaluation.training.epochs=0
        cell "$algo" $seed "${stacked[@]}" "network.genotype=$(found "$algo-search" $seed)"
    done
done

table random
