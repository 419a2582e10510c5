"""Published means and standard deviations, per channel of pixels scaled to 0..1.

Where a method's authors used numbers of their own they stand under the method's name (DensEMANN's
options, CONet's loaders); "standard" is what most others use.
"""

from growsearch.data.raw import Constants

CIFAR10: dict[str, Constants] = {
    "standard": ((0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)),
    "densemann": ((0.491, 0.482, 0.447), (0.247, 0.243, 0.261)),
    "conet": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
}
CIFAR100: dict[str, Constants] = {
    "standard": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "conet": ((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255)),
}
IMAGENET: dict[str, Constants] = {"standard": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}
MNIST: dict[str, Constants] = {"standard": ((0.1307,), (0.3081,))}
FASHION_MNIST: dict[str, Constants] = {"standard": ((0.2860,), (0.3530,)), "densemann": ((0.5,), (0.5,))}
SVHN: dict[str, Constants] = {
    "standard": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "densemann": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
