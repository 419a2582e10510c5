#!/usr/bin/env bash
# Which method for what, and does any beat a plain network of its size trained for as many MACs?
# Fashion-MNIST, 2,000 training images and the whole test set: five searches, a ResNet-20 pruned to half of its MACs and one
# grown from a quarter of its width; beside each a plain network of about as many parameters, trained until it has spent as
# many MACs; five seeds. 75 runs.
source "$(dirname "$0")/evidence.sh"

data=(data=fashion_mnist data.train_size=2000 data.val_size=500 schedule=quick)
plain=(algo=fixed "${data[@]}" algo.training.schedule=cosine algo.training.crop_padding=2 algo.training.keep=last)

# pair NAME SEED FIRST WORDS: a run (WORDS), and beside it a plain network of the size that it found, trained for as many MACs
# as it and the run FIRST (- for none) spent: a ResNet-20, or the first DenseNet of some depths, that has a width within a
# quarter of the size.
pair() {
    if evidence has "$ARCHIVE" "$1/method" "$2" && evidence has "$ARCHIVE" "$1/plain" "$2"; then return; fi
    kept "$1/method" "$2" "${@:4}" "${data[@]}"
    local size network spent=0 cost
    size="network.like=$(found "$1/method" "$2")"
    for network in resnet20 'densenet network.layers=[3,3]' 'densenet network.layers=[6,6]' 'densenet network.layers=[2,2]'; do
        # shellcheck disable=SC2206
        network=(network=$network "$size")
        if train "$1/epoch" "$2" "${plain[@]}" "${network[@]}" algo.training.epochs=1; then break; fi
    done
    cost=$(evidence of "$(found "$1/epoch" "$2")" macs_spent)
    if [ "$3" != - ]; then spent=$(result "$3" "$2" macs_spent); fi
    spent=$(awk "BEGIN { print $spent + $(result "$1/method" "$2" macs_spent) }")
    cell "$1/plain" "$2" "${plain[@]}" "${network[@]}" \
        "algo.training.epochs=$(awk "BEGIN { print int($spent / $cost + 0.5) }")"
}

for seed in 0 1 2 3 4; do
    for method in densemann ectonas stagewise conet; do
        pair $method $seed - "algo=$method"
    done
    pair grow $seed - algo=grow network=resnet20 network.width=2 algo.target_params=68938
    if evidence has "$ARCHIVE" prune/plain $seed; then continue; fi
    kept start/method $seed "${plain[@]}" network=resnet20 network.width=8 algo.training.epochs=30
    pair prune $seed start/method algo=prune network=found "network.run=$(found start/method $seed)" algo.target=0.5
done
for seed in 0 1 2 3 4; do # the dearest method comes last, and searches in a smaller network than quick's
    pair prdarts $seed - algo=prdarts algo.channels=4 algo.layers=3
done

table plain
evidence ranks "$ARCHIVE" method plain
figure together
