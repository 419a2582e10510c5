#!/usr/bin/env bash
# Is a network that grew as good as one of full size trained from scratch for as many MACs?
# A ResNet-20 grown from width 2 to the parameters of width 8 on Fashion-MNIST (4,000 images: 4 steps of 1 epoch each, then 6
# epochs) and on EuroSAT (1,300 at 32 pixels: 4 steps of 3, then 12), evenly and at random; width 8 trained from scratch for
# as many epochs as cost what even growth did, and for as many as growth had; five seeds. 40 runs, some 50 minutes of a core.
source "$(dirname "$0")/evidence.sh"

fashion=(data=fashion_mnist data.train_size=4000 data.val_size=1000)
eurosat=(data=eurosat data.resize=32 data.test_size=0.25 data.val_size=0.1333)
declare -A params=([fashion]=68938 [eurosat]=69082) before=([fashion]=1 [eurosat]=3) last=([fashion]=6 [eurosat]=12)
# MACs of an epoch at width 8: 4,000 images of 7,783,872 and 1,300 of 10,314,048.
declare -A epoch=([fashion]=31135488000 [eurosat]=13408262400)

for seed in 0 1 2 3 4; do
    for name in fashion eurosat; do
        declare -n data=$name
        common=(network=resnet20 schedule=quick "${data[@]}" algo.training.schedule=cosine algo.training.crop_padding=2
            algo.training.keep=last)
        grow=(algo=grow network.width=2 "${common[@]}" "algo.target_params=${params[$name]}"
            "algo.step_epochs=${before[$name]}" "algo.training.epochs=${last[$name]}")
        cell "$name/even" $seed "${grow[@]}"
        spent=$(result "$name/even" $seed macs_spent)
        epochs=$(awk "BEGIN { print int($spent / ${epoch[$name]} + 0.5) }")
        cell "$name/full_same_macs" $seed algo=fixed network.width=8 "${common[@]}" "algo.training.epochs=$epochs"
        cell "$name/full_same_epochs" $seed algo=fixed network.width=8 "${common[@]}" \
            "algo.training.epochs=$((4 * before[$name] + last[$name]))"
        cell "$name/random" $seed "${grow[@]}" algo.where=random
    done
done

table full_same_macs
