"""Empirical variational Bayes matrix factorisation: how much of a matrix is more than noise.

Nakajima, Sugiyama, Babacan and Tomioka, "Global analytic solution of fully-observed variational Bayesian
matrix factorization" (JMLR 2013), with the noise variance estimated, as CONet uses it (section 2.1).
Only singular values are needed, so a matrix enters as the eigenvalues of its smaller Gram matrix, and the
noise variances of any number of matrices of any shapes are searched for together.

Dimension key: B matrices, K singular values (padded to the longest), L rows, M columns.
"""

from collections.abc import Sequence
from contextlib import suppress
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
    noise-like matrices only, and only without ``transpose``. So they are where entries are not finite.
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


def evbmf(matrix: Tensor | Array, *, transpose: bool = True, tolerance: float = 0.0) -> Factorisation:
    """Factorise one matrix [L, M] by empirical VBMF with estimated noise variance.

    Args:
        matrix: real matrix [L, M], a tensor or an array.
        transpose: look at a tall matrix from its other side, as the theory (L <= M) asks. The authors' code
            does not, and underestimates the rank of tall matrices.
        tolerance: absolute tolerance of the noise variance; 0 is as precise as double precision allows,
            1e-5 is what the authors' code used.

    Raises:
        ValueError: if ``matrix`` is not two-dimensional or has no entries.
    """
    matrix = torch.as_tensor(matrix)
    if matrix.dim() != 2 or matrix.numel() == 0:
        raise ValueError(f"evbmf: shape {tuple(matrix.shape)} is not accepted; use a matrix [L, M] with entries")
    rows, columns = matrix.shape
    squares = squared_singular_values(matrix.detach().unsqueeze(0))[0]
    return evbmf_spectra([Spectrum(squares, rows, columns)], transpose=transpose, tolerance=tolerance)[0]


def squared_singular_values(matrices_blm: Tensor) -> Array:
    """Squared singular values of matrices [B, L, M] of one shape, descending: float64 [B, min(L, M)]."""
    return spectra_of([gram_matrices(matrices_blm)])[0]


def gram_matrices(matrices_blm: Tensor) -> Tensor:
    """The smaller Gram matrix of each matrix [B, L, M], where these lie: float64 [B, K, K]."""
    wide = matrices_blm if matrices_blm.shape[1] <= matrices_blm.shape[2] else matrices_blm.mT
    wide = wide.double()
    return wide @ wide.mT


def spectra_of(grams_bkk: Sequence[Tensor]) -> list[Array]:
    """Eigenvalues of stacks of Gram matrices [B, K, K], descending: float64 [B, K] for each stack.

    Stacks on a GPU are solved there, those of one size together, and the host reads all eigenvalues at once: they are
    a K-th of the matrices. What a GPU's method does not converge for, and what lies on a CPU, is solved stack by stack.
    """
    if any(gram.device.type != "cpu" for gram in grams_bkk):
        with suppress(torch.linalg.LinAlgError):
            return _spectra_there(grams_bkk)
    return [_spectra_here(gram.cpu()) for gram in grams_bkk]


def _spectra_here(gram_bkk: Tensor) -> Array:
    """Eigenvalues of a stack on the CPU, descending; NaN for matrices that are not finite."""
    finite = gram_bkk.isfinite().flatten(1).all(1)[:, None]
    values = torch.linalg.eigvalsh(torch.where(finite[..., None], gram_bkk, 0.0)).flip(-1).clamp_min(0)
    return torch.where(finite, values, torch.nan).numpy()


def _spectra_there(grams_bkk: Sequence[Tensor]) -> list[Array]:
    by_size: dict[int, list[int]] = {}
    for index, gram in enumerate(grams_bkk):
        by_size.setdefault(gram.shape[-1], []).append(index)
    solved = [torch.linalg.eigvalsh(torch.cat([grams_bkk[i] for i in indices])) for indices in by_size.values()]
    on_host = torch.cat([values.flatten() for values in solved]).cpu().split([values.numel() for values in solved])
    found: dict[int, Array] = {}
    for (size, indices), values in zip(by_size.items(), on_host, strict=True):
        rows = values.view(-1, size).flip(-1).clamp_min(0)
        pieces = rows.split([len(grams_bkk[i]) for i in indices])
        found |= {i: piece.numpy() for i, piece in zip(indices, pieces, strict=True)}
    return [found[i] for i in range(len(grams_bkk))]


def evbmf_spectra(
    spectra: Sequence[Spectrum], *, transpose: bool = True, tolerance: float = 0.0
) -> list[Factorisation]:
    """Factorise many matrices of any shapes at once; options as in :func:`evbmf`."""
    found = solve(spectra, transpose=transpose, tolerance=tolerance)
    return [
        Factorisation(rank, _values(shrunk[:rank]), noise, _values(raw[:rank]))
        for rank, shrunk, noise, raw in zip(
            found.ranks.tolist(), found.shrunk, found.noise.tolist(), found.observed, strict=True
        )
    ]


def _values(array: Array) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


@dataclass(frozen=True)
class Solution:
    """Many factorisations in columns: ranks [B], noise variances [B] (see :class:`Factorisation`).

    The first ``ranks[b]`` entries of row b of ``shrunk`` and ``observed`` [B, K] are the kept singular
    values, descending.
    """

    ranks: Array
    noise: Array
    shrunk: Array
    observed: Array


def solve(spectra: Sequence[Spectrum], *, transpose: bool = True, tolerance: float = 0.0) -> Solution:
    """Result of :func:`evbmf_spectra`, in columns."""
    problem = _Problem.of(spectra, transpose)
    lower, upper = problem.noise_bounds()
    solvable = (lower <= upper) & (upper > 0)
    bounds = [np.where(solvable, bound, 1.0) for bound in (lower, upper)]
    sigma2 = minimise_bounded(problem.free_energy, *bounds, tolerance=tolerance)
    ranks, shrunk = problem.shrink(sigma2)
    noise = np.where(solvable, sigma2, np.where(upper == 0, 0.0, np.nan))
    return Solution(np.where(solvable, ranks, 0), noise, shrunk, np.sqrt(problem.squares))


class _Problem:
    """A batch of spectra: squares [B, K], padded with zeros, and [B] of everything else."""

    def __init__(self, squares: Array, counts: Array, shapes: Array) -> None:
        self.squares, self.counts = squares, counts
        self.L, self.M = shapes[:, 0], shapes[:, 1]
        self.alpha = self.L / self.M
        tau_bar = TAU_BAR * np.sqrt(self.alpha)
        self.x_bar = (1 + tau_bar) * (1 + self.alpha / tau_bar)
        self.total = squares.sum(1)
        self.logs = np.log(np.where(squares > 0, squares, 1.0)).sum(1)

    @classmethod
    def of(cls, spectra: Sequence[Spectrum], transpose: bool) -> "_Problem":
        counts = np.array([len(s.squares) for s in spectra], dtype=int)
        squares = np.zeros((len(spectra), counts.max(initial=1)))
        for row, spectrum in zip(squares, spectra, strict=True):
            row[: len(spectrum.squares)] = spectrum.squares
        # an exactly vanishing singular value would send the logarithms to infinity
        floor = squares[:, :1] * 1e-15
        real = np.arange(squares.shape[1]) < counts[:, None]
        shapes = np.array([(s.rows, s.columns) for s in spectra], dtype=np.float64).reshape(-1, 2)
        return cls(np.where(real, np.maximum(squares, floor), 0.0), counts, np.sort(shapes, 1) if transpose else shapes)

    def noise_bounds(self) -> tuple[Array, Array]:
        """Bounds of the noise variance, [B] each (Nakajima et al., corollary 1)."""
        tail = np.minimum(np.ceil(self.L / (1 + self.alpha)) - 1, self.L).astype(int)
        behind = np.arange(self.squares.shape[1]) >= tail[:, None]
        first = self.squares[np.arange(len(tail)), tail]
        mean = (self.squares * behind).sum(1) / (self.counts - tail)
        lower = np.maximum(first / (self.M * self.x_bar), mean / self.M)
        return lower, self.total / (self.L * self.M)

    def free_energy(self, sigma2: Array) -> Array:
        """Variational free energy Omega at noise variances [B], up to a constant: [B].

        The sum of x - ln x over all singular values needs their sum and that of their logarithms only; what is
        left is a sum over those above the threshold.
        """
        scale = self.M * sigma2
        energy = self.total / scale - self.logs + self.counts * np.log(scale) + (self.L - self.counts) * np.log(sigma2)
        signal = np.flatnonzero(self.squares > (scale * self.x_bar)[:, None])
        row = signal // self.squares.shape[1]
        alpha = self.alpha[row]
        centred = self.squares.ravel()[signal] / scale[row] - (1 + alpha)
        tau = 0.5 * (centred + np.sqrt(np.maximum(centred * centred - 4 * alpha, 0)))
        above = np.log(tau + 1) - tau + alpha * np.log(tau / alpha + 1)
        return energy + np.bincount(row, above, minlength=len(energy))

    def shrink(self, sigma2: Array) -> tuple[Array, Array]:
        """Number of singular values that stay [B], and all of them shrunk [B, K] (meaningful where they stay)."""
        kept = self.squares > (self.M * sigma2 * self.x_bar)[:, None]
        ratio = np.where(kept, sigma2[:, None], 0) / np.where(kept, self.squares, 1)
        rest = 1 - (self.L + self.M)[:, None] * ratio
        root = np.sqrt(np.maximum(rest**2 - (4 * self.L * self.M)[:, None] * ratio**2, 0))
        return kept.sum(1), np.sqrt(self.squares) / 2 * (rest + root)
