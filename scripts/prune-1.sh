#!/usr/bin/env bash
# Table 1 of DepGraph's code: ResNet-56 on CIFAR-10, pruned to fewer MACs with and without sparse learning.
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "6 runs of 300 or 400 epochs of 50,000 images each"
cost cpu "6 runs of some 10 minutes"
cost tiny "6 runs, some 10 seconds each"
begin "$@"

EPOCHS=$(at cpu algo.training.epochs=5 algo.finetune.epochs=2)$(at tiny network.width=4 seed=0)
for importance in l1 bn l2; do
    search prune/resnet56 "algo.importance=$importance" algo.sparsity_epochs=0 algo.target=0.474 $EPOCHS
done
search prune/resnet56 algo.sparsity_epochs=0 algo.target=0.392 $EPOCHS
search prune/resnet56 algo.target=0.474,0.392 $EPOCHS $(at tiny algo.sparsity_epochs=2)

show
