"""Empirical variational Bayes matrix factorisation: how much of a matrix is more than noise.

Nakajima, Sugiyama, Babacan and Tomioka, "Global analytic solution of fully-observed variational Bayesian
matrix factorization" (JMLR 2013), with the noise variance estimated, as CONet uses it (section 2.1).
Only singular values are needed, so a matrix enters as the eigenvalues of its smaller Gram matrix, and the
noise variances of any number of matrices of any shapes are searched for together.

Dimension key: B matrices, K singular values (padded to the longest), L rows, M columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from growsearch.probes.minimise import minimise_bounded

Array = np.ndarray
TAU_BAR = 2.5129
"""Threshold constant of the analytic solution: tau_bar = 2.5129 sqrt(L / M)."""


@dataclass(frozen=True)
class Factorisation:
    """The low-rank part of one matrix: its rank, its shrunk singular values (descending), and the noise left out.

    ``observed`` are the same singular values as they are in the matrix, before shrinking.
    ``noise_variance`` is NaN, and the rank 0, where the search interval is empty; that happens to tall
    noise-like matrices only, and only without ``transpose``.
    """

    rank: int
    singular_values: Tensor
    noise_variance: float
    observed: Tensor


@dataclass(frozen=True)
class Spectrum:
    """A matrix as EVBMF sees it: squared singular values [min(L, M)], descending, and the shape."""

    squares: Array
    rows: int
    columns: int


def evbmf(matrix: Tensor, *, transpose: bool = True, tolerance: float = 0.0) -> Factorisation:
    """Factorise one matrix [L, M] by empirical VBMF with estimated noise variance.

    Args:
        matrix: real matrix [L, M].
        transpose: look at a tall matrix from its other side, as the theory (L <= M) asks. The authors' code
            does not, and underestimates the rank of tall matrices.
        tolerance: absolute tolerance of the noise variance; 0 is as precise as double precision allows,
            1e-5 is what the authors' code used.

    Raises:
        ValueError: if ``matrix`` is not two-dimensional or has no entries.
    """
    if matrix.dim() != 2 or matrix.numel() == 0:
        raise ValueError(f"evbmf: a matrix [L, M] with entries expected, shape {tuple(matrix.shape)} found")
    rows, columns = matrix.shape
    squares = squared_singular_values(matrix.detach().unsqueeze(0))[0]
    return evbmf_spectra([Spectrum(squares, rows, columns)], transpose=transpose, tolerance=tolerance)[0]


def squared_singular_values(matrices_blm: Tensor) -> Array:
    """Squared singular values of matrices [B, L, M] of one shape, descending: float64 [B, min(L, M)].

    The eigenvalues of the smaller Gram matrix, in double precision; the Gram matrices are formed where the
    matrices lie and travel to the CPU once.
    """
    wide = matrices_blm if matrices_blm.shape[1] <= matrices_blm.shape[2] else matrices_blm.mT
    wide = wide.double()
    eigenvalues = torch.linalg.eigvalsh((wide @ wide.mT).cpu())
    return eigenvalues.flip(-1).clamp_min(0).numpy()


def evbmf_spectra(
    spectra: Sequence[Spectrum], *, transpose: bool = True, tolerance: float = 0.0
) -> list[Factorisation]:
    """Factorise many matrices of any shapes at once; options as in :func:`evbmf`."""
    if not spectra:
        return []
    shapes = np.array([(s.rows, s.columns) for s in spectra], dtype=np.float64)
    if transpose:
        shapes.sort(axis=1)
    problem = _Problem.of(spectra, shapes)
    lower, upper = problem.noise_bounds()
    solvable = (lower <= upper) & (upper > 0)
    bounds = [np.where(solvable, bound, 1.0) for bound in (lower, upper)]
    sigma2 = minimise_bounded(problem.free_energy, *bounds, tolerance=tolerance, where=solvable)
    kept, shrunk = problem.shrink(sigma2)
    kept &= solvable[:, None]
    noise = np.where(solvable, sigma2, np.where(upper > 0, np.nan, 0.0))
    raw = np.sqrt(problem.squares)
    return [
        Factorisation(int(k.sum()), _values(d[k]), float(n), _values(g[k]))
        for k, d, n, g in zip(kept, shrunk, noise, raw, strict=True)
    ]


def _values(array: Array) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


@dataclass(frozen=True)
class _Problem:
    """A batch of spectra, padded: every array is [B, 1] or [B, K]."""

    squares: Array
    real: Array
    L: Array
    M: Array

    @classmethod
    def of(cls, spectra: Sequence[Spectrum], shapes: Array) -> "_Problem":
        longest = max(len(s.squares) for s in spectra)
        squares = np.ones((len(spectra), longest))
        real = np.zeros((len(spectra), longest), dtype=bool)
        for row, spectrum in enumerate(spectra):
            values = spectrum.squares
            # an exactly vanishing singular value would send the logarithms to infinity
            squares[row, : len(values)] = np.maximum(values, max(values[0] * 1e-15, 1e-300))
            real[row, : len(values)] = True
            if values[0] == 0:
                real[row] = False
        return cls(squares, real, shapes[:, :1], shapes[:, 1:])

    @property
    def alpha(self) -> Array:
        return self.L / self.M

    @property
    def x_bar(self) -> Array:
        tau_bar = TAU_BAR * np.sqrt(self.alpha)
        return (1 + tau_bar) * (1 + self.alpha / tau_bar)

    def noise_bounds(self) -> tuple[Array, Array]:
        """Where the noise variance must lie, [B] each (Nakajima et al., corollary 1)."""
        B, K = self.squares.shape
        total = np.where(self.real, self.squares, 0)
        upper = total.sum(1) / (self.L * self.M)[:, 0]
        tail = np.minimum(np.ceil(self.L / (1 + self.alpha)) - 1, self.L).astype(int)
        in_tail = self.real & (np.arange(K) >= tail)
        first = self.squares[np.arange(B), tail[:, 0]]
        mean = np.where(in_tail, self.squares, 0).sum(1) / np.maximum(in_tail.sum(1), 1)
        lower = np.maximum(first / (self.M * self.x_bar)[:, 0], mean / self.M[:, 0])
        return np.where(self.real.any(1), lower, 0.0), upper

    def free_energy(self, sigma2: Array) -> Array:
        """Variational free energy Omega at noise variances [B], up to a constant: [B]."""
        sigma2 = sigma2[:, None]
        alpha = self.alpha
        x = self.squares / (self.M * sigma2)
        signal = x > self.x_bar
        centred = np.where(signal, x - (1 + alpha), 2 * np.sqrt(alpha))
        tau = 0.5 * (centred + np.sqrt(np.maximum(centred**2 - 4 * alpha, 0)))
        below = x - np.log(x)
        above = -tau + np.log(tau + 1) + alpha * np.log(tau / alpha + 1)
        terms = np.where(self.real, below + np.where(signal, above, 0), 0)
        missing = self.L - self.real.sum(1, keepdims=True)
        return terms.sum(1) + (missing * np.log(sigma2))[:, 0]

    def shrink(self, sigma2: Array) -> tuple[Array, Array]:
        """Which singular values stay, and all of them shrunk (meaningful where they stay): [B, K] each."""
        sigma2 = sigma2[:, None]
        kept = self.real & (self.squares > self.M * sigma2 * self.x_bar)
        ratio = np.where(kept, sigma2 / self.squares, 0)
        rest = 1 - (self.L + self.M) * ratio
        root = np.sqrt(np.maximum(rest**2 - 4 * self.L * self.M * ratio**2, 0))
        return kept, np.sqrt(self.squares) / 2 * (rest + root)
