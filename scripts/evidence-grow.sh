#!/usr/bin/env bash
# Is a network that grew as good as one of full size trained from scratch for as many MACs?
# A ResNet-20 grown from width 2 to the parameters of width 8 on Fashion-MNIST (4,000 images) and EuroSAT (1,300 at 32
# pixels): evenly, at random and by gradient, and evenly with copies; the full width trained from scratch for 40 epochs,
# and for as many as cost what even growth did; five seeds. 60 runs, some 4 hours on one core.
source "$(dirname "$0")/evidence.sh"

fashion=(data=fashion_mnist data.train_size=4000 data.val_size=1000)
eurosat=(data=eurosat data.resize=32 data.test_size=0.25 data.val_size=0.1333)
declare -A params=([fashion]=68938 [eurosat]=69082)

for seed in 0 1 2 3 4; do
    for name in fashion eurosat; do
        declare -n data=$name
        grow=(algo=grow network=resnet20 network.width=2 schedule=quick "${data[@]}" "algo.target_params=${params[$name]}")
        full=(algo=fixed network=resnet20 network.width=8 schedule=quick "${data[@]}" algo.training.schedule=cosine
            algo.training.crop_padding=2)
        cell "$name/even" $seed "${grow[@]}"
        cell "$name/random" $seed "${grow[@]}" algo.where=random
        cell "$name/gradient" $seed "${grow[@]}" algo.where=gradient
        cell "$name/copies" $seed "${grow[@]}" algo.start=copies
        cell "$name/full" $seed "${full[@]}" algo.training.epochs=40
        spent=$(result "$name/even" $seed macs_spent)
        whole=$(result "$name/full" $seed macs_spent)
        epochs=$(awk "BEGIN { print int(40 * $spent / $whole + 0.5) }")
        cell "$name/full_same_macs" $seed "${full[@]}" "algo.training.epochs=$epochs"
    done
done

table full_same_macs
