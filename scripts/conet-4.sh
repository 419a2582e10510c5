#!/usr/bin/env bash
# Table 4 of CONet: networks found on CIFAR, trained on ImageNet (data.root=... or data.path=... says where it is).
# shellcheck disable=SC2046,SC1091
source "$(dirname "$0")/common.sh"

cost full "18 searches of 0.3 to 0.9 GPU days and 8 trainings of 200 or 250 epochs over 1.28 million images"
cost cpu "12 searches of some 10 minutes and 8 trainings on 2,000 images of 224 pixels"
cost tiny "2 searches and 3 trainings, seconds each"
begin "$@"

# found MODEL DATA DELTA EXPERIMENT: search, then train what was found.
found() {
    search "conet/table3_$1" "data=$(data "$2")" "algo.delta=$3"
    local cells=${1#darts} run
    run=$(best conet "$(data "$2")" "algo.delta=$3" $(conet_search) $(at tiny algo.c_min=4) "network.cells=$cells" network.genotype=darts_v2)
    train "conet/$4" "network.run=$run" $(at full seed=0) $(reduced seed=0) \
        $(at tiny network.changes.imagenet=false network.changes.auxiliary=false network.changes.classes=10)
}
found darts7 cifar100 0.01 table4_step
if [ "$SCALE" != tiny ]; then
    found darts7 cifar100 0.0075 table4_step
    found darts7 cifar100 0.005 table4_step
    found darts14 cifar10 0.0075 table4_decay
    found darts14 cifar10 0.005 table4_decay
    found darts14 cifar100 0.005 table4_step
fi
small="network.channels=4 network.stem_channels=4 network.imagenet=false network.auxiliary=false"
for model in darts7 darts14; do
    train "conet/table4_baseline_$model" $(at full seed=0) $(reduced seed=0) $(at tiny $small)
done

show
