"""Small networks of the package transformers, by functions that a spec can name."""

from torch import nn

WIDTHS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
IMAGES = {"image_size": 32, "patch_size": 8, "num_labels": 5}


def vit() -> nn.Module:
    """Learned positions, a class token, separate queries, keys and values."""
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(ViTConfig(**WIDTHS, **IMAGES))


def deit() -> nn.Module:
    """A second token, for distillation."""
    from transformers import DeiTConfig, DeiTForImageClassification

    return DeiTForImageClassification(DeiTConfig(**WIDTHS, **IMAGES))


def swin() -> nn.Module:
    """Shifted windows with relative positions, and merging of patches."""
    from transformers import SwinConfig, SwinForImageClassification

    sizes = {"embed_dim": 8, "depths": [1, 2], "num_heads": [2, 2], "window_size": 4}
    return SwinForImageClassification(SwinConfig(**{**IMAGES, "patch_size": 2}, **sizes))


def convnext() -> nn.Module:
    """Layer norms over channels and layer scales."""
    from transformers import ConvNextConfig, ConvNextForImageClassification

    return ConvNextForImageClassification(
        ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 1], num_stages=2, num_labels=5)
    )


def resnet() -> nn.Module:
    """Batch norms."""
    from transformers import ResNetConfig, ResNetForImageClassification

    sizes = {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1]}
    return ResNetForImageClassification(ResNetConfig(**sizes, layer_type="basic", num_labels=5))
