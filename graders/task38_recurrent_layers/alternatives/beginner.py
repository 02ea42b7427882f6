"""Loops over everything: gates one by one, sequence by sequence, and gradients summed number by number."""

import math


def rnn_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    new = torch.zeros_like(h)
    for unit in range(h.shape[1]):
        total = (x * w_ih[unit]).sum(1) + b_ih[unit]
        total = total + (h * w_hh[unit]).sum(1) + b_hh[unit]
        new = torch.cat([new[:, :unit], torch.tanh(total)[:, None], new[:, unit + 1 :]], 1)
    return new


def lstm_cell(x, state, w_ih, w_hh, b_ih, b_hh):
    h, c = state
    size = h.shape[1]

    def part(number):
        rows = slice(number * size, (number + 1) * size)
        return x.matmul(w_ih[rows].t()) + b_ih[rows] + h.matmul(w_hh[rows].t()) + b_hh[rows]

    input_gate = part(0).sigmoid()
    forget_gate = part(1).sigmoid()
    candidate = part(2).tanh()
    output_gate = part(3).sigmoid()
    new_c = forget_gate * c + input_gate * candidate
    new_h = output_gate * new_c.tanh()
    return new_h, new_c


def gru_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    size = h.shape[1]
    from_x = [x @ w_ih[k * size : (k + 1) * size].T + b_ih[k * size : (k + 1) * size] for k in range(3)]
    from_h = [h @ w_hh[k * size : (k + 1) * size].T + b_hh[k * size : (k + 1) * size] for k in range(3)]
    reset = torch.sigmoid(from_x[0] + from_h[0])
    update = torch.sigmoid(from_x[1] + from_h[1])
    new = torch.tanh(from_x[2] + reset * from_h[2])
    return new + update * (h - new)


def mask_by_length(lengths, max_len):
    mask = torch.zeros(len(lengths), max_len, dtype=torch.bool, device=lengths.device)
    for row in range(len(lengths)):
        mask[row, : int(lengths[row])] = True
    return mask


def last_valid_hidden(outputs, lengths):
    rows = []
    for row in range(len(outputs)):
        rows.append(outputs[row, int(lengths[row]) - 1])
    if not rows:
        return outputs.new_zeros(0, outputs.shape[2])
    return torch.stack(rows)


def scan(cell, x, state, weights, lengths=None, reverse=False):
    pair = isinstance(state, tuple)
    steps, batch = x.shape[0], x.shape[1]
    if lengths is None:
        outputs = [None] * steps
        for t in range(steps):
            t = steps - 1 - t if reverse else t
            state = cell(x[t], state, *weights)
            outputs[t] = state[0] if pair else state
        return torch.stack(outputs), state
    all_outputs, all_ends = [], []
    for b in range(batch):
        length = int(lengths[b])
        now = tuple(s[b : b + 1] for s in state) if pair else state[b : b + 1]
        units = now[0].shape[1] if pair else now.shape[1]
        outputs = [x.new_zeros(1, units) for _ in range(steps)]
        order = list(range(length))
        if reverse:
            order = order[::-1]
        for t in order:
            now = cell(x[t, b : b + 1], now, *weights)
            outputs[t] = now[0] if pair else now
        all_outputs.append(torch.stack(outputs))
        all_ends.append(now)
    if pair:
        end = (torch.cat([e[0] for e in all_ends]), torch.cat([e[1] for e in all_ends]))
    else:
        end = torch.cat(all_ends)
    return torch.cat(all_outputs, 1), end


def bptt(x, u, w, v, target):
    x, u, w, v, target = (value.detach() for value in (x, u, w, v, target))
    steps = x.shape[0]
    states = [torch.zeros(w.shape[0], dtype=x.dtype, device=x.device)]
    loss = torch.zeros((), dtype=x.dtype, device=x.device)
    errors = []
    for t in range(steps):
        states.append(torch.tanh(u.mv(x[t]) + w.mv(states[-1])))
        errors.append(v.mv(states[-1]) - target[t])
        loss = loss + (errors[-1] ** 2).sum() / 2
    du, dw, dv = torch.zeros_like(u), torch.zeros_like(w), torch.zeros_like(v)
    for t in range(steps):
        dv = dv + errors[t].unsqueeze(1) * states[t + 1].unsqueeze(0)
        delta = (errors[t] @ v) * (1 - states[t + 1].pow(2))
        for s in range(t, -1, -1):  # the error of step t, carried to each step before it
            du = du + delta.unsqueeze(1) * x[s].unsqueeze(0)
            dw = dw + delta.unsqueeze(1) * states[s].unsqueeze(0)
            delta = (delta @ w) * (1 - states[s].pow(2))
    return loss, du, dw, dv


def gradient_norm_through_time(w, steps):
    w = w.detach()
    product = torch.eye(w.shape[0], dtype=w.dtype, device=w.device)
    for _ in range(steps - 1):
        product = product @ w
    return float(torch.linalg.svd(product)[1].max())


def clip_grad_norm_(parameters, max_norm):
    if torch.is_tensor(parameters):
        parameters = [parameters]
    grads = []
    for p in parameters:
        if p.grad is not None:
            grads.append(p.grad)
    total = 0.0
    for g in grads:
        total += float((g.double() ** 2).sum())
    norm = math.sqrt(total)
    if norm + 1e-6 > max_norm:
        for g in grads:
            g *= max_norm / (norm + 1e-6)
    return torch.tensor(norm, dtype=grads[0].dtype if grads else torch.float32)
