"""Task 18: linear regression that knows when to stop.

Gradient descent needs a step size and a rule when to stop, and both are often guessed. Here the step size comes from
the data, and the rule asks the right question: not "is the loss small?", for its smallest value is that of the noise,
which nobody knows before, but "is there still a slope?".

One example for all: x = (0, 2), y = (1, 5), that is y = 2 x + 1. At w = 0, b = 0 the errors w x + b - y are -1 and
-5, the loss is (1 + 25) / 2 / 2 = 6.5, and its derivatives are -5 by w and -3 by b.

Try it at a rate of 0.05: of forty noisy lines of 20 points with slope 2 and intercept 5 the rule "stop when the loss is
below 1" fires in some 35, long before the line is found, mostly at an intercept between 2 and 4. In the others the loss
never gets there, or it grows for ever.

Conventions:

* The loss is the half mean squared error, the mean of (w x + b - y)² / 2. Mind the half: it halves derivatives and
  curvatures, and doubles the rates that are stable.
* The functions of tensors take x and y of the same shape, (n,) or (n, 1), with n of 1 or more, float32 or float64, in
  any memory layout. No function changes its arguments or PyTorch's global random state.

Forbidden: what solves for the line in one go (``lstsq``, ``pinv``, ``solve``, ``inv``, ``polyfit``, ...) and
``torch.optim``; the eigenvalues of a matrix are allowed.
"""


import torch
from torch import Tensor


def make_line(slope: float, intercept: float, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return x and y of a noisy line: y = slope · x + intercept + noise.

    x is drawn uniformly from [0, 10), in any order. Every point has its own noise, normal with mean 0 and standard
    deviation 1. The same seed gives the same points, another seed others.

    Returns: two float32 tensors of shape (n, 1).
    """
    # TODO: draw everything from a generator of your own.
    raise NotImplementedError


def half_mse(x: Tensor, y: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Return the mean of (w x + b - y)² / 2, differentiable in w and b. For the example: 6.5.

    w, b: tensors of shape (), of the dtype and on the device of x. Returns: a tensor of shape (), of that dtype and on
    that device.
    """
    # TODO: one line.
    raise NotImplementedError


def half_mse_gradients(x: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives of `half_mse` by w and by b. For the example: -5 and -3.

    w, b: tensors of shape (), of the dtype and on the device of x. Returns: two tensors like them, without a graph.
    """
    # TODO: write the error once, then two means.
    raise NotImplementedError


def curvatures(x: Tensor) -> tuple[float, float]:
    """Return the smallest and the largest curvature of the loss, as floats.

    They are the eigenvalues of the matrix of second derivatives by w and b, [[mean of x², mean of x], [mean of x, 1]],
    which depends on x alone. For x = (0, 2) the matrix is [[2, 1], [1, 1]], and they are (3 ± √5) / 2 = 0.382 and
    2.618. Where all x are the same the smallest is 0: one direction of w and b is flat. Computed in float64.
    """
    # TODO: fill the matrix, and look into torch.linalg for symmetric matrices, or solve a quadratic equation.
    raise NotImplementedError


def stable_learning_rate(x: Tensor) -> float:
    """Return a step size with which plain gradient descent on `half_mse` does not diverge, whatever y is.

    A step of lr multiplies the error along a direction of curvature c by 1 - lr · c. So lr has to be below
    2 / largest curvature. It need not be the best one, but a tenth of that limit or more: smaller ones waste steps.
    """
    # TODO: one line.
    raise NotImplementedError


def stop_reason(
    gradient: float, loss: float, first_loss: float, iteration: int, tol: float, max_iter: int
) -> str | None:
    """Say whether descent is over, and why; the first of these that holds counts.

    * "diverged": gradient or loss is NaN or infinite, or the loss is more than a million times first_loss.
    * "converged": gradient, the length of the vector of both derivatives, is at most tol.
    * "max_iter": iteration, the number of steps that were taken, has reached max_iter.
    * None: go on.
    """
    # TODO: three questions.
    raise NotImplementedError


def fit_until_converged(
    x: Tensor, y: Tensor, lr: float | None = None, max_iter: int = 20000, tol: float = 1e-6
) -> dict:
    """Fit y = w x + b by gradient descent, until there is no slope left.

    x, y: (n,) or (n, 1), also one of each. x lies within [0, 10). Compute in float64: in float32 rounding
    may keep the slope above tol for ever.
    lr: a step size for plain gradient descent on x as it is, from w = 0 and b = 0, with the rule of `stop_reason`.
        None: choose what you like, such as `stable_learning_rate`, or descent on a scaled x, and a rule that means
        converged. Then the run has to converge within 20000 steps, whatever the noise is: none, small or large, for
        two points as for a thousand, as long as the largest curvature is at most 500 times the smallest; w has to be
        within 0.01 and b within 0.05 of the line of least squares. Where all x are the same, any of the many best lines
        will do: w x + b has to be within 0.01 of the mean of y.
    max_iter: steps at most. tol: the length of the gradient that counts as none.

    Returns a dict: "w" and "b", plain floats for x and y as they came in; "iterations", the int of steps that were
    taken; "stop_reason", "converged", "diverged" or "max_iter"; "losses", a list of floats, the loss before each
    step. The loss after the last step may stand behind them.
    """
    # TODO: loop: loss, gradient, stop?, step.
    raise NotImplementedError
