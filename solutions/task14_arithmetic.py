"""Task 14: arithmetic, shapes that broadcast, comparison and statistics.

One line of tensor arithmetic hides many decisions: does it change its input, how do two shapes meet, which way is 0.5
rounded, which numbers are equal, by how much is a variance divided? torch has an answer to each, and this task asks
for it. Fifteen functions to write, most of them one line long once you know which.

Conventions:

* The result has the dtype and the device of the tensors that go in, unless a function says otherwise.
* No function changes its arguments, but for the first one of ``add_inplace``.
* ``dim`` may be negative: -1 is the last axis. Axes may have length 0 or 1 and any layout in memory.
* Gradients flow through ``scaled_add``, ``clip``, ``topk_values``, ``kth_smallest`` and ``pairwise_distance_matrix``;
  not graded are the places where a slope jumps, as at a bound of clip or where two points coincide.
* "Raises an error" means any exception.

Everything that torch offers is allowed. ``pairwise_distance_matrix`` does without a Python loop over the points: the
number of PyTorch calls may not depend on how many there are.
"""

import torch
from torch import Tensor


def broadcast_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Tell the shape of x + y for tensors x and y of the shapes a and b.

    a, b: two shapes, as tuples, lists or torch.Size, () included; not tensors.
    Returns a tuple. The shapes are laid against each other from the right; an axis that is missing counts as 1. Two
    lengths fit when they are equal, or when one of them is 1, which is then repeated: (2, 1) and (3,) give (2, 3),
    and 1 with 0 gives 0. Lengths that do not fit raise an error: (2, 3) and (2,).
    """
    # TODO: torch can do it, and so can a loop over the lengths from the right.
    # BEGIN SOLUTION
    return tuple(torch.broadcast_shapes(a, b))
    # END SOLUTION


def matmul_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Tell the shape of x @ y for tensors x and y of the shapes a and b.

    a: (..., n, k), b: (..., k, m), two axes at least; tuples, lists or torch.Size.
    Returns the tuple (..., n, m). The last two axes are matrices, the ones before are batches and broadcast as in
    ``broadcast_shape``: (2, 1, 3, 4) and (5, 4, 6) give (2, 5, 3, 6), although old notes demand equal batches.
    Where k differs or the batches do not fit, an error is raised; the two k never broadcast.
    """
    # TODO: split each shape into batches and matrix.
    # BEGIN SOLUTION
    *batches_a, n, k = a
    *batches_b, rows, m = b
    if k != rows:
        raise ValueError(f"{a} has {k} columns, {b} has {rows} rows")
    return (*broadcast_shape(batches_a, batches_b), n, m)
    # END SOLUTION


def add_inplace(a: Tensor, b: Tensor) -> Tensor:
    """Add b to a in place: a itself holds the sum afterwards, and a itself is what is returned.

    b: a tensor whose shape broadcasts to that of a. a keeps its shape, dtype and memory.
    An error is raised, and a stays as it was, where that is impossible: where a would have to grow, as (3,) with
    (2, 3); where a holds integers and b floating numbers; where a is a leaf that requires gradients, since autograd
    still needs its old values. (Code that goes around this, by ``.data`` or a ``no_grad``, spoils gradients silently.)
    A result of autograd, such as a = 2 * w, is no leaf and takes b like a plain tensor.
    """
    # TODO: one method, and mind the trailing underscore.
    # BEGIN SOLUTION
    return a.add_(b)
    # END SOLUTION


def scaled_add(a: Tensor, b: Tensor, alpha: float = 1) -> Tensor:
    """Return a + alpha * b as a new tensor; a and b broadcast and stay as they are.

    The dtype is that of torch's a + b: int64 and float32 give float32. alpha is a whole number where both are integers.
    """
    # TODO: the same method without the underscore.
    # BEGIN SOLUTION
    return torch.add(a, b, alpha=alpha)
    # END SOLUTION


def round_all(x: Tensor) -> dict[str, Tensor]:
    """Round floating numbers in each way that torch knows.

    Returns a dict of tensors like x: "floor" (down), "ceil" (up), "round" (to the nearest; a half goes to the even
    neighbour: 0.5 to 0, 1.5 and 2.5 to 2), "trunc" (towards 0) and "frac" (what trunc cuts off, with the sign of x).
    -2.5 gives floor -3, ceil -2, round -2, trunc -2, frac -0.5.
    """
    # TODO: each key is the name of a function.
    # BEGIN SOLUTION
    return {name: getattr(torch, name)(x) for name in ("floor", "ceil", "round", "trunc", "frac")}
    # END SOLUTION


def python_mod(x: Tensor, m: Tensor | float) -> Tensor:
    """Return the remainder of x divided by m as Python's % does it: x - m * floor(x / m), with the sign of m.

    x: floating numbers or integers, which are exact, large ones, too. m: a number, a whole one where x holds integers,
    or a tensor of the dtype of x that broadcasts with it; never 0. -2.5 modulo 2 is 1.5, and 7 modulo -3 is -2.
    """
    # TODO: torch has two functions for remainders.
    # BEGIN SOLUTION
    return torch.remainder(x, m)
    # END SOLUTION


def c_mod(x: Tensor, m: Tensor | float) -> Tensor:
    """Return the remainder of x divided by m as C's fmod does it: x - m * trunc(x / m), with the sign of x.

    x, m: as in ``python_mod``. -2.5 modulo 2 is -0.5, and 7 modulo -3 is 1.
    """
    # TODO: the other of the two.
    # BEGIN SOLUTION
    return torch.fmod(x, m)
    # END SOLUTION


def topk_values(x: Tensor, k: int, dim: int = -1) -> Tensor:
    """Return the k largest values along an axis, the largest first.

    Returns a tensor like x in which the axis ``dim`` has length k. Equal values count each: of [5, 1, 5] the two
    largest are [5, 5]. k may be 0; more than there are raises an error.
    """
    # TODO: values, not places.
    # BEGIN SOLUTION
    return x.topk(k, dim).values
    # END SOLUTION


def kth_smallest(x: Tensor, k: int, dim: int = -1) -> Tensor:
    """Return the k-th smallest value along an axis, which goes away.

    k: 1 for the smallest. Equal values count each: of [2, 1, 1] the second smallest is 1. A k below 1, or larger than
    the axis is long, raises an error.
    """
    # TODO: torch counts k in the same way.
    # BEGIN SOLUTION
    return x.kthvalue(k, dim).values
    # END SOLUTION


def safe_equal(a: Tensor, b: Tensor) -> bool:
    """Tell whether two tensors of one dtype are the same: equal in shape and in every number, where NaN equals NaN.

    a, b: floating numbers, integers or bools, on one device.
    Returns a Python bool. Nothing broadcasts: (3,) and (1, 3) differ. Nothing is rounded: 1 and 1.0000001 differ.
    """
    # TODO: torch.equal(a, a) is False where a holds NaN.
    # BEGIN SOLUTION
    if a.shape != b.shape:
        return False
    return bool(((a == b) | (a.isnan() & b.isnan())).all())
    # END SOLUTION


def finite_mask(x: Tensor) -> Tensor:
    """Return a bool tensor: True where x is neither infinite nor NaN. Integers are finite."""
    # TODO: one function.
    # BEGIN SOLUTION
    return torch.isfinite(x)
    # END SOLUTION


def stats(x: Tensor, dim: int | None = None, unbiased: bool = True) -> dict[str, Tensor]:
    """Describe floating numbers along an axis, or all of them.

    dim: the axis that goes away; None takes all numbers as one row and gives tensors of shape ().
    unbiased: True divides the sum of squares by n - 1, False by n. Of a single number that is NaN and 0.
    Returns a dict of nine tensors: "mean", "sum", "prod", "var", "std" (the root of var), "median" (of an even
    number of values the lower one of the two in the middle), "mode" (the most frequent value; which one where several
    are equally frequent is not graded), "argmax" and "argmin" (int64; along dim, or in the flattened tensor; which one
    of equal values is not graded).

    [4, 1, 2, 2] gives mean 2.25, sum 9, prod 16, var 1.5833, std 1.2583, median 2, mode 2, argmax 0, argmin 1.
    """
    # TODO: flatten where dim is None; then each key is one call along an axis.
    # BEGIN SOLUTION
    if dim is None:
        x, dim = x.reshape(-1), 0
    return {
        "mean": x.mean(dim),
        "sum": x.sum(dim),
        "prod": x.prod(dim),
        "var": x.var(dim, unbiased=unbiased),
        "std": x.std(dim, unbiased=unbiased),
        "median": x.median(dim).values,
        "mode": x.mode(dim).values,
        "argmax": x.argmax(dim),
        "argmin": x.argmin(dim),
    }
    # END SOLUTION


def histogram(x: Tensor, bins: int, lo: float = 0, hi: float = 0) -> Tensor:
    """Count how many numbers fall into each of ``bins`` equal parts of the range from lo to hi.

    x: float32 or float64 numbers of any shape, without NaN. bins: at least 1.
    Returns the counts (bins,), of int64 or of any floating dtype. A part begins with its lower bound and ends before
    its upper one; only the last contains hi, too. Numbers outside of the range are not counted. lo = hi = 0 stands for
    the range of the numbers themselves, from the smallest to the largest (not graded where all are equal).
    lo > hi raises an error.

    [1, 2, 3, 4, 5] in 4 parts gives [1, 1, 1, 2] with lo = hi = 0, and [1, 0, 1, 1] from 2 to 4.
    """
    # TODO: torch.histc does it.
    # BEGIN SOLUTION
    return torch.histc(x, bins, lo, hi)
    # END SOLUTION


def count_values(x: Tensor) -> Tensor:
    """Count how often each of 0, 1, 2, ... occurs.

    x: (n,) integers, none negative.
    Returns int64 counts; place i tells how often i occurs, up to the largest number in x: [1, 4, 1] gives
    [0, 2, 0, 0, 1], and an empty x an empty tensor. Floating numbers, negative ones, and an x with another number of
    axes than one raise an error.
    """
    # TODO: one function.
    # BEGIN SOLUTION
    return torch.bincount(x)
    # END SOLUTION


def clip(x: Tensor, lo: float | None = None, hi: float | None = None) -> Tensor:
    """Keep floating numbers between two bounds: what is below lo becomes lo, what is above hi becomes hi.

    None means no bound on that side; one of the two is given at least. Where lo > hi, everything becomes hi. NaN stays
    NaN. The gradient is 1 inside of the bounds and 0 outside: of [1, 4, 6] between 2 and 5 it is [0, 1, 0].
    """
    # TODO: one function.
    # BEGIN SOLUTION
    return x.clamp(lo, hi)
    # END SOLUTION


def pairwise_distance_matrix(a: Tensor, b: Tensor) -> Tensor:
    """Measure the Euclidean distance of each point of a to each point of b.

    a: (n, d), b: (m, d), float32 or float64, d >= 1.
    Returns (n, m): row i, column j holds the root of the sum of (a[i] - b[j]) ** 2. (0, 0) and (3, 4) are 5 apart.
    Graded with a tolerance of 1e-4 in float32, on numbers below 10, where the expanded square will do as well.
    """
    # TODO: give a and b an axis of length 1 each, so that their difference has the shape (n, m, d).
    # BEGIN SOLUTION
    return torch.linalg.vector_norm(a[:, None] - b[None], dim=-1)
    # END SOLUTION
