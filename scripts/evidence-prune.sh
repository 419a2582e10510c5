#!/usr/bin/env bash
# Is a pruned network better than the same one trained from scratch, than random cuts, and than Torch-Pruning's?
# A ResNet-20 of width 8 on Fashion-MNIST (4,000 images) and on EuroSAT (1,300 at 32 pixels), trained for 30 epochs, cut to
# 50, 25 and 10 % of its MACs and fine-tuned for 15; random cuts, Torch-Pruning's on the same weights, and the found sizes
# trained from scratch for 45 epochs; five seeds. 250 runs, some 4 hours on one core.
source "$(dirname "$0")/evidence.sh"

network=(network=resnet20 network.width=8 schedule=quick)
fashion=(data=fashion_mnist data.train_size=4000 data.val_size=1000)
eurosat=(data=eurosat data.resize=32 data.test_size=0.25 data.val_size=0.1333)

# theirs NAME SEED RUN IMPORTANCE RANKING: Torch-Pruning, unless the archive holds it.
theirs() {
    if evidence has "$ARCHIVE" "$1" "$2"; then return; fi
    echo "+ $NAME $1 seed $2"
    "$PYTHON" "$HERE/../benchmarks/pruning.py" "$3" --importance "$4" --ranking "$5" --archive "$ARCHIVE" --cell "$1"
}

for seed in 0 1 2 3 4; do
    for name in fashion eurosat; do
        declare -n data=$name
        kept "$name/original" $seed algo=fixed "${network[@]}" "${data[@]}" algo.training.epochs=30 \
            algo.training.schedule=cosine algo.training.crop_padding=2 algo.training.keep=last
        original=$(found "$name/original" $seed)
        for target in 0.5 0.25 0.1; do
            group=$name-$target
            cut=(algo=prune network=found "network.run=$original" "algo.target=$target" "${data[@]}" schedule=quick)
            kept "$group/ours" $seed "${cut[@]}"
            cell "$group/isomorphic" $seed "${cut[@]}" algo.ranking=isomorphic
            cell "$group/distilled" $seed "${cut[@]}" algo.distill=0.5
            cell "$group/random" $seed "${cut[@]}" algo.importance=random
            pruned=$(found "$group/ours" $seed)
            cell "$group/scratch" $seed algo=fixed network=found "network.run=$pruned" "${data[@]}" schedule=quick \
                algo.training.epochs=45 algo.training.schedule=cosine algo.training.crop_padding=2 \
                algo.training.keep=last
            theirs "$group/tp_l2_local" $seed "$pruned" l2 local
            theirs "$group/tp_l2_isomorphic" $seed "$pruned" l2 isomorphic
            theirs "$group/tp_taylor_isomorphic" $seed "$pruned" taylor isomorphic
        done
    done
done

table ours
