"""One row a method: what the generic tests run. A new method adds a row and gets them all."""

from pathlib import Path

SMOKE = ["schedule=smoke", "data=digits", "hardware=cpu", "track=quiet", "track.report=false"]

COLOURED = [
    *("schedule=smoke", "hardware=cpu", "track=quiet", "track.report=false"),
    *("data=npz", f"data.path={Path(__file__).parent}/coloured.npz", "data.layout=nhwc"),
    *("data.train_size=60", "data.val_size=20", "data.test_size=20"),
]
"""A hundred of the digits in colours of their own, for networks that take three channels."""

FEW_CYCLES = ["algo.epochs=[2,1,1]", "algo.grace_epochs=[1,0,0]", "algo.morphs=[2,1,0]", "algo.keep=[5,2,1]"]
"""In place of nine cycles of one epoch, on four candidates an edge."""

METHODS: dict[str, list[str]] = {
    "fixed": ["algo=fixed", "network=sequential", *SMOKE],
    "densemann": ["algo=densemann", *SMOKE],
    "prdarts": ["algo=prdarts", *FEW_CYCLES, *SMOKE],
    "ectonas": ["algo=ectonas", *SMOKE],
    "ectonas_pooling": ["algo=ectonas_pooling", *SMOKE],
    "conet": ["algo=conet", "network=resnet34", "network.blocks=[1,1]", *SMOKE],
    "prune": ["algo=prune", "network=sequential", *SMOKE],
    "grow": ["algo=grow", "network=sequential", "algo.target_params=2000", *SMOKE],
    "stagewise": ["algo=stagewise", *SMOKE],
}

VARIANTS: dict[str, list[str]] = {
    "fixed_external": ["algo=fixed", "network=external", "network.name=torchvision/shufflenet_v2_x0_5", *COLOURED],
    "densemann_original": ["algo=densemann_original", *SMOKE],
    "densemann_random": ["algo=densemann_random", *SMOKE],
    "densemann_v1": ["algo=densemann_v1", *SMOKE],
    "darts_second_order": ["algo=darts_second_order", *SMOKE],
    "prdarts_original": ["algo=prdarts_original", *SMOKE],
    "ectonas_interleaved": ["algo=ectonas", "algo.interleave=3", "algo.recuperation.add_cell=0.5", *SMOKE],
    "ectonas_original": ["algo=ectonas_original", *SMOKE],
    "conet_inherit": ["algo=conet", "algo.inherit=true", *SMOKE],
    "conet_contiguous": ["algo=conet", *SMOKE, "hardware.layout=contiguous"],
    "conet_original": ["algo=conet_original", *SMOKE],
    "prune_sparse": [
        *("algo=prune", "network=resnet20", "network.depths=[1,1,1]", "network.width=4", "algo.sparsity_epochs=1"),
        *("algo.importance=taylor", "algo.ranking=isomorphic", "algo.distill=0.5", *SMOKE),
    ],
    "grow_deeper": [
        *("algo=grow", "network=resnet20", "network.depths=[1,1,1]", "network.width=3", "algo.target_macs=300000"),
        *("algo.depth=1", "algo.when=plateau", "algo.where=gradient", "algo.start=orthogonal", *SMOKE),
    ],
    "stagewise_morph": ["algo=stagewise", "algo.grow=morph", *SMOKE],
    "stagewise_original": ["algo=stagewise_original", *SMOKE],
}
"""Presets and options whose state differs from the method's row; the long tests run them too."""

ROWS = {**METHODS, **VARIANTS}
