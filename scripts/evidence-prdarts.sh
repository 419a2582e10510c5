#!/usr/bin/env bash
# Do searched cells beat random ones of the same space?
# CIFAR-10 at 16x16 pixels (4,000 training images): random cells, the published cells of PR-DARTS, DARTS and P-DARTS, and cells
# found by PR-DARTS and by first-order DARTS here, all stacked to 5 cells of 8 channels and trained for 20 epochs; five seeds, of
# which each draws random cells of its own. 40 runs.
source "$(dirname "$0")/evidence.sh"

data=(data=cifar10_jpeg data.resize=16 data.crop_padding=2 data.train_size=4000 data.val_size=1000 data.seed=0 schedule=quick)
stacked=(algo=fixed network=darts network.channels=8 network.layers=5 "${data[@]}" data.cutout=0 algo.training.batch_size=64
    algo.training.lr=0.025 algo.training.schedule=cosine algo.training.weight_decay=3e-4 algo.training.clip=5
    algo.training.epochs=20 algo.training.keep=last)
search=("${data[@]}" algo.channels=4 algo.layers=3 algo.evaluation.training.epochs=0)

for seed in 0 1 2 3 4; do
    for cells in random DARTS_V2 P-DARTS DL2; do
        cell "$cells" $seed "${stacked[@]}" "network.genotype=$cells"
    done
done
for seed in 0 1 2 3 4; do # the dearest come last
    for algo in prdarts darts; do
        kept "$algo-search" $seed "algo=$algo" "${search[@]}"
        cell "$algo" $seed "${stacked[@]}" "network.genotype=$(found "$algo-search" $seed)"
    done
done

table random
