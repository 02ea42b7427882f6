"""Both products in one: x and h side by side, the weights side by side; a turned sequence in place of a turned loop."""

from functools import reduce

from torch.nn import functional as F


def joined(x, h, w_ih, w_hh, b_ih, b_hh):
    return F.linear(torch.cat([x, h], -1), torch.cat([w_ih, w_hh], -1), b_ih + b_hh)


def rnn_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    return joined(x, h, w_ih, w_hh, b_ih, b_hh).tanh()


def lstm_cell(x, state, w_ih, w_hh, b_ih, b_hh):
    h, c = state
    gates = joined(x, h, w_ih, w_hh, b_ih, b_hh).unflatten(-1, (4, -1))
    i, f, o = gates[:, [0, 1, 3]].sigmoid().unbind(1)
    c = torch.addcmul(f * c, i, gates[:, 2].tanh())
    return o * c.tanh(), c


def gru_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    H = h.shape[-1]
    rz = joined(x, h, w_ih[: 2 * H], w_hh[: 2 * H], b_ih[: 2 * H], b_hh[: 2 * H]).sigmoid()
    r, z = rz[:, :H], rz[:, H:]
    n = (F.linear(x, w_ih[2 * H :], b_ih[2 * H :]) + r * F.linear(h, w_hh[2 * H :], b_hh[2 * H :])).tanh()
    return torch.lerp(n, h, z)


def mask_by_length(lengths, max_len):
    places = torch.arange(1, max_len + 1, device=lengths.device).expand(len(lengths), max_len)
    return places.le(lengths.unsqueeze(-1))


def last_valid_hidden(outputs, lengths):
    index = (lengths.long() - 1).view(-1, 1, 1).expand(-1, 1, outputs.size(2))
    return outputs.gather(1, index).squeeze(1)


def turned(x, lengths):
    """Each sequence from its last valid step to its first; padding stays where it is."""
    places = torch.arange(len(x), device=x.device)[:, None].expand(len(x), x.shape[1])
    there = torch.where(places < lengths, lengths - 1 - places, places)
    return x.gather(0, there[..., None].expand(-1, -1, x.shape[2]))


def scan(cell, x, state, weights, lengths=None, reverse=False):
    lengths = x.new_full((x.shape[1],), len(x), dtype=torch.int64) if lengths is None else lengths
    source = turned(x, lengths) if reverse else x
    made = []
    for t, step in enumerate(source.unbind(0)):
        valid = (t < lengths).unsqueeze(-1)
        new = cell(step, state, *weights)
        if isinstance(new, tuple):
            state = tuple(torch.where(valid, a, b) for a, b in zip(new, state))
            made.append(state[0].masked_fill(~valid, 0))
        else:
            state = torch.where(valid, new, state)
            made.append(state.masked_fill(~valid, 0))
    outputs = torch.stack(made)
    return (turned(outputs, lengths) if reverse else outputs), state


def forward_in_chunks(layer, x, size, state=None):
    def cut(s):
        return tuple(map(cut, s)) if isinstance(s, tuple) else s.detach()

    done, state = layer(x[:size], state)
    for start in range(size, len(x), size):
        more, state = layer(x[start : start + size], cut(state))
        done = torch.cat([done, more], 0)
    return done, state


def bptt(x, u, w, v, target):
    with torch.no_grad():
        states = [x.new_zeros(w.shape[:1])]
        for a in x @ u.mT:
            states += [(a + states[-1] @ w.mT).tanh()]
        H = torch.stack(states)
        error = torch.einsum("oh,th->to", v, H[1:]) - target
        deltas = []
        for e, h in zip(error.flip(0), H[1:].flip(0)):
            later = deltas[-1] @ w if deltas else 0
            deltas.append((e @ v + later) * (1 - h.square()))
        D = torch.stack(deltas[::-1])
        return 0.5 * error.pow(2).sum(), D.mT @ x, D.mT @ H[:-1], error.mT @ H[1:]


def gradient_norm_through_time(w, steps):
    with torch.no_grad():
        power = reduce(torch.matmul, [w] * (steps - 1), torch.eye(len(w), dtype=w.dtype, device=w.device))
        return torch.linalg.norm(power, 2).item()


def clip_grad_norm_(parameters, max_norm):
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    grads = [p.grad for p in parameters if p.grad is not None]
    with torch.no_grad():
        norm = torch.cat([g.reshape(-1) for g in grads] or [torch.zeros(1)]).norm()
        if norm >= max_norm - 1e-6:
            torch._foreach_mul_(grads, max_norm / (norm.item() + 1e-6))
    return norm
