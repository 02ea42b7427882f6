"""Task 15: indexing, joining, cutting and reshaping.

A good part of every training script computes nothing: it picks numbers, joins them, cuts them up and lays them
out anew. Mistakes there are quiet, for the shapes often fit although the numbers stand in the wrong places.
Fifteen short functions; each has an example that you can check by hand.

Conventions, for all of them:

- Only masked_fill_mean and fft_magnitude compute. The others move values: they take any dtype (float16 and
  bfloat16, integers and booleans, too) and keep it, and NaN stays NaN.
- Tensors may lie in memory in any layout: transposed, every second column, expanded. `view` fails on some
  of them; `reshape` makes a copy where it has to.
- Axes of length 1 stay; of length 0 they are only where the docstring says so. dim may count from the end: -1.
- Gradients flow to every floating-point argument. No function changes its arguments.
- Where a docstring says "refused", any of ValueError, IndexError, RuntimeError, TypeError or AssertionError is right.

Allowed is every function of PyTorch. Forbidden is a Python loop over elements, rows, pixels, windows or patches:
the number of PyTorch calls must not depend on the size of the tensors. A loop over the tensors of a list or
over the pieces of a cut is fine.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def select_where(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Take a where cond is True and b elsewhere.

    cond is boolean. The three shapes broadcast, (2, 1) and (3,) to (2, 3), and may hold axes of length 0; where the
    dtypes of a and b differ, the result has the one that a + b has.
    What is not taken leaves no trace, not even if it is NaN or infinite, and its gradient is 0.

    cond [True, False], a [1, 2], b [5, 6] -> [1, 6].
    """
    # TODO: one call, or an assignment into a tensor of the right shape and dtype.
    raise NotImplementedError


def gather_rows(x: Tensor, index: Tensor) -> Tensor:
    """Pick one number for each place of index, in its column and in the row that index names.

    x (R, C); index (N, M), int64, with M <= C and rows from 0 to R - 1; N may be 0.
    Returns (N, M) with out[i, j] = x[index[i, j], j].

    x = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]] and
    index = [[0, 1, 1, 1], [0, 1, 2, 2], [0, 1, 3, 3]] -> [[1, 6, 7, 8], [1, 6, 11, 12], [1, 6, 15, 16]].
    """
    # TODO: along which axis does index count?
    raise NotImplementedError


def pick_labels(logits: Tensor, target: Tensor) -> Tensor:
    """Pick from each row of logits (N, C) the number of its class, target (N,), int64.

    Returns (N,): out[i] = logits[i, target[i]]. N may be 0 or 1.

    logits [[1, 2, 3], [4, 5, 6]], target [2, 0] -> [3, 4].
    """
    # TODO: logits[:, target] has shape (N, N); which rows go with the columns?
    raise NotImplementedError


def one_hot(t: Tensor, n: int) -> Tensor:
    """Turn each class number of t into n numbers: 1 at the place of the class, 0 elsewhere.

    t: int64, 0 or more, any shape, also (), (0,) and (2, 0). Returns int64 of shape (*t.shape, n), on the device of t.
    A class of n or more is refused; negative ones are not asked for.

    t [2, 0], n 3 -> [[0, 0, 1], [1, 0, 0]].
    """
    # TODO: compare with 0, 1, ..., n - 1, or scatter ones, or look into torch.nn.functional. Who refuses a class of n?
    raise NotImplementedError


def masked_fill_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Put the mean of all numbers that are not masked into the places that are.

    x: floating point, with any axes or none; mask: boolean, True where a number is missing; it broadcasts to the
    shape of x, and leaves at least one number. What stands in a masked place does not matter, it may well be NaN.
    Returns a new tensor of the shape and dtype of x. There is one mean for the whole of x; gradients flow through it.

    x [[1, nan], [3, 8]], mask [[False, True], [False, False]] -> [[1, 4], [3, 8]].
    """
    # TODO: NaN times 0 is NaN, so keep what is masked out of the sum.
    raise NotImplementedError


def join(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Lay tensors one behind the other along an axis that they have.

    tensors: a list or tuple of at least one; their sizes are equal but along dim, where a size may be 0. Others are
    refused, empty ones, too (not graded: one of shape (0,), which torch lets pass). Returns memory of its own: who
    writes into the result changes none of the tensors.

    [[1, 2]] and [[3, 4]] -> [[1, 2], [3, 4]] for dim 0, [[1, 2, 3, 4]] for dim 1.
    """
    # TODO: one call.
    raise NotImplementedError


def pile(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Lay tensors of one shape on each other, along a new axis.

    tensors: a list or tuple of at least one; different shapes are refused. The new axis stands at dim of the result:
    two of shape (2, 4) give (2, 2, 4) for dim 0 and 1, and (2, 4, 2) for dim 2 or -1. Returns memory of its own.

    [1, 2] and [3, 4] -> [[1, 2], [3, 4]] for dim 0, [[1, 3], [2, 4]] for dim 1.
    """
    # TODO: join does it, once each tensor has the new axis.
    raise NotImplementedError


def split_sizes(x: Tensor, sizes: int | Sequence[int], dim: int = 0) -> Sequence[Tensor]:
    """Cut x along dim into pieces of given lengths.

    sizes: a number, the length of each piece but the last, which may be shorter; or a list of lengths, 0 allowed, that
    have to sum to the length of that axis (other sums are refused).
    Returns a list or tuple of views: who writes into a piece writes into x.

    Ten rows: sizes 3 -> pieces of 3, 3, 3 and 1 rows; sizes [1, 3, 6] -> pieces of 1, 3 and 6 rows.
    """
    # TODO: one call, or narrow() for each piece.
    raise NotImplementedError


def split_evenly(x: Tensor, n: int, dim: int = 0) -> Sequence[Tensor]:
    """Cut x along dim into exactly n pieces, as even as possible.

    The lengths differ by at most one, and the longer pieces come first; where the axis is shorter than n, the last
    pieces have length 0. torch.chunk does not promise that: of ten rows, chunk(4) makes 3, 3, 3 and 1, and chunk(6)
    makes only five pieces. Returns a list or tuple of views.

    Ten rows: n 4 -> 3, 3, 2, 2 rows; n 6 -> 2, 2, 2, 2, 1, 1 rows. Two rows: n 3 -> 1, 1, 0 rows.
    """
    # TODO: how many rows does each piece get, and how many pieces get one more?
    raise NotImplementedError


def windows(x: Tensor, size: int, step: int) -> Tensor:
    """Slide a window of `size` numbers along the last axis, by `step` numbers at a time; both are 1 or more.

    x (..., L); the axes in front may have length 0. Returns (..., W, size): window w begins at w * step, and W is the
    number of windows that fit, (L - size) // step + 1; what is left over at the end is dropped. A size above L is
    refused. The result may be a view or a copy.

    x [1, 2, 3, 4, 5, 6], size 3, step 2 -> [[1, 2, 3], [3, 4, 5]].
    """
    # TODO: which place of x stands in window w at place s? Or look for a method of tensors.
    raise NotImplementedError


def patchify(img: Tensor, p: int) -> Tensor:
    """Cut a picture into squares of p by p pixels, as a vision transformer reads it.

    img (C, H, W). Returns (L, C, p, p) with L = (H / p) * (W / p); the patches stand in reading order, row
    by row and from left to right. A height or width that p does not divide is refused.

    img [[[1, 2, 3, 4], [5, 6, 7, 8]]], p 2 -> [[[[1, 2], [5, 6]]], [[[3, 4], [7, 8]]]].
    """
    # TODO: split the two axes of the picture into four, bring them into order, join two of them.
    raise NotImplementedError


def unpatchify(patches: Tensor, height: int, width: int) -> Tensor:
    """Put the patches of patchify together again.

    patches (L, C, p, p). Returns (C, height, width): unpatchify(patchify(img, p), H, W) is img. A height or width that
    p does not divide, or that needs another number of patches, is refused.

    [[[[1, 2], [5, 6]]], [[[3, 4], [7, 8]]]], height 2, width 4 -> [[[1, 2, 3, 4], [5, 6, 7, 8]]].
    """
    # TODO: the steps of patchify, backwards. How many patches stand in a row?
    raise NotImplementedError


def rotate90(x: Tensor, k: int) -> Tensor:
    """Turn a picture k times by 90 degrees, anticlockwise.

    x (..., H, W): the last two axes turn. k may be any whole number, negative ones turn clockwise. Returns
    (..., W, H) for an odd k. The result may be a view or a copy.

    [[1, 2], [3, 4]], k 1 -> [[2, 4], [1, 3]].
    """
    # TODO: one turn is a transposition and a flip; of which axis?
    raise NotImplementedError


def hflip(x: Tensor) -> Tensor:
    """Mirror a picture (..., H, W) from left to right: the last axis is reversed.

    [[1, 2, 3], [4, 5, 6]] -> [[3, 2, 1], [6, 5, 4]].
    """
    # TODO: torch has no negative steps.
    raise NotImplementedError


def fft_magnitude(x: Tensor) -> Tensor:
    """The strength of each frequency in a signal: the magnitude of its discrete Fourier transform.

    x (..., L), float32 or float64, L at least 1. Returns (..., L), real, of the dtype of x: for k = 0, ..., L - 1 the
    magnitude of the sum over n of x[n] * exp(-2 pi i k n / L). Neither scaled nor shifted, so the first number is the
    magnitude of the sum of x. The gradient where a magnitude is 0 is not graded.

    [1, 0, 0, 0] -> [1, 1, 1, 1]; [1, 2, 3, 4] -> [10, 2.8284, 2, 2.8284].
    """
    # TODO: two calls.
    raise NotImplementedError
