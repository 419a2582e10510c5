"""Two dense layers in a row made one (ECToNAS: removal of a dense layer)."""

from torch import Tensor, nn

from growsearch.surgery.morphisms.replace import exact, replace_tensor


def merged_dense(
    weight_HI: Tensor, bias_H: Tensor | None, weight_OH: Tensor, bias_O: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return weight (O, I) and bias (O,) of the dense layer that equals two without what lies between them.

    Sums are taken in float64, which is the results' type. The bias is None where neither layer has one.
    """
    first, first_bias, second, second_bias = exact(weight_HI, bias_H, weight_OH, bias_O)
    bias = None if bias_H is None and bias_O is None else second @ first_bias.expand(len(first)) + second_bias
    return second @ first, bias


def merge_dense(first: nn.Linear, second: nn.Linear) -> None:
    """Make ``second`` do the work of both, the activation between them ignored; ``first`` is then to be removed."""
    weight, bias = merged_dense(first.weight, first.bias, second.weight, second.bias)
    replace_tensor(second, "weight", weight)
    second.in_features = first.in_features
    if bias is None:
        return
    if second.bias is None:
        second.bias = nn.Parameter(bias.to(second.weight), requires_grad=second.weight.requires_grad)
    else:
        replace_tensor(second, "bias", bias)
