"""Task 19: logistic regression, and experiments with it.

Two clouds of points in the plane, a class each, and a straight line that tells them apart. The model says how likely it
is that a point x = (x1, x2) has the label 1:

    p = sigmoid(z),   z = w1 · x1 + w2 · x2 + b,   sigmoid(z) = 1 / (1 + e^-z)

z is called the logit. The loss is the binary cross-entropy, the mean of -y · log(p) - (1 - y) · log(1 - p) over all
points. For w = (1, -2), b = 1/2 the point (1, 1) has z = -0.5 and p = 0.3775. If its label is 1, its loss is 0.9741 and
the gradient of the loss by w is (-0.6225, -0.6225), by b -0.6225. Points with p = 1/2 lie on x2 = 0.5 · x1 + 0.25.

Two numbers describe the clouds. `mean_value` is how far each centre lies from the middle: if it is small the clouds
overlap, and no line whatever reaches 99 %. A loop that waits for 99 % then waits for ever; a good one stops some day,
and says so. `bias` moves both clouds away from the origin. They are as far apart as before, and yet gradient descent
gets slow: x1, x2 and the constant 1 that belongs to b are nearly the same direction then. The last function makes a
table of both effects.

Conventions:

* x is (N, 2), y is (N,) with the labels 0.0 and 1.0; both are float32 and are not changed.
* A model returns logits or probabilities, in the shape (N,) or (N, 1), both as you like. But the loss has to fit:
  binary_cross_entropy takes probabilities, binary_cross_entropy_with_logits takes logits. A sigmoid too many still
  trains, to a wrong p. (N, 1) against (N,) is refused, or silently compares everything with everything.
* Single numbers are returned as plain Python floats or ints.

Forbidden: autograd in `loss_gradients`, which is a formula. Libraries of learning machines (sklearn, scipy, ...).
"""

import math
import statistics

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def make_blobs(mean_value: float, bias: float, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return two clouds of n points each, and their labels.

    The label 0 comes first: n points around (mean_value + bias, mean_value + bias). Then n points with the label 1
    around (-mean_value + bias, -mean_value + bias). Each coordinate of each point gets normal noise of its own, with
    mean 0 and standard deviation 1. The seed decides about the noise, the other arguments do not: the same seed gives
    the same noise, another seed another one.

    Returns: x (2n, 2) and y (2n,), float32.
    """
    # TODO: the labels, the centre of each point, and noise from a generator made from the seed.
    # BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(2.0).repeat_interleave(n)  # (2n,)
    centres = mean_value * (1 - 2 * y) + bias  # (2n,)
    return centres[:, None] + torch.randn(2 * n, 2, generator=generator), y
    # END SOLUTION


def bayes_accuracy(mean_value: float) -> float:
    """Return the accuracy that no classifier can beat on such clouds, on average: Phi(mean_value · sqrt(2)).

    Phi(t) is the probability that a standard normal number is below t. The centres are 2 · sqrt(2) · mean_value apart,
    and the best line runs half way between them, so each point is on its own side with the probability above.

    mean_value: 0 or more. For 0 it is 0.5, for 1 0.92135, for 1.7 0.991895, for 5 1.0.
    """
    # TODO: Phi can be written with the error function erf.
    # BEGIN SOLUTION
    return (1 + math.erf(mean_value)) / 2
    # END SOLUTION


def loss_gradients(x: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives of the loss by w and by b.

    They are simpler than the loss: each point adds (p - y) · x to the one and (p - y) to the other. They stay right for
    logits as large as ±1000. Written as a formula: no autograd here.

    x: (N, 2), N at least 1. y: (N,). w: (2,). b: (). All of one floating dtype, float32 or float64, on one device.
    Returns: (2,) and (), of that dtype and on that device.
    """
    # TODO: p, the differences p - y, and two means.
    # BEGIN SOLUTION
    difference = torch.sigmoid(x @ w + b) - y  # (N,)
    return (difference[:, None] * x).mean(0), difference.mean()
    # END SOLUTION


class LogisticRegression(nn.Module):
    """The model, with exactly three trainable numbers: a parameter of two numbers, w, and one of one number, b.

    model(x): x (N, 2), N may be 0. Returns logits or probabilities, (N,) or (N, 1). It may start at zeros, for the
    loss has one valley, or at small random numbers, as nn.Linear does.
    """

    def __init__(self):
        super().__init__()
        # TODO: two parameters, or one linear layer.
        # BEGIN SOLUTION
        self.weight = nn.Parameter(torch.zeros(2))
        self.bias = nn.Parameter(torch.zeros(()))
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        # TODO: z or p for each point.
        # BEGIN SOLUTION
        return x @ self.weight + self.bias
        # END SOLUTION


def predict(model: nn.Module, x: Tensor) -> Tensor:
    """Return the more likely label of each point: 1 where p > 1/2, 0 where p < 1/2; at exactly 1/2 either.

    model: a LogisticRegression of yours. Returns: (N,), zeros and ones of any dtype.
    """
    # TODO: where does your model's output say 1/2?
    # BEGIN SOLUTION
    with torch.no_grad():
        return (model(x) >= 0).float()
    # END SOLUTION


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the share of the points, N at least 1, that get their true label; y may be (N,) or (N, 1)."""
    # TODO: compare shapes that fit.
    # BEGIN SOLUTION
    return (predict(model, x) == y.reshape(-1)).double().mean().item()
    # END SOLUTION


def train(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    lr: float = 0.01,
    momentum: float = 0.9,
    max_iter: int = 1000,
    target_accuracy: float = 0.99,
) -> dict:
    """Train the model on all points at once, until it is good enough or the steps are used up.

    Gradient descent with momentum is meant: torch.optim.SGD, or by hand. Another way to the same valley is as good, as
    Newton's steps, or descent on standardised x; then lr and momentum mean what they can mean there. In the end the
    model has the weights for x as it is. On 200 points with mean_value=0.5 and bias=1, 1000 steps with lr=0.05 and
    momentum=0.9 end within 0.00001 of the smallest loss that there is.

    model: a LogisticRegression of yours, which is trained in place. x, y: see above; y may also be (N, 1).
    target_accuracy: the run ends when accuracy(model, x, y) > target_accuracy. Look after each step, or each 20.
    max_iter: at most so many steps, 0 or more. A run that does not reach the target makes all of them.

    Returns a dict: "steps", how many were made, an int; "accuracy" and "loss", floats, of the model as it comes back,
    not as it was before the last step; "reached", a bool: whether this accuracy is above target_accuracy.
    """
    # TODO: a loop with a step and a look; measure again at the end.
    # BEGIN SOLUTION
    y = y.reshape(-1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    steps = 0
    while steps < max_iter and not (steps % 20 == 0 and accuracy(model, x, y) > target_accuracy):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(x), y).backward()
        optimizer.step()
        steps += 1
    with torch.no_grad():
        loss = F.binary_cross_entropy_with_logits(model(x), y).item()
    right = accuracy(model, x, y)
    return {"steps": steps, "accuracy": right, "loss": loss, "reached": right > target_accuracy}
    # END SOLUTION


def decision_boundary(model: nn.Module) -> tuple[float, float]:
    """Return the slope and the intercept of the line on which p = 1/2: x2 = slope · x1 + intercept.

    model: a LogisticRegression of yours whose second weight is not 0.
    """
    # TODO: set z = 0 and solve for x2.
    # BEGIN SOLUTION
    w1, w2 = model.weight.tolist()
    return -w1 / w2, -model.bias.item() / w2
    # END SOLUTION


def experiment(mean_values: list[float], biases: list[float], seeds: list[int]) -> list[dict]:
    """Train once for each mean value, bias and seed, and return a table: one row for each mean value and bias.

    Each run: make_blobs with 100 points for each class and the seed; a new LogisticRegression; train with its defaults.
    A run can be repeated: it depends on mean value, bias and seed alone, so a random start needs the seed, too. Call
    make_blobs and train by their names: the checks put scripted ones in their place, whose tables are known, and so
    this can be right before they are.

    Returns a list of dicts, in the order (mean_values[0], biases[0]), (mean_values[0], biases[1]), ...:
        "mean_value", "bias": floats, as given. "bayes": bayes_accuracy(mean_value).
        "accuracy": the mean of the runs' accuracies, a float.
        "fired": how many runs reached the target, an int.
        "steps": the median of the steps of those that did (of two in the middle their mean); None if there is none.
    """
    # TODO: three loops; collect what train returns.
    # BEGIN SOLUTION
    table = []
    for mean_value in mean_values:
        for bias in biases:
            runs = []
            for seed in seeds:
                x, y = make_blobs(mean_value, bias, 100, seed)
                runs.append(train(LogisticRegression(), x, y))
            steps = [run["steps"] for run in runs if run["reached"]]
            table.append(
                {
                    "mean_value": float(mean_value),
                    "bias": float(bias),
                    "bayes": bayes_accuracy(mean_value),
                    "accuracy": statistics.fmean(run["accuracy"] for run in runs),
                    "fired": len(steps),
                    "steps": statistics.median(steps) if steps else None,
                }
            )
    return table
    # END SOLUTION
