"""Published means and standard deviations that most others use, per channel of pixels scaled to 0..1."""

from growsearch.data.raw import Constants

CIFAR10: dict[str, Constants] = {
    "standard": ((0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768))
}
CIFAR100: dict[str, Constants] = {"standard": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))}
IMAGENET: dict[str, Constants] = {"standard": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}
MNIST: dict[str, Constants] = {"standard": ((0.1307,), (0.3081,))}
FASHION_MNIST: dict[str, Constants] = {"standard": ((0.2860,), (0.3530,))}
SVHN: dict[str, Constants] = {"standard": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970))}
