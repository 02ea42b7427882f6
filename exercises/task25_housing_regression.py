"""Task 25: the price of a house, and how much a test is worth.

A table of 506 districts, 13 numbers of each and the price of a house, goes through everything that honest regression
needs: it is read, split, standardised, fitted by a small network, and tested on rows that the network has never seen;
once, and then k times, so that each row is tested once.

Rows and prices are in an order: the price falls from row to row. Whoever tests on the last rows tests on the cheapest
houses, which were not in training. And whoever computes mean and standard deviation before splitting has looked at the
test rows. Both mistakes change the score without a word.

One example for the score: the prices (1, 2, 3, 6) are predicted as (1, 2, 4, 5). The squared errors add up to
0 + 0 + 1 + 1 = 2. Predicting the mean, 3, for all of them costs 4 + 1 + 0 + 9 = 14. So R² = 1 - 2 / 14 = 0.857: 1 is
perfect, 0 no better than the mean, and below 0 worse.

Conventions:

* x is (N, 13) and y, the prices, is (N,) or (N, 1); both are float32 tensors where nothing else is said. No function
  changes its arguments.
* Predictions and prices have the same shape before they are subtracted: (N, 1) minus (N,) is (N, N) and compares each
  prediction with each price. PyTorch only warns, the net learns the mean, and R² stays near 0.
* A seed decides about all that is random: the same seed gives the same result, another seed another one.

Forbidden: libraries of learning machines (sklearn, pandas, scipy, ...), which have these functions ready.
"""


import torch
from torch import Tensor, nn
from torch.nn import functional as F


def parse_table(text: str) -> Tensor:
    """Return the numbers of a table: one row a line, numbers separated by white space.

    White space is any number of blanks and tabs, also before the first and after the last number of a line. Lines
    without a number are left out. Numbers may look like 3, -0.5, .25 or 1.5e-3. "0.5 2\\n\\n 1\\t3\\n" gives
    [[0.5, 2.0], [1.0, 3.0]]. Raises ValueError if two rows have different numbers of columns, and for a word that is
    no number.

    Returns: (rows, columns), float64, a tensor or an array.
    """
    # TODO: lines, words, floats; then look whether the rows are of one length.
    raise NotImplementedError


def train_test_split(x: Tensor, y: Tensor, test_size: float | int = 0.3, seed: int = 0) -> tuple:
    """Split the rows at random into a training part and a test part; each row goes into one of them, with its y.

    test_size: a float between 0 and 1 is a share of the rows, rounded to a whole number of rows, up or down as you
    like; an int is a number of rows. x: (N, anything), y: (N,) or (N, 1).

    Returns (x_train, x_test, y_train, y_test), in this order; the columns and dtypes are those of x and y.
    """
    # TODO: one random order of the rows, for both x and y.
    raise NotImplementedError


def standardize(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Return both parts with each column shifted and scaled: in train its mean becomes 0, its standard deviation 1.

    Shift and scale are those of the training rows for both parts: test rows have no influence on anything. The standard
    deviation may divide by N or by N - 1. A column that is constant in train becomes 0 there; in test it may become
    anything finite. For train = (1, 3, 8) and test = (5): the mean is 4, the deviations are -3, -1 and 4, and the
    standard deviation is 2.944 (or 3.606), so that they become (-1.019, -0.340, 1.359) and (0.340).

    train: (N, columns), N at least 2; test: (M, columns), M may be 0. float32 or float64; the dtype is kept.
    """
    # TODO: two statistics for each column, of train alone.
    raise NotImplementedError


def r2_score(y_true: Tensor, y_pred: Tensor) -> float:
    """Return R²: 1 - (sum of squared errors) / (sum of squared deviations of y_true from its own mean).

    y_true, y_pred: N values each, N at least 2, in the shape (N,) or (N, 1), also one of each; y_true is not constant.
    Predictions may come straight from a net, with gradients recorded. Returns a plain float.
    """
    # TODO: make the shapes equal, then two sums.
    raise NotImplementedError


class HousingNet(nn.Module):
    """A linear layer from 13 inputs to 100 hidden units, ReLU, and a linear layer to one output.

    That is 1,501 trainable numbers. net(x): x (N, 13), N may be 1 or 0. Returns (N,) or (N, 1), as you like, but in the
    same way for each N: squeeze() without an axis makes a batch of one a number without axes.
    """

    def __init__(self):
        super().__init__()
        # TODO: two linear layers.
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        # TODO: one line.
        raise NotImplementedError


def train_regressor(x: Tensor, y: Tensor, epochs: int = 300, lr: float = 0.01, seed: int = 0) -> nn.Module:
    """Train a net on standardised x, and return it: a HousingNet, or a module that answers like one.

    Its answers are prices in the units of y. Any optimiser will do, in batches or on all rows at once, with y scaled
    inside and scaled back, or stopping early. With the defaults a HousingNet and Adam on all rows reach R² of 0.8 to
    0.9 on test rows of the table; about half of that is asked for.

    epochs: passes over the rows, at most. lr: the optimiser's rate. With epochs=0 or lr=0 the net is as it started.
    seed: decides about the start, and about the order of rows where you shuffle. y: (N,) or (N, 1), which makes no
    difference.
    """
    # TODO: seed, net, optimiser, and a loop. Which shape has the loss to see?
    raise NotImplementedError


def k_fold_indices(n: int, k: int, shuffle: bool = False, seed: int = 0) -> list[tuple]:
    """Return k pairs (train, test) of row numbers: each row is tested once, and trained on in the other k - 1 rounds.

    The folds differ by one row at most, the longer ones come first: 7 rows in 3 folds are tested as 3, 2 and 2. Without
    shuffling a fold is a block of rows, [0, 1, 2], [3, 4], [5, 6]; with it, the seed decides which rows a fold has.
    k = n leaves one row out at a time. Raises ValueError for k below 2 and for k above n.

    Returns a list of k pairs of lists, arrays or tensors of whole numbers, each in any order.
    """
    # TODO: an order of the rows, where each fold begins, and the rest of the rows.
    raise NotImplementedError


def cross_validate(
    x: Tensor, y: Tensor, k: int = 5, seed: int = 0, epochs: int = 300, lr: float = 0.01
) -> tuple[float, float]:
    """Return the mean and the standard deviation of k test scores, one for each fold of the shuffled rows.

    In each round both parts are standardised by the training rows of that round, train_regressor makes a new net with
    epochs and lr from these rows and their prices as they are, and R² is that of the test rows. The standard deviation
    divides by k. Call train_regressor by its name: most checks put one in its place whose net is known, and so this can
    be right before it is.

    x: (N, 13), not standardised. y: (N,) or (N, 1). Returns two plain floats.
    """
    # TODO: a loop over the folds, with a function of this file for each step.
    raise NotImplementedError
