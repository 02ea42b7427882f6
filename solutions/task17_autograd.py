"""Task 17: autograd from the inside.

While a formula is computed, PyTorch writes down a graph: tensors that you made are its leaves, every operation is a
node, and each node knows how a gradient passes through it backwards. Here you read that graph, ask it for products,
first and second derivatives, add nodes of your own, and do its work once by hand.

One example for all: w = 1, x = 2, y = (w + x) · (w + 1). The leaves are w and x; w + x, w + 1 and y are not. The
nodes of y are one multiplication, two additions, and one AccumulateGrad for each leaf. Backwards from y arrive
dy/dw = (w + 1) + (w + x) = 5 and dy/dx = w + 1 = 2.

Conventions:

* Tensors are float32 or float64, of any shape and any memory layout, empty ones and single numbers of shape ()
  included. Results have the dtype and the device of `x`.
* Functions that are passed in (`f`, `y_fn`, `inner`, `outer`) take one tensor and return one. They may use other
  tensors that require gradients, such as weights.
* `x` may be a leaf or not and may require gradients or not. What comes back is detached: it requires none.
* Nothing is left behind. Arguments keep their values, their requires_grad and their .grad, and so do the tensors
  that a function uses: weights keep their .grad, and a constant that it returns still requires no gradient.
* Where a function does not depend on its argument, or its derivative does not, the derivative is 0: a tensor of
  zeros, neither None nor an error.
* Derivatives are right to the last digits, so differences such as (f(x + h) - f(x)) / h are too rough.

Forbidden: autograd in `backprop_two_layer` (torch.autograd, backward(), torch.func), for there its work is done by
hand. Everywhere else all of PyTorch is yours.
"""

import torch
from torch import Tensor, nn


def leaf_report(*tensors: Tensor) -> list[bool]:
    """Say of each tensor whether it is a leaf of the graph: made by you, and not by an operation that is recorded.

    For w, x, w + x, w + 1 and (w + x) · (w + 1), where w and x require gradients: [True, True, False, False, False].
    A tensor that requires no gradient is a leaf, too, since nothing of it was recorded. Without tensors: [].
    """
    # TODO: each tensor knows it.
    # BEGIN SOLUTION
    return [tensor.is_leaf for tensor in tensors]
    # END SOLUTION


def graph_nodes(t: Tensor) -> list[str]:
    """Return the names of the nodes behind `t`, each node once, in any order.

    The name is that of the node's class, such as "MulBackward0" or "AccumulateGrad", without a prefix. Two nodes
    may have the same name: for (w + x) · (w + 1) the list holds MulBackward0 once, AddBackward0 twice and
    AccumulateGrad twice. A node that is reached in several ways is one node. A leaf has none: [].

    Some graphs are thousands of nodes deep, deeper than Python lets a function call itself, and in some the number
    of ways doubles with every node; both take a blink.
    """
    # TODO: start at t.grad_fn, follow next_functions, and remember where you have been.
    # BEGIN SOLUTION
    seen, waiting = set(), [t.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return [type(node).__name__ for node in seen]
    # END SOLUTION


# BEGIN SOLUTION
def leaf_of(x: Tensor) -> Tensor:
    """A leaf of its own with the values of x, which does not learn of what is computed with it."""
    return x.detach().requires_grad_()


def gradient(y: Tensor, x: Tensor, create_graph: bool = False, v: Tensor | None = None) -> Tensor:
    """The gradient of y by x, weighted by v (of y's shape); zeros where y does not depend on x."""
    if not y.requires_grad:
        return torch.zeros_like(x)
    v = torch.ones_like(y) if v is None else v
    return torch.autograd.grad(y, x, v, create_graph=create_graph, materialize_grads=True)[0]


# END SOLUTION
def accumulated_gradient(f, x: Tensor, times: int) -> Tensor:
    """Go backwards `times` times through one and the same graph of f(x), and return the gradient that has gathered.

    A backward pass adds to a gradient that is there already: that is why a training loop has to clear it. With
    f(x) = x² at x = 2 each pass adds 4, so five passes make 20. `f` is called once and returns a tensor of shape ();
    its graph has to survive all passes. With times = 0 the answer is zeros.

    Returns: shaped like x.
    """
    # TODO: one call of f, then `times` passes; look up what frees a graph, and how to keep it.
    # BEGIN SOLUTION
    leaf = leaf_of(x)
    y = f(leaf)
    leaf.grad = torch.zeros_like(leaf)
    for _ in range(times):
        if y.requires_grad:
            y.backward(retain_graph=True, inputs=[leaf])  # inputs: nothing gathers in weights that f uses
    return leaf.grad
    # END SOLUTION


def middle_gradient(inner, outer, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of outer(inner(x)) by the value in the middle, h = inner(x), and by x.

    PyTorch keeps gradients of leaves only: h.grad is None unless you ask for it before the backward pass. With
    inner(x) = 3 x and outer(h) = sum of h² at x = [1, 2]: h = [3, 6], the gradient by h is [6, 12], by x [18, 36].

    `outer` returns a tensor of shape (). Returns: (gradient shaped like h, gradient shaped like x).
    """
    # TODO: keep a hand on h, and ask for both.
    # BEGIN SOLUTION
    leaf = leaf_of(x)
    h = inner(leaf)
    middle = leaf_of(h)
    by_middle = gradient(outer(middle), middle)
    return by_middle, gradient(h, leaf, v=by_middle)
    # END SOLUTION


def vector_jacobian(y_fn, x: Tensor, v: Tensor) -> Tensor:
    """Return the vector-Jacobian product: the sum over i of v_i · ∂y_i / ∂x, for y = y_fn(x).

    A tensor y of many numbers has no single gradient; v says how much each of them counts. With y = 3 x and
    v = [1, 2, 3, 4] it is [3, 6, 9, 12].

    v: shaped like y, which may be shaped otherwise than x. Returns: shaped like x.
    """
    # TODO: one call of torch.autograd.grad with v in the place of "grad_outputs".
    # BEGIN SOLUTION
    leaf = leaf_of(x)
    return gradient(y_fn(leaf), leaf, v=v)
    # END SOLUTION


def first_and_second_derivative(f, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return f'(x) and f''(x) of a function that works element by element.

    With f(x) = x² at x = 3 they are 6 and 2. A first derivative has a graph of its own only if you ask for it.

    Returns: two tensors shaped like x.
    """
    # TODO: differentiate twice; mind the straight line, whose derivative has no graph.
    # BEGIN SOLUTION
    leaf = leaf_of(x)
    first = gradient(f(leaf), leaf, create_graph=True)
    return first.detach(), gradient(first, leaf)
    # END SOLUTION


def directional_derivative(f, x: Tensor, u: Tensor) -> Tensor:
    """Return how fast f rises at x in the direction of u, for each step of length 1.

    Only the direction of `u` counts, not its length, which is the root of the sum of all its squares. With
    f = 3 x₀² + x₁ at x = [1, 2] and u = [3, 4]: the gradient is [6, 1], u has length 5, and the answer is
    (6 · 3 + 1 · 4) / 5 = 4.4.

    `f` returns a tensor of shape (). u: shaped like x; raises ValueError when all of it is 0, or when it is empty,
    for then it has no direction. Returns: a tensor of shape ().
    """
    # TODO: project the gradient on u of length 1.
    # BEGIN SOLUTION
    length = torch.linalg.vector_norm(u.detach())
    if length == 0:
        raise ValueError("u is 0 and has no direction")
    leaf = leaf_of(x)
    return (gradient(f(leaf), leaf) * (u.detach() / length)).sum()
    # END SOLUTION


def hessian(f, x: Tensor) -> Tensor:
    """Return all second derivatives of f: entry [i, j] is ∂²f / ∂x_i ∂x_j, where i and j are indices of x.

    With f = x₀² · x₁ at x = [1, 2] it is [[4, 2], [2, 0]].

    `f` returns a tensor of shape (), and x is not empty. Returns: of shape x.shape + x.shape, (2, 3, 2, 3) for (2, 3).
    """
    # TODO: differentiate each entry of the gradient once more.
    # BEGIN SOLUTION
    leaf = leaf_of(x)
    first = gradient(f(leaf), leaf, create_graph=True).reshape(-1)  # (n,)
    rows = [gradient(entry, leaf, create_graph=True).detach() for entry in first]  # n of x.shape
    return torch.stack(rows).reshape(x.shape + x.shape)
    # END SOLUTION


class LineFunction(torch.autograd.Function):
    """A node of your own for y = w · x + b, element by element; LineFunction.apply(w, x, b) calls it.

    w, x and b are broadcast against each other as in PyTorch: shapes (3, 1), (4,) and () make y of shape (3, 4).
    """

    @staticmethod
    def forward(ctx, w: Tensor, x: Tensor, b: Tensor) -> Tensor:
        """Return w · x + b, and keep in ctx what backward needs.

        Tensors go through ctx.save_for_backward, not into attributes: then they are freed after the backward pass, a
        second pass without retain_graph raises a RuntimeError as it does everywhere, and no memory leaks. What is
        no tensor, such as a shape, may be an attribute.
        """
        # TODO: compute, save, return.
        # BEGIN SOLUTION
        ctx.save_for_backward(w, x)
        ctx.shape = b.shape
        return w * x + b
        # END SOLUTION

    @staticmethod
    def backward(ctx, grad_output: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients by w, x and b, for the gradient of the loss by y.

        Where something was broadcast, its gradient is a sum. What you return in the shape of y PyTorch sums to the
        shape of the input by itself, so that is right, too. An input that requires no gradient gets None in place of
        a tensor; ctx.needs_input_grad says which. grad_output is not changed. Written with ordinary operations on
        grad_output and the saved tensors, the gradients can be differentiated again.
        """
        # TODO: y = w · x + b has the slopes x, w and 1.
        # BEGIN SOLUTION
        w, x = ctx.saved_tensors
        slopes = ((x, w.shape), (w, x.shape), (1, ctx.shape))
        return tuple(
            (grad_output * slope).sum_to_size(shape) if needed else None
            for (slope, shape), needed in zip(slopes, ctx.needs_input_grad, strict=True)
        )
        # END SOLUTION


class StraightThroughSign(torch.autograd.Function):
    """The sign of x that can be trained through; StraightThroughSign.apply(x) calls it.

    The slope of sign is 0 everywhere, so nothing in front of it would ever learn. The straight-through estimator
    computes the sign, and on the way back pretends to have done nothing.
    """

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        """Return -1, 0 or 1: the sign of each number."""
        # TODO: one line.
        # BEGIN SOLUTION
        return x.sign()
        # END SOLUTION

    @staticmethod
    def backward(ctx, grad_output: Tensor) -> Tensor:
        """Pass the gradient on as it came, for every x, small or large, so that it can be differentiated again."""
        # TODO: one line.
        # BEGIN SOLUTION
        return grad_output
        # END SOLUTION


def backprop_two_layer(
    x: Tensor, y: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return loss, dw1, db1, dw2 and db2 of a network with two layers, by formula and without autograd.

    h = relu(x · w1 + b1) and p = h · w2 + b2; the loss is the mean of (p - y)² over all N · O numbers. Smallest
    example: x = 2, y = 1, w1 = 3, b1 = -1, w2 = 0.5, b2 = 0 give h = 5, p = 2.5, loss = 2.25, and backwards
    dp = 3, dw2 = 15, db2 = 3, dh = 1.5, dw1 = 3, db1 = 1.5. Where x · w1 + b1 is exactly 0 is not graded.

    x: (N, D). y: (N, O). w1: (D, H). b1: (H,). w2: (H, O). b2: (O,). None of them is empty.
    Returns: the loss, of shape (), and four gradients shaped like their weights.
    """
    # TODO: go forwards and keep what you need; go backwards one step at a time.
    # BEGIN SOLUTION
    x, y, w1, b1, w2, b2 = (tensor.detach() for tensor in (x, y, w1, b1, w2, b2))
    a = x @ w1 + b1  # (N, H)
    h = a.clamp(min=0)  # (N, H)
    error = h @ w2 + b2 - y  # (N, O)
    dp = 2 * error / error.numel()  # (N, O)
    da = (dp @ w2.T) * (a > 0)  # (N, H)
    return error.square().mean(), x.T @ da, da.sum(0), h.T @ dp, dp.sum(0)
    # END SOLUTION


class ContainerNet(nn.Module):
    """A network whose parts stand in containers, where PyTorch finds them: a Python list would hide them.

    * ``layers``, an nn.ModuleList of `depth` linear layers: in_features → hidden, then hidden → hidden.
    * ``scales``, an nn.ParameterList of one vector (hidden,) for each layer; they start at ones.
    * ``heads``, an nn.ModuleDict of two linear layers hidden → out_features, called "mean" and "spread".

    So the keys of the state_dict are layers.0.weight, scales.0, heads.mean.weight and so on. With the default sizes
    there are 40 + 72 + 2 · 8 + 2 · 18 = 164 parameters. `depth` is 1 or more. How the layers start is up to PyTorch.
    """

    def __init__(self, in_features: int = 4, hidden: int = 8, out_features: int = 2, depth: int = 2) -> None:
        super().__init__()
        # TODO: fill the three containers.
        # BEGIN SOLUTION
        widths = [in_features] + [hidden] * depth
        self.layers = nn.ModuleList(nn.Linear(a, hidden) for a in widths[:-1])
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(hidden)) for _ in range(depth))
        self.heads = nn.ModuleDict({name: nn.Linear(hidden, out_features) for name in ("mean", "spread")})
        # END SOLUTION

    def forward(self, x: Tensor, head: str = "mean") -> Tensor:
        """Return head(h), where h starts as x and each layer makes relu(scale · layer(h)) of it.

        x: (N, in_features). head: "mean" or "spread"; any other raises KeyError or ValueError.
        Returns: (N, out_features).
        """
        # TODO: go through layers and scales side by side, then through the head that is asked for.
        # BEGIN SOLUTION
        h = x
        for layer, scale in zip(self.layers, self.scales, strict=True):
            h = torch.relu(scale * layer(h))  # (N, hidden)
        return self.heads[head](h)
        # END SOLUTION
