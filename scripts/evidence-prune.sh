#!/usr/bin/env bash
# Is a pruned network better than the same one trained from scratch, than random cuts, and than Torch-Pruning's?
# A ResNet-20 of width 8 on Fashion-MNIST (4,000 images, 8 epochs) and on EuroSAT (1,300 at 32 pixels, 16 epochs), cut to 25,
# 10 and 50 % of its MACs and fine-tuned for half as many epochs: by group norm, by first-order Taylor, at random, and by
# Torch-Pruning (both importances) on the same weights; the sizes found, trained from scratch for as many epochs in all; five
# seeds. 190 runs, some two hours of a core. One target is done for all seeds before the next.
source "$(dirname "$0")/evidence.sh"

fashion=(data=fashion_mnist data.train_size=4000 data.val_size=1000)
eurosat=(data=eurosat data.resize=32 data.test_size=0.25 data.val_size=0.1333)
declare -A before=([fashion]=8 [eurosat]=16) after=([fashion]=4 [eurosat]=8)

# theirs NAME SEED RUN IMPORTANCE RANKING: Torch-Pruning, unless the archive holds it.
theirs() {
    if evidence has "$ARCHIVE" "$1" "$2"; then return; fi
    echo "+ $NAME $1 seed $2"
    "$PYTHON" "$HERE/../benchmarks/pruning.py" "$3" --importance "$4" --ranking "$5" --archive "$ARCHIVE" --cell "$1"
}

for target in 0.25 0.1 0.5; do
    for seed in 0 1 2 3 4; do
        for name in fashion eurosat; do
            declare -n data=$name
            group=$name-$target
            trained=(algo=fixed "${data[@]}" schedule=quick algo.training.schedule=cosine algo.training.crop_padding=2
                algo.training.keep=last)
            kept "$name/original" $seed "${trained[@]}" network=resnet20 network.width=8 \
                "algo.training.epochs=${before[$name]}"
            original=$(found "$name/original" $seed)
            cut=(algo=prune network=found "network.run=$original" "algo.target=$target" "${data[@]}" schedule=quick
                "algo.finetune.epochs=${after[$name]}")
            kept "$group/ours" $seed "${cut[@]}"
            pruned=$(found "$group/ours" $seed)
            cell "$group/scratch" $seed "${trained[@]}" network=found "network.run=$pruned" \
                "algo.training.epochs=$((before[$name] + after[$name]))"
            theirs "$group/torch_pruning" $seed "$pruned" l2 isomorphic
            theirs "$group/torch_pruning_taylor" $seed "$pruned" taylor isomorphic
            cell "$group/taylor" $seed "${cut[@]}" algo.importance=taylor
            cell "$group/random" $seed "${cut[@]}" algo.importance=random
        done
    done
done

table ours
