#!/usr/bin/env bash
# Are CONet's channel sizes better than one width everywhere at as many MACs?
# A ResNet of three stages with two blocks each on Fashion-MNIST (4,000 training images of 14x14): four trials of 5 epochs from 24
# channels, in batches of 16 so that ranks rise, then 10 epochs for the sizes found; three thresholds of the slope, trials with
# fresh and with inherited weights; beside each find a uniform network of as many MACs, trained as long as the find's last training
# and as long as search and training together; five seeds. 95 runs.
source "$(dirname "$0")/evidence.sh"

data=(data=fashion_mnist data.train_size=4000 data.val_size=1000 data.resize=14 schedule=quick)
network=(network=resnet34 "network.blocks=[2,2,2]")
search=(algo=conet "${network[@]}" "${data[@]}" algo.trials=4 algo.start_channels=24 algo.c_min=8 algo.c_max=96
    algo.search.epochs=5 algo.search.batch_size=16 algo.final.epochs=10 algo.final.cutout=0)
plain=(algo=fixed "${network[@]}" "${data[@]}") # trained as the find is in the end
for setting in batch_size=64 lr=0.1 schedule=cosine nesterov=false weight_decay=3e-4 clip=5 crop_padding=1 keep=best_val_accuracy; do
    plain+=("algo.training.$setting")
done

for seed in 0 1 2 3 4; do
    cell start/uniform $seed "${plain[@]}" network.channels=24 algo.training.epochs=10
    start=$(result start/uniform $seed macs)
    for delta in 0.015 0.025 0.035; do
        for inherit in false true; do
            group=$delta-$inherit
            cell "$group/conet" $seed "${search[@]}" "algo.delta=$delta" "algo.inherit=$inherit"
            macs=$(result "$group/conet" $seed macs)
            width=$(awk "BEGIN { print int(24 * sqrt($macs / $start) + 0.5) }") # MACs grow with the width's square
            cell "$group/uniform" $seed "${plain[@]}" "network.channels=$width" algo.training.epochs=10
            cell "$group/uniform30" $seed "${plain[@]}" "network.channels=$width" algo.training.epochs=30
        done
    done
done

table conet
