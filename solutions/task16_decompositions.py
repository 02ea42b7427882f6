"""Task 16: norms, decompositions and distributions.

How large is a vector, which directions matter in a table of numbers, how far is one distribution from another,
and how do gradients get through a random draw? Nine functions answer, each of them a few lines long. They come
back in regularisation, in data analysis and in generative models.

Conventions, for all of them:

- Tensors are float32 or float64 and lie in memory in any layout; results have their dtype and device. No function
  changes its arguments. No axis has length 0.
- Gradients flow where the docstring says so.
- Where a docstring says "refused", any of RuntimeError (torch.linalg.LinAlgError is one), ValueError,
  ZeroDivisionError or AssertionError is right.

Allowed is every function of PyTorch; torch.linalg holds most of what older texts call torch.norm, torch.svd,
torch.symeig or torch.lu. The number of PyTorch calls of vector_norm, cosine_similarity, kl_normal,
reparameterized_normal and score_function_gradient must not depend on the size of the tensors: no Python loop
over elements, rows or draws. Matrices may be decomposed by a loop of your own.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def vector_norm(x: Tensor, p: float = 2) -> Tensor:
    """The p-norm of all numbers of x, whatever its axes: (sum of |x|^p)^(1/p), a tensor without axes.

    Three values of p are limits: 0 counts the numbers that are not 0, infinity is the largest magnitude and minus
    infinity the smallest. Any other p is positive, 0.5 and 2.5 as well. Gradients flow, but for p = 0; at numbers that
    are 0 they are not asked for.

    x [[3, 4], [0, 0]]: p 0 -> 2, p 1 -> 7, p 2 -> 5, p infinity -> 4, p minus infinity -> 0.
    """
    # TODO: the formula needs magnitudes; |0|^0 is 1 in PyTorch.
    # BEGIN SOLUTION
    return torch.linalg.vector_norm(x, p)
    # END SOLUTION


def nuclear_norm(m: Tensor) -> Tensor:
    """The sum of the singular values of a matrix m (rows, columns), a tensor without axes.

    Any shape of matrix and any rank, 0 included; right to 1e-6 of the largest singular value in float64.

    [[3, 4], [0, 0]] -> 5, for its only singular value is 5; [[0, 2], [-1, 0]] -> 3.
    """
    # TODO: singular values are never negative; eigenvalues of m itself may be, and need a square matrix.
    # BEGIN SOLUTION
    return torch.linalg.svdvals(m).sum()
    # END SOLUTION


def cosine_similarity(a: Tensor, b: Tensor, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors, which lie along the last axis: a · b / (|a| |b|).

    a, b (..., d) with leading axes that broadcast. Returns (...). Each of the two lengths counts as at least eps, so
    that a vector of zeros gives 0. Gradients flow to a and b, and none is NaN or infinite, not even at a vector of
    zeros: the root of 0 has no slope, so keep 0 out of it.

    a [3, 4], b [4, 3] -> 24 / 25 = 0.96; a [1, 0], b [-2, 0] -> -1; a [0, 0], b [1, 2] -> 0.
    """

    # TODO: where do the lengths become at least eps, before the root or behind it?
    # BEGIN SOLUTION
    def length(v: Tensor) -> Tensor:
        return (v * v).sum(-1).clamp(min=eps * eps).sqrt()

    return (a * b).sum(-1) / (length(a) * length(b))
    # END SOLUTION


def pca(x: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components: the k directions along which the rows of x are spread most.

    x (n, d): n samples as rows. Each column is centred first: its mean is subtracted. k is not above the rank of the
    centred x, which may be less than n and d.
    Returns (components, scores, ratio): components (k, d), one direction of length 1 in each row, the one with the
    largest variance first, at right angles to each other; scores (n, k), the coordinates of the centred samples along
    them; ratio (k,), the variance of each component divided by the sum of the variances of all columns. A direction may
    point either way: both signs are right, as long as the scores fit.

    x [[3, 1], [-1, 1], [1, 2], [1, 0]], k 1 -> components [[1, 0]], scores [[2], [-2], [0], [0]], or both with the
    other sign; ratio [0.8], for the squares of the centred columns sum to 8 and 2.
    """
    # TODO: eigenvectors of the covariance, or the singular vectors of the centred x. Which of them stand in rows?
    # BEGIN SOLUTION
    centred = x - x.mean(0)
    _, sizes, directions = torch.linalg.svd(centred, full_matrices=False)  # (r,), (r, d), largest first
    variances = sizes**2
    components = directions[:k]
    return components, centred @ components.T, variances[:k] / variances.sum()
    # END SOLUTION


def low_rank(m: Tensor, k: int) -> Tensor:
    """The best approximation of a matrix m (rows, columns) by one of rank k, 1 or more and at most min(rows, columns).

    "Best" means: the sum of squared differences is as small as possible. Keep the k largest singular values and set the
    others to 0. m is not centred. A matrix of rank k or less comes back as it was.

    [[2, 0], [0, 1]], k 1 -> [[2, 0], [0, 0]].
    """
    # TODO: three factors, each cut to k.
    # BEGIN SOLUTION
    left, sizes, right = torch.linalg.svd(m, full_matrices=False)
    return (left[:, :k] * sizes[:k]) @ right[:k]
    # END SOLUTION


def lu_solve(a: Tensor, b: Tensor) -> Tensor:
    """Solve the linear equations a x = b.

    a (n, n); b (n,) or (n, m), one system in each column; returns x in the shape of b. a needs no non-zero numbers
    on its diagonal: rows may have to be exchanged. A singular a is refused. Gradients flow to a and b.

    a [[0, 2], [1, 1]], b [4, 3] -> [1, 2], for 2 · 2 = 4 and 1 + 2 = 3.
    """
    # TODO: torch.linalg does it, with an LU decomposition; or write the elimination.
    # BEGIN SOLUTION
    return torch.linalg.solve(a, b)
    # END SOLUTION


def kl_normal(m1: Tensor, s1: Tensor, m2: Tensor, s2: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of normal distributions, KL(first || second), number by number.

    m1, m2 are means, s1, s2 standard deviations (not variances), all positive; the four shapes broadcast.
    log(s2 / s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2: never negative, 0 where both are equal, and not symmetric.
    Gradients flow to all four.

    m1 0, s1 1, m2 1, s2 2 -> log 2 + 2 / 8 - 1/2 = 0.4431; the other way round -> -log 2 + 5 / 2 - 1/2 = 1.3069.
    """
    # TODO: one line.
    # BEGIN SOLUTION
    return (s2 / s1).log() + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5
    # END SOLUTION


def reparameterized_normal(mean: Tensor, std: Tensor, eps: Tensor) -> Tensor:
    """Turn draws from the standard normal distribution into draws with another mean and standard deviation.

    eps: numbers that were drawn with mean 0 and standard deviation 1; the three shapes broadcast. The chance is all in
    eps, so that gradients flow to mean and std, through the draw. Nothing is drawn here.

    mean 1, std 2, eps [0, 1, -0.5] -> [1, 3, 0]; the slope by mean is 1, the slope by std is eps.
    """
    # TODO: one line.
    # BEGIN SOLUTION
    return mean + std * eps
    # END SOLUTION


def score_function_gradient(
    f: Callable[[Tensor], Tensor], mean: Tensor, std: Tensor, n: int, generator: torch.Generator | None = None
) -> Tensor:
    """Estimate how E[f(x)] changes with the mean of x, where f itself has no gradient.

    x is normal, with mean and std of the same shape (any, also ()). Draw n points at once, (n, *mean.shape), from
    `generator` (None is PyTorch's global one, which is left alone otherwise); call f once with all of them: it returns
    one number for each, (n,), in the dtype of mean. The slope of the logarithm of the density, (x - mean) / std^2, is
    called the score.
    Returns the mean over the n points of f(x) times the score, in the shape of mean, without a graph, even if mean
    requires gradients, or a weight that f uses. f may be a step or a table: it is not differentiated.

    mean 0, std 2, n 2 and draws x = 2 and -1, of which f makes 5 and 1: (5 · 2/4 + 1 · -1/4) / 2 = 1.125.
    """
    # TODO: f(x) has shape (n,), the score (n, *mean.shape); give f(x) the missing axes.
    # BEGIN SOLUTION
    with torch.no_grad():
        noise = torch.randn(n, *mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        x = mean + std * noise
        values = f(x).reshape(n, *[1] * mean.ndim)  # (n, 1, ..., 1)
        return (values * (x - mean) / std**2).mean(0)
    # END SOLUTION
