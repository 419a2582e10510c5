#!/usr/bin/env bash
# Do scores of features choose stages better than chance, and do seeds agree on them?
# Residual networks of width 4 on CIFAR-10 at 16x16 pixels (20,000 training images), two iterations from one module a stage: by
# PLS, inf-FS and il-FS, at random, and in all stages; uniform networks of one to three modules, which show whether depth helps
# at all; PLS on scores of three trainings; five seeds. 45 runs.
source "$(dirname "$0")/evidence.sh"

setup=(algo=stagewise data=cifar10_jpeg data.resize=16 data.crop_padding=2 data.cutout=0 data.train_size=20000
    data.val_size=2000 data.seed=0 schedule=quick algo.width=4 algo.delta=1 algo.norm_momentum=0.1 algo.extra_epochs=0
    algo.training.epochs=10 algo.training.batch_size=128)
search=(algo.iterations=2 algo.m0=1)

for seed in 0 1 2 3 4; do
    for modules in 1 2 3; do
        cell "uniform$modules" $seed "${setup[@]}" algo.iterations=0 "algo.m0=$modules"
    done
    for criterion in pls random all inf_fs il_fs; do
        cell "$criterion" $seed "${setup[@]}" "${search[@]}" "algo.criterion=$criterion"
    done
done
for seed in 0 1 2 3 4; do # the dearest comes last
    cell pls_mean_of_3 $seed "${setup[@]}" "${search[@]}" algo.criterion=pls algo.score_trainings=3
done

table uniform1
evidence agreement "$ARCHIVE"
evidence repeats "$ARCHIVE" pls pls_mean_of_3
