#!/usr/bin/env bash
# Do scores of features choose stages better than chance, and do seeds agree on them?
# Residual networks of width 8 on Fashion-MNIST (4,000 training images), two iterations from two modules a stage: by PLS,
# inf-FS and il-FS, by PLS on scores of three trainings, at random, and in all stages; uniform networks of two to six
# modules, which show whether depth helps at all; five seeds. 55 runs.
source "$(dirname "$0")/evidence.sh"

setup=(algo=stagewise data=fashion_mnist data.train_size=4000 data.val_size=1000 data.seed=0 schedule=quick algo.width=8
    algo.delta=2 algo.norm_momentum=0.1 algo.extra_epochs=0 algo.training.epochs=30 algo.training.batch_size=64)

for seed in 0 1 2 3 4; do
    for modules in 2 4 3 5 6; do
        cell "uniform$modules" $seed "${setup[@]}" algo.iterations=0 "algo.m0=$modules"
    done
    for criterion in random all pls inf_fs il_fs; do
        cell "$criterion" $seed "${setup[@]}" algo.iterations=2 algo.m0=2 "algo.criterion=$criterion"
    done
    cell pls_mean_of_3 $seed "${setup[@]}" algo.iterations=2 algo.m0=2 algo.score_trainings=3
done

table uniform2
