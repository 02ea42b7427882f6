"""Blocks of gates as an axis of their own, einsum, and one function for states of one and of two tensors."""

from itertools import product

from torch import nn
from torch.nn import functional as F


def rnn_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    both = torch.cat([x, h], 1)
    return torch.tanh(torch.einsum("bi,hi->bh", both, torch.cat([w_ih, w_hh], 1)) + (b_ih + b_hh))


def lstm_cell(x, state, w_ih, w_hh, b_ih, b_hh):
    (h, c), H = state, state[0].size(-1)
    a = F.linear(x, w_ih, b_ih).add(F.linear(h, w_hh, b_hh)).unflatten(1, (4, H))
    i, f, o = a[:, [0, 1, 3]].sigmoid().unbind(1)
    c = torch.addcmul(f * c, i, a[:, 2].tanh())
    return o * c.tanh(), c


def gru_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    H = h.size(-1)
    a = F.linear(x, w_ih, b_ih).unflatten(1, (3, H))
    b = F.linear(h, w_hh, b_hh).unflatten(1, (3, H))
    r, z = (a[:, :2] + b[:, :2]).sigmoid().unbind(1)
    n = (a[:, 2] + r * b[:, 2]).tanh()
    return n * (1 - z) + h * z


def mask_by_length(lengths, max_len):
    grid = torch.arange(1, max_len + 1, device=lengths.device).repeat(lengths.shape[0], 1)
    return grid.le(lengths.to(torch.int64).reshape(-1, 1))


def last_valid_hidden(outputs, lengths):
    index = (lengths.to(outputs.device, torch.int64) - 1).view(-1, 1, 1).expand(-1, 1, outputs.size(2))
    return outputs.gather(1, index).squeeze(1)


def _tree(f, *states):
    return f(*states) if isinstance(states[0], torch.Tensor) else tuple(map(f, *states))


def scan(cell, x, state, weights, lengths=None, reverse=False):
    if lengths is None:
        lengths = torch.full((x.size(1),), x.size(0), device=x.device)
    mask = mask_by_length(lengths.to(x.device), x.size(0)).t()[..., None]
    x = x.where(mask, x.new_zeros(()))
    steps = list(zip(x.unbind(0), mask.unbind(0)))
    out = []
    for x_t, m in reversed(steps) if reverse else steps:
        state = _tree(lambda new, old: torch.where(m, new, old), cell(x_t, state, *weights), state)
        h = state if torch.is_tensor(state) else state[0]
        out.append(h.where(m, h.new_zeros(())))
    return torch.stack(out[::-1] if reverse else out), state


class Recurrent(nn.Module):
    KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

    def __init__(self, input_size, hidden_size, bidirectional=False, batch_first=False, num_layers=1):
        super().__init__()
        self.hidden_size, self.batch_first = hidden_size, batch_first
        tails = ["", "_reverse"] if bidirectional else [""]
        self.groups = []
        for k, tail in product(range(num_layers), tails):
            wide = input_size if k == 0 else len(tails) * hidden_size
            group = [f"{kind}_l{k}{tail}" for kind in self.KINDS]
            for name, size in zip(group, [(wide,), (hidden_size,), (), ()]):
                p = nn.Parameter((torch.rand(self.gates * hidden_size, *size) * 2 - 1) / hidden_size**0.5)
                self.register_parameter(name, p)
            self.groups.append(group)
        self.D = len(tails)

    def forward(self, x, state=None, lengths=None):
        x = x.movedim(0, 1) if self.batch_first else x
        if state is None:
            state = [x.new_zeros(len(self.groups), x.size(1), self.hidden_size) for _ in range(self.states)]
        else:
            state = [state] if self.states == 1 else list(state)
        starts = [s[0] if self.states == 1 else s for s in zip(*(s.unbind(0) for s in state))]
        ends, outs = [], []
        for place, (start, group) in enumerate(zip(starts, self.groups)):
            weights = [getattr(self, name) for name in group]
            out, end = scan(self.cell, x, start, weights, lengths, place % self.D == 1)
            outs.append(out)
            ends.append((end,) if self.states == 1 else end)
            if len(outs) == self.D:
                x, outs = torch.cat(outs, -1), []
        final = tuple(torch.stack(s) for s in zip(*ends))
        return (x.movedim(0, 1) if self.batch_first else x), (final[0] if self.states == 1 else final)


class RNN(Recurrent):
    cell, gates, states = staticmethod(rnn_cell), 1, 1


class LSTM(Recurrent):
    cell, gates, states = staticmethod(lstm_cell), 4, 2


class GRU(Recurrent):
    cell, gates, states = staticmethod(gru_cell), 3, 1


def forward_in_chunks(layer, x, size, state=None):
    first, *others = x.split(size, 0)
    y, state = layer(first, state)
    ys = [y]
    for chunk in others:
        y, state = layer(chunk, _tree(lambda s: s.detach(), state))
        ys += [y]
    return torch.cat(ys, 0), state


def bptt(x, u, w, v, target):
    with torch.no_grad():
        T = len(x)
        inputs = torch.einsum("ti,hi->th", x, u)
        hs = [torch.zeros_like(inputs[0])]
        for a in inputs:
            hs += [torch.tanh(a + torch.mv(w, hs[-1]))]
        before, after = torch.stack(hs[:-1]), torch.stack(hs[1:])
        e = torch.einsum("th,oh->to", after, v) - target
        slope, back = 1 - after.square(), torch.einsum("to,oh->th", e, v)
        d = torch.empty_like(back)
        d[T - 1] = back[T - 1] * slope[T - 1]
        for t in range(T - 2, -1, -1):
            torch.mul(back[t] + d[t + 1] @ w, slope[t], out=d[t])
        du, dw, dv = (torch.einsum("ta,tb->ab", p, q) for p, q in ((d, x), (d, before), (e, after)))
        return e.square().sum().div(2), du, dw, dv


def gradient_norm_through_time(w, steps):
    with torch.no_grad():
        m = torch.eye(len(w)).to(w)
        for _ in range(1, steps):
            m = w @ m
        return torch.linalg.norm(m, 2).item()


def clip_grad_norm_(parameters, max_norm):
    many = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
    grads = [p.grad.detach() for p in many if p.grad is not None]
    if not grads:
        return torch.tensor(0.0)
    norm = torch.cat([g.reshape(-1) for g in grads]).norm()
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for g in grads:
        g.mul_(factor)
    return norm
