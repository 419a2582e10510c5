"""Edits of a network beside its channels: deeper, other windows, poolings, fewer dense layers.

Functions of tensors return new ones; edits of modules replace parameters and set sizes to match, so that
a transaction can undo them.
"""

from growsearch.surgery.morphisms.containers import insert_module, remove_module
from growsearch.surgery.morphisms.deepen import centre_kernel, identity_conv, identity_dense, silence_branch
from growsearch.surgery.morphisms.kernel import crop_kernel, grow_kernel, pad_kernel, set_dilation, shrink_kernel
from growsearch.surgery.morphisms.merge import merge_dense, merged_dense
from growsearch.surgery.morphisms.norms import fold_shift, reset_norm
from growsearch.surgery.morphisms.pooling import (
    follow_pooling,
    follow_removed_pooling,
    pooled_weight,
    size_before_last_pooling,
    unpooled_weight,
)
from growsearch.surgery.morphisms.replace import replace_tensor
from growsearch.surgery.morphisms.separable import identity_separable, unseen_channels
from growsearch.surgery.morphisms.sources import cyclic_sources, random_sources
from growsearch.surgery.morphisms.svd import reduce_units, reduced_units, singular_factors

__all__ = [
    "centre_kernel",
    "crop_kernel",
    "cyclic_sources",
    "fold_shift",
    "follow_pooling",
    "follow_removed_pooling",
    "grow_kernel",
    "identity_conv",
    "identity_dense",
    "identity_separable",
    "insert_module",
    "merge_dense",
    "merged_dense",
    "pad_kernel",
    "pooled_weight",
    "random_sources",
    "reduce_units",
    "reduced_units",
    "remove_module",
    "replace_tensor",
    "reset_norm",
    "set_dilation",
    "shrink_kernel",
    "silence_branch",
    "singular_factors",
    "size_before_last_pooling",
    "unpooled_weight",
    "unseen_channels",
]
