#!/usr/bin/env bash
# Do connection strengths decide better than chance, and is a grown DenseNet better than plain ones?
# Fashion-MNIST (2,000 training images): the search; the same schedule of additions with filters drawn at random and none
# pruned; additions at random moments; the found network and a DenseNet-BC of as many parameters, both trained from scratch
# for as many MACs as the search spent, and the DenseNet for as many epochs as the found network, too; five seeds. 30 runs.
source "$(dirname "$0")/evidence.sh"

data=(data=fashion_mnist data.train_size=2000 data.val_size=500 schedule=quick)
plain=(algo=fixed "${data[@]}" algo.training.schedule=cosine algo.training.crop_padding=2 algo.training.keep=last)

# epochs_of NAME SEED MACS: epochs of a network of so many MACs that cost what a run of this script spent.
epochs_of() {
    local spent
    spent=$(result "$1" "$2" macs_spent)
    awk "BEGIN { print int($spent / ($3 * 2000) + 0.5) }"
}

for seed in 0 1 2 3 4; do
    kept search $seed algo=densemann "${data[@]}"
    search=$(found search $seed)
    cell scheduled $seed algo=densemann_random "${data[@]}" algo.growth=scheduled \
        "algo.additions=$(evidence of "$search" method.additions)"
    cell random $seed algo=densemann_random "${data[@]}"
done
for seed in 0 1 2 3 4; do
    kept search $seed algo=densemann "${data[@]}"
    search=$(found search $seed)
    epochs=$(epochs_of search $seed "$(evidence of "$search" macs)")
    cell scratch $seed "${plain[@]}" network=found "network.run=$search" "algo.training.epochs=$epochs"
    like=(network=densenet "network.layers=[3,3]" "network.like=$search")
    cell densenet_epochs $seed "${plain[@]}" "${like[@]}" "algo.training.epochs=$epochs"
    epochs=$(epochs_of search $seed "$(result densenet_epochs $seed macs)")
    cell densenet $seed "${plain[@]}" "${like[@]}" "algo.training.epochs=$epochs"
done

table search
