"""Variable importance in projection (VIP) of a partial-least-squares regression.

PLS needs its data only through C = X'Y and products G w with G = X'X, so it streams over batches and
is solved exactly, where NIPALS iterates. Shapes: N samples, P features, K responses, H components.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from growsearch.errors import UserError

Gram = Callable[[Tensor], Tensor]


def _scale(variance_D: Tensor) -> Tensor:
    """Standard deviations, with 1 for what does not vary."""
    return torch.where(variance_D > 0, variance_D, 1.0).sqrt()


def one_hot(y: Tensor, num_classes: int | None = None) -> Tensor:
    """Class numbers (N,) as float64 rows (N, K); a matrix of responses passes through."""
    if y.ndim == 2:
        return y.double()
    width = int(y.max()) + 1 if num_classes is None else num_classes
    return torch.nn.functional.one_hot(y.long(), width).double()


def _importance(cross_PK: Tensor, gram: Gram, n_components: int) -> Tensor:
    """VIP (P,) from C = X'Y and w -> X'X w of standardised data."""
    num_features = cross_PK.shape[0]
    total = cross_PK.new_zeros(())
    weighted_P = cross_PK.new_zeros(num_features)
    removed: list[tuple[Tensor, Tensor]] = []
    floor = torch.finfo(cross_PK.dtype).eps * torch.linalg.matrix_norm(cross_PK)
    for _ in range(n_components):
        if not cross_PK.isfinite().all():
            return torch.full_like(weighted_P, float("nan"))
        left_PR, strength_R, _ = torch.linalg.svd(cross_PK, full_matrices=False)
        if not strength_R[0] > floor:
            break
        w_P = left_PR[:, 0]
        gram_P = gram(w_P)
        for norm, loading_P in removed:
            gram_P = gram_P - norm * (loading_P @ w_P) * loading_P
        norm = w_P @ gram_P
        x_loading_P, y_loading_K = gram_P / norm, w_P @ cross_PK / norm
        explained = norm * (y_loading_K @ y_loading_K)
        total, weighted_P = total + explained, weighted_P + explained * w_P.square()
        removed.append((norm, x_loading_P))
        cross_PK = cross_PK - norm * torch.outer(x_loading_P, y_loading_K)
    return (num_features * weighted_P / total).sqrt()


class PlsMoments:
    """Sums over batches from which :meth:`vip` follows; lives on the device of the first batch.

    Sums are taken in float64 about the first sample, so that a constant feature has variance zero.

    Args:
        gram: Keep X'X (P x P); without it only one component can be asked for.
    """

    def __init__(self, gram: bool = True) -> None:
        self.count = 0
        self._keep_gram = gram
        self._origin_P = torch.empty(0)
        self._x_P = self._xx_P = self._y_K = self._yy_K = self._cross_PK = self._gram_PP = torch.zeros(())

    def add(self, x: Tensor, y: Tensor) -> None:
        """Take in a batch: features (N, P) and responses (N, K)."""
        if self.count == 0:
            self._origin_P = x[0].double()
        x, y = x.double() - self._origin_P, y.double()
        self.count += x.shape[0]
        self._x_P, self._y_K = self._x_P + x.sum(0), self._y_K + y.sum(0)
        self._yy_K = self._yy_K + y.square().sum(0)
        self._cross_PK = self._cross_PK + (y.T @ x).T
        if self._keep_gram:
            self._gram_PP = self._gram_PP + x.T @ x
        else:
            self._xx_P = self._xx_P + x.square().sum(0)

    def vip(self, n_components: int) -> Tensor:
        """VIP (P,) of the batches taken in so far; see :func:`vip`."""
        _check_components(n_components, self._x_P.shape[0])
        if n_components > 1 and not self._keep_gram:
            raise UserError(f"n_components: {n_components} is not accepted where X'X was not kept; use 1")
        n = self.count
        squares_P = self._gram_PP.diagonal() if self._keep_gram else self._xx_P
        x_scale = _scale((squares_P - self._x_P.square() / n) / (n - 1))
        y_scale = _scale((self._yy_K - self._y_K.square() / n) / (n - 1))
        cross_PK = (self._cross_PK - torch.outer(self._x_P, self._y_K) / n) / torch.outer(x_scale, y_scale)

        def gram(w_P: Tensor) -> Tensor:
            if not self._keep_gram:
                return w_P
            v_P = w_P / x_scale
            return (self._gram_PP @ v_P - self._x_P * (self._x_P @ v_P) / n) / x_scale

        return _importance(cross_PK, gram, n_components)


def _check_components(n_components: int, num_features: int) -> None:
    if not 1 <= n_components <= num_features:
        raise UserError(f"n_components: {n_components} is not accepted; use 1 to {num_features} (the features)")


def vip(X: Tensor, Y: Tensor, n_components: int = 2, *, backend: str = "svd") -> Tensor:
    """Variable importance in projection of each feature (Stage-Wise NAS, sec. III).

    VIP_j = sqrt(P * sum_a s_a w_ja^2 / sum_a s_a), with w_a the unit weights of PLS component a and s_a
    the variation of Y that it explains; the mean square over features is 1. X and Y are centred and
    scaled to unit deviation (ddof 1, constant columns by 1). Constant features get 0; NaN throughout
    means that nothing in X varies with Y, or that values are not finite.

    Args:
        X: Features (N, P).
        Y: Responses (N, K), or class numbers (N,).
        n_components: Components H, 1 to P.
        backend: ``svd`` is the exact solution; ``sklearn`` the NIPALS of ``PLSRegression`` at its
            default tolerance, which stops early (single values off by up to 0.2).

    Returns:
        Float64 tensor (P,) on the device of X.
    """
    X, Y = torch.as_tensor(X), one_hot(torch.as_tensor(Y))
    _check_components(n_components, X.shape[1])
    if backend == "sklearn":
        return _vip_sklearn(X, Y, n_components)
    if backend != "svd":
        raise UserError(f"backend: {backend!r} is not accepted; use 'svd' or 'sklearn'")
    x, y = X.double() - X[0], Y.to(X.device)
    x, y = x.sub_(x.mean(0)), y - y.mean(0)
    degrees = x.shape[0] - 1
    x_scale, y_scale = (_scale(torch.linalg.vector_norm(z, dim=0).square() / degrees) for z in (x, y))
    cross_PK = (y.T @ x).T / torch.outer(x_scale, y_scale)
    return _importance(cross_PK, lambda w_P: ((x @ (w_P / x_scale)) @ x) / x_scale, n_components)


def _vip_sklearn(X: Tensor, Y: Tensor, n_components: int) -> Tensor:
    from sklearn.cross_decomposition import PLSRegression

    if not (X.isfinite().all() and Y.isfinite().all()):
        return X.new_full((X.shape[1],), float("nan"), dtype=torch.float64)
    model = PLSRegression(n_components=n_components).fit(X.cpu().double().numpy(), Y.cpu().numpy())
    scores, weights, loadings = (torch.from_numpy(a) for a in (model.x_scores_, model.x_weights_, model.y_loadings_))
    explained = scores.square().sum(0) * loadings.square().sum(0)
    unit = weights / torch.linalg.vector_norm(weights, dim=0)
    return (X.shape[1] * (unit.square() @ explained) / explained.sum()).sqrt().to(X.device)
