"""Task 38: the RNN, the LSTM and the GRU, forwards and backwards in time.

A recurrent network reads a sequence one step after the other and keeps a state. One step is a *cell*, a formula of a
few lines. A *layer* is the cell in a loop over time, perhaps a second one from the end to the beginning, and perhaps
another layer on top. Nearly everything that goes wrong with it goes wrong silently: the gates in another order, padding
that gets into the state, the state of the backward direction taken at the wrong end, a graph that grows from batch to
batch. Here you write cells and layers that compute what ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU`` do, and the tools around
them.

An example to check by hand. A cell with one input, one unit and w_ih = 1, w_hh = 2, b_ih = -0.5, b_hh = -0.5 reads
x = 1 in the state h = 0.25: tanh(1 - 0.5 + 2 · 0.25 - 0.5) = tanh(0.5) = 0.4621. Where all weights and biases are 0,
each gate is sigmoid(0) = 0.5: the LSTM halves c, and the GRU halves h.

Conventions, the same as PyTorch's:

* T steps, B sequences, I inputs, H units, D directions (1 or 2), L layers. Tensors are float32 or float64, in any
  layout in memory; results have the dtype of ``x``, on its device, and no function changes its arguments, but for
  `clip_grad_norm_`. All results that are made of floating-point arguments are differentiable, but for those of `bptt`,
  `gradient_norm_through_time` and `clip_grad_norm_`.
* Weights are (gates · H, inputs), one gate below the other: i, f, g, o in the LSTM; r, z, n in the GRU. A cell has two
  biases, b_ih and b_hh. They are redundant but in the GRU, and both are counted and trained.
* The state of an RNN or a GRU is a tensor h; that of an LSTM is a pair (h, c). The output is always h.
* ``lengths`` is (B,), whole numbers from 0 to T in any order: sequence b is ``x[:lengths[b], b]``, and what follows is
  padding. Any numbers may stand there whose products with the weights are finite, and they change nothing: no state,
  no output, no gradient.
* There is at least one step, one sequence and one unit; the three cells, `mask_by_length` and `last_valid_hidden` take
  an empty batch, too.

Forbidden, for they are what you write: PyTorch's recurrent layers, cells and functions (``nn.RNN``, ``nn.LSTMCell``,
``torch.gru_cell``, ...) in the cells and layers; autograd in `bptt`; ``torch.nn.utils`` in `clip_grad_norm_`. Loops
over time, directions and layers are what is wanted.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

State = Tensor | tuple[Tensor, Tensor]


def rnn_cell(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
    """One step of an RNN: tanh(W_ih x + b_ih + W_hh h + b_hh), for each sequence.

    x: (B, I). h: (B, H). w_ih: (H, I). w_hh: (H, H). b_ih, b_hh: (H,). Returns: the new h, (B, H).
    """
    # TODO: two products with transposed weights, their biases, tanh.
    # BEGIN SOLUTION
    return torch.tanh(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh)
    # END SOLUTION


def lstm_cell(
    x: Tensor, state: tuple[Tensor, Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM. a = W_ih x + b_ih + W_hh h + b_hh holds four blocks of H numbers, in this order:

        i = sigmoid(a₁)    how much of the new is let in
        f = sigmoid(a₂)    how much of the old is kept
        g = tanh(a₃)       the new
        o = sigmoid(a₄)    how much is shown

    and then c' = f · c + i · g and h' = o · tanh(c').

    x: (B, I). state: h and c, (B, H) each. w_ih: (4H, I). w_hh: (4H, H). b_ih, b_hh: (4H,).
    Returns: the new (h, c). However large the numbers are, nothing becomes NaN.
    """
    # TODO: all four blocks come of one sum; cut it with chunk.
    # BEGIN SOLUTION
    h, c = state
    i, f, g, o = (x @ w_ih.T + b_ih + h @ w_hh.T + b_hh).chunk(4, 1)  # (B, H) each
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c
    # END SOLUTION


def gru_cell(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
    """One step of a GRU. a = W_ih x + b_ih and b = W_hh h + b_hh hold three blocks of H numbers each, in this order:

        r = sigmoid(a₁ + b₁)    how much of the old the new may see
        z = sigmoid(a₂ + b₂)    how much of the old is kept
        n = tanh(a₃ + r · b₃)   the new

    and then h' = (1 - z) · n + z · h. The reset gate r multiplies the product and its bias, as in PyTorch; where it
    multiplies h before the product, as in the first paper, it is another function.

    x: (B, I). h: (B, H). w_ih: (3H, I). w_hh: (3H, H). b_ih, b_hh: (3H,). Returns: the new h, (B, H).
    However large the numbers are, nothing becomes NaN.
    """
    # TODO: here the two sums stay apart until r is known.
    # BEGIN SOLUTION
    r, z, new = (x @ w_ih.T + b_ih).chunk(3, 1)
    r_h, z_h, new_h = (h @ w_hh.T + b_hh).chunk(3, 1)
    z = torch.sigmoid(z + z_h)
    n = torch.tanh(new + torch.sigmoid(r + r_h) * new_h)
    return (1 - z) * n + z * h
    # END SOLUTION


def mask_by_length(lengths: Tensor, max_len: int) -> Tensor:
    """Tell for each sequence which of ``max_len`` places hold something: True is valid, False is padding.

    For lengths 2, 0, 5 and max_len 3: [[T, T, F], [F, F, F], [T, T, T]]. A length beyond max_len gives a full row.

    lengths: (B,), any integer dtype; it may be empty, and max_len may be 0. Returns: (B, max_len), bool, on the device
    of ``lengths``.
    """
    # TODO: compare the numbers of the places with each length.
    # BEGIN SOLUTION
    return torch.arange(max_len, device=lengths.device) < lengths[:, None]
    # END SOLUTION


def last_valid_hidden(outputs: Tensor, lengths: Tensor) -> Tensor:
    """Return the output of each sequence at its last valid place, lengths - 1.

    outputs: (B, T, H), batch first, float32 or float64. lengths: (B,), whole numbers from 1 to T, in any order and of
    any integer dtype. Returns: (B, H).
    """
    # TODO: one place for each row of the batch.
    # BEGIN SOLUTION
    return outputs[torch.arange(len(outputs), device=outputs.device), lengths.long() - 1]
    # END SOLUTION


def scan(
    cell: Callable,
    x: Tensor,
    state: State,
    weights: tuple[Tensor, Tensor, Tensor, Tensor],
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, State]:
    """Run a cell over time in one direction.

    ``cell(x_t, state, *weights)`` returns the new state, as the three cells above do: a tensor h, or a pair (h, c).

    Forwards, the cell reads x[0], x[1], ..., and the final state is that after the last step. With ``reverse`` it reads
    x[T - 1], x[T - 2], ..., x[0], and the final state is that after x[0]. In both cases outputs[t] is the h that the
    cell made when it read x[t], so that outputs stand beside their inputs.

    With ``lengths`` a sequence does not read its padding: its state stays as it is there, and its outputs are 0. So
    the final state forwards is that after the last valid step, and backwards the given state waits until the last valid
    step comes. A sequence of length 0 keeps the given state.

    x: (T, B, I). state: (B, H), or a pair of these. weights: (w_ih, w_hh, b_ih, b_hh). lengths: (B,) or None.
    Returns: outputs (T, B, H), and the final state, in the form of ``state``.
    """
    # TODO: first without lengths: a loop over time, a list of outputs. Then torch.where takes the old where padding is.
    # BEGIN SOLUTION
    steps = range(len(x))
    outputs: list[Tensor] = [x] * len(x)
    valid = None if lengths is None else mask_by_length(lengths, len(x)).T[..., None]  # (T, B, 1)
    for t in reversed(steps) if reverse else steps:
        new = cell(x[t], state, *weights)
        if valid is None:
            state = new
        elif isinstance(state, tuple):
            state = torch.where(valid[t], new[0], state[0]), torch.where(valid[t], new[1], state[1])
        else:
            state = torch.where(valid[t], new, state)
        h = state[0] if isinstance(state, tuple) else state  # (B, H)
        outputs[t] = h if valid is None else torch.where(valid[t], h, 0)
    return torch.stack(outputs), state
    # END SOLUTION


class Recurrent(nn.Module):
    """What RNN, LSTM and GRU have in common; they differ in their cell, their gates and their states, and in no more.

    Layer k (from 0) has the parameters ``weight_ih_l{k}`` (gates · H, inputs), ``weight_hh_l{k}`` (gates · H, H),
    ``bias_ih_l{k}`` and ``bias_hh_l{k}`` (gates · H), and with ``bidirectional`` the same once more with ``_reverse``
    behind their names, for the direction from the end to the beginning. Layer 0 has ``input_size`` inputs; each other
    one reads the outputs of the layer below, D · H numbers. All start uniformly distributed between -1/sqrt(H) and
    +1/sqrt(H). So a state_dict can be exchanged with PyTorch's layers. For I = 10 and H = 20 the RNN has 640
    parameters, the GRU 1,920 and the LSTM 2,560; in both directions it is twice as many.
    """

    cell: Callable
    gates: int
    states: int  # tensors in the state: 1 for h, 2 for the pair (h, c)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bidirectional: bool = False,
        batch_first: bool = False,
        num_layers: int = 1,
    ) -> None:
        super().__init__()
        # TODO: keep the settings; register_parameter gives a parameter a name that is put together.
        # BEGIN SOLUTION
        self.hidden_size, self.batch_first, self.num_layers = hidden_size, batch_first, num_layers
        self.suffixes = ["", "_reverse"] if bidirectional else [""]
        rows, bound = self.gates * hidden_size, hidden_size**-0.5
        for layer in range(num_layers):
            inputs = len(self.suffixes) * hidden_size if layer else input_size
            shapes = {
                "weight_ih": (rows, inputs),
                "weight_hh": (rows, hidden_size),
                "bias_ih": (rows,),
                "bias_hh": (rows,),
            }
            for suffix in self.suffixes:
                for name, shape in shapes.items():
                    value = torch.empty(shape).uniform_(-bound, bound)
                    self.register_parameter(f"{name}_l{layer}{suffix}", nn.Parameter(value))
        # END SOLUTION

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Read the sequences, layer by layer, each layer in one direction or in both.

        The output is that of the last layer; with two directions the forward one comes first in its last axis, then
        the backward one. Each layer and direction has an initial and a final state of its own, in the order layer 0,
        layer 0 reverse, layer 1, ...: the final state of a backward direction is that after the first step, not that
        of the last place. Without ``state`` they start at 0, in every call: nothing is carried over from the call
        before. ``batch_first`` is about x and the output; a state is (L · D, B, H) in any case.

        x: (T, B, I), with ``batch_first`` (B, T, I). state: (L · D, B, H), or a pair of these for the LSTM.
        lengths: (B,), or None, where nothing is padding; see above and `scan`.
        Returns: the output (T, B, D · H), with ``batch_first`` (B, T, D · H), and the final state, in the form of
        ``state``.
        """
        # TODO: one scan for each layer and direction, with its initial state and its four parameters.
        # BEGIN SOLUTION
        if self.batch_first:
            x = x.transpose(0, 1)
        if state is None:
            zeros = x.new_zeros(self.num_layers * len(self.suffixes), x.shape[1], self.hidden_size)
            state = (zeros, zeros) if self.states == 2 else zeros
        starts = list(zip(*state, strict=True)) if isinstance(state, tuple) else list(state)
        ends = []
        for layer in range(self.num_layers):
            sides = []
            for suffix in self.suffixes:
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                weights = tuple(getattr(self, f"{name}_l{layer}{suffix}") for name in names)
                side, end = scan(self.cell, x, starts[len(ends)], weights, lengths, reverse=suffix == "_reverse")
                sides.append(side)
                ends.append(end)
            x = torch.cat(sides, -1)  # (T, B, D·H)
        last = tuple(map(torch.stack, zip(*ends, strict=True))) if self.states == 2 else torch.stack(ends)
        return x.transpose(0, 1) if self.batch_first else x, last
        # END SOLUTION


class RNN(Recurrent):
    """Computes what ``nn.RNN`` does, with tanh."""

    cell = staticmethod(rnn_cell)
    gates, states = 1, 1


class LSTM(Recurrent):
    """Computes what ``nn.LSTM`` does."""

    cell = staticmethod(lstm_cell)
    gates, states = 4, 2


class GRU(Recurrent):
    """Computes what ``nn.GRU`` does."""

    cell = staticmethod(gru_cell)
    gates, states = 3, 1


def forward_in_chunks(layer: nn.Module, x: Tensor, size: int, state: State | None = None) -> tuple[Tensor, State]:
    """Read a long sequence in chunks of ``size`` steps, so that gradients go back no further than a chunk begins.

    The first chunk starts in ``state``, each other one in the final state of the chunk before, cut off from the graph.
    The numbers are those of one pass over all; the gradient of an output reaches the inputs of its own chunk only, and
    ``state`` if that is the first. The last chunk may be shorter.

    layer: any that is called as ``layer(x, state)`` and returns (output, state), such as ``nn.LSTM``; time is its first
    axis. x: (T, B, I). size: at least 1. Returns: the outputs of all chunks (T, B, ...), and the final state, which
    still has its graph.
    """
    # TODO: split, and detach between two chunks; a state may be a pair.
    # BEGIN SOLUTION
    outputs = []
    for number, chunk in enumerate(x.split(size)):
        if number:
            state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        output, state = layer(chunk, state)
        outputs.append(output)
    return torch.cat(outputs), state
    # END SOLUTION


def bptt(x: Tensor, u: Tensor, w: Tensor, v: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the loss of a small RNN and its gradients, by back-propagation through time, without autograd.

    With h = 0 before the first step: h_t = tanh(u x_t + w h_{t-1}), y_t = v h_t, and the loss is the sum over all
    steps and outputs of (y_t - target_t)² / 2. For x = 1, 0, u = w = 0.5, v = 1 and target = 0, 0 the states are
    0.4621 and 0.2270, the loss is 0.1325, and du, dw, dv are 0.4481, 0.0995, 0.2651.

    x: (T, I). u: (H, I). w: (H, H). v: (O, H). target: (T, O).
    Returns: loss (), du, dw, dv, shaped like u, w and v, all in the dtype of x.
    """
    # TODO: forwards keep the states; backwards carry the gradient of h from step to step, and add up three products.
    # BEGIN SOLUTION
    h = [x.new_zeros(len(w))]
    for step in x:
        h.append(torch.tanh(u @ step + w @ h[-1]))
    error = torch.stack(h[1:]) @ v.T - target  # (T, O)
    du, dw, dv, later = torch.zeros_like(u), torch.zeros_like(w), torch.zeros_like(v), torch.zeros_like(h[0])
    for t in reversed(range(len(x))):
        dv += torch.outer(error[t], h[t + 1])
        before = (v.T @ error[t] + later) * (1 - h[t + 1] ** 2)  # of the argument of tanh
        du += torch.outer(before, x[t])
        dw += torch.outer(before, h[t])
        later = w.T @ before
    return error.square().sum() / 2, du.detach(), dw.detach(), dv.detach()
    # END SOLUTION


def gradient_norm_through_time(w: Tensor, steps: int) -> float:
    """Return how much the state after ``steps`` steps of h_t = w h_{t-1} can move with the first one: ‖∂h_T / ∂h_1‖.

    That is the largest singular value of the product of steps - 1 matrices w. For w = 0.5 it is 0.0625 after 5 steps,
    1.9e-6 after 20 and 1.8e-15 after 50: the gradient vanishes. For one step it is 1.

    w: (H, H), floating point; the work is done in its dtype. steps: at least 1. Returns: a Python float.
    """
    # TODO: a power of the matrix, not of its norm: for w = [[0, 1], [0, 0]] and 3 steps it is 0.
    # BEGIN SOLUTION
    return torch.linalg.matrix_norm(torch.linalg.matrix_power(w.detach(), steps - 1), ord=2).item()
    # END SOLUTION


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients together, in place, so that their norm is at most ``max_norm``; return the norm before.

    The norm is the root of the sum of the squares of all numbers in all gradients. All gradients are multiplied by
    max_norm / (norm + 1e-6) where that is below 1, and are left as they are where it is not. For gradients (3,) and
    (4,) and max_norm 1 the norm is 5 and they become 0.6 and 0.8. It has to be called behind backward: before it there
    are no gradients, so that nothing happens and ``torch.tensor(0.0)`` is returned.

    parameters: a tensor, or any iterable of tensors, such as a generator. Those whose ``grad`` is None are left out.
    Returns: the norm before, a tensor of shape (), in the dtype of the gradients.
    """
    # TODO: gather the gradients once, for a generator can be passed over once only.
    # BEGIN SOLUTION
    several = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in several if parameter.grad is not None]
    if not grads:
        return torch.tensor(0.0)
    norm = torch.stack([grad.norm() for grad in grads]).norm()
    factor = (max_norm / (norm + 1e-6)).clamp(max=1)
    for grad in grads:
        grad.mul_(factor)
    return norm
    # END SOLUTION
