"""Short: tables of functions, one-hot targets, in-place updates under no_grad, one step for all."""

from collections import defaultdict
from math import inf, isfinite

import torch.nn.functional as F

_REDUCE = {"mean": torch.mean, "sum": torch.sum, "none": lambda v: v}


def reduce_loss(values, reduction="mean"):
    if not isinstance(reduction, str) or reduction not in _REDUCE:
        raise ValueError(reduction)
    return _REDUCE[reduction](values)


def l1_loss(pred, target, reduction="mean"):
    return reduce_loss(abs(pred - target), reduction)


def mse_loss(pred, target, reduction="mean"):
    return reduce_loss((pred - target).square(), reduction)


def smooth_l1_loss(pred, target, beta=1.0, reduction="mean"):
    return reduce_loss(huber_loss(pred, target, beta, "none") / beta, reduction)


def huber_loss(pred, target, delta=1.0, reduction="mean"):
    d = pred - target
    c = d.clamp(-delta, delta)
    return reduce_loss(c * (d - c / 2), reduction)


def _soft(log_probs, target, ignore_index, weight, smooth, reduction):
    c = log_probs.shape[1]
    keep = target != ignore_index
    t = target.masked_fill(~keep, 0)
    w = torch.ones(c, dtype=log_probs.dtype, device=log_probs.device) if weight is None else weight
    shape = (1, c) + (1,) * (log_probs.dim() - 2)
    hot = F.one_hot(t, c).movedim(-1, 1).to(log_probs.dtype)
    dist = ((1 - smooth) * hot + smooth / c) * w.view(shape)
    terms = torch.where((dist != 0) & keep.unsqueeze(1), -dist * log_probs, torch.zeros_like(log_probs))
    values = terms.sum(1)
    if reduction == "mean":
        return values.sum() / w[target[keep]].sum()
    return reduce_loss(values, reduction)


def nll_loss(log_probs, target, ignore_index=-100, weight=None, reduction="mean"):
    return _soft(log_probs, target, ignore_index, weight, 0.0, reduction)


def cross_entropy(logits, target, ignore_index=-100, label_smoothing=0.0, weight=None, reduction="mean"):
    return _soft(F.log_softmax(logits, 1), target, ignore_index, weight, label_smoothing, reduction)


def binary_cross_entropy_with_logits(logits, target, pos_weight=None, reduction="mean"):
    zero = torch.zeros_like(logits)
    part1, part0 = torch.logaddexp(zero, -logits), torch.logaddexp(zero, logits)
    return reduce_loss((1 if pos_weight is None else pos_weight) * target * part1 + (1 - target) * part0, reduction)


def kl_div(log_input, target, reduction="batchmean"):
    cross = torch.where(target == 0, torch.zeros_like(target), target * log_input)
    v = torch.xlogy(target, target) - cross
    return v.sum() / v.size(0) if reduction == "batchmean" else reduce_loss(v, reduction)


class Optimizer:
    def __init__(self, params, **options):
        params = list(params)
        groups = params if params and isinstance(params[0], dict) else [dict(params=params)]
        self.param_groups = [options | g | {"params": [*g["params"]]} for g in groups]
        self.memory = defaultdict(dict)

    def zero_grad(self):
        for g in self.param_groups:
            for p in g["params"]:
                p.grad = None

    def with_gradients(self):
        yield from (
            (g, p, p.grad, self.memory[p]) for g in self.param_groups for p in g["params"] if p.grad is not None
        )

    decoupled = False

    @torch.no_grad()
    def step(self):
        for g, p, d, m in self.with_gradients():
            wd = g["weight_decay"]
            if self.decoupled:
                p.mul_(1 - g["lr"] * wd)
            elif wd:
                d = d.add(p, alpha=wd)
            p.sub_(self.direction(g, d, m), alpha=g["lr"])


class SGD(Optimizer):
    def __init__(self, params, lr=0.001, momentum=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def direction(self, g, d, m):
        m["v"] = m["v"].mul_(g["momentum"]).add_(d) if "v" in m else d.clone()
        return d + g["momentum"] * m["v"] if g["nesterov"] else m["v"]


class Adagrad(Optimizer):
    def __init__(self, params, lr=0.01, eps=1e-10, weight_decay=0.0):
        super().__init__(params, lr=lr, eps=eps, weight_decay=weight_decay)

    def direction(self, g, d, m):
        m["s"] = m.get("s", 0) + d * d
        return d / (m["s"].sqrt() + g["eps"])


class RMSprop(Optimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)

    def direction(self, g, d, m):
        m["s"] = g["alpha"] * m.get("s", 0) + (1 - g["alpha"]) * d * d
        m["v"] = g["momentum"] * m.get("v", 0) + d / (m["s"].sqrt() + g["eps"])
        return m["v"]


class Adam(Optimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def direction(self, g, d, m):
        return adam_direction(g, d, m)


class AdamW(Adam):
    decoupled = True

    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)


def adam_direction(group, gradient, memory):
    (p, q), t = group["betas"], memory.get("t", 0) + 1
    m, v = memory.get("m", 0) * p + (1 - p) * gradient, memory.get("v", 0) * q + (1 - q) * gradient * gradient
    memory.update(t=t, m=m, v=v)
    return (m / (1 - p**t)) / ((v / (1 - q**t)).sqrt() + group["eps"])


def run_regression(x, y, optimizer_name="SGD", lr=0.1, normalize="zscore", steps=500):
    x, y = (v.double() if torch.is_tensor(v) else torch.tensor(np.ascontiguousarray(v)).double() for v in (x, y))
    shift, scale = {
        "none": (0.0, 1.0),
        "zscore": (x.mean().item(), x.std().item()),
        "minmax": (x.min().item(), (x.max() - x.min()).item()),
    }[normalize]
    z = (x - shift) / scale
    net = torch.nn.Linear(1, 1).double()
    for p in net.parameters():
        torch.nn.init.zeros_(p)
    optimizer = globals()[optimizer_name](net.parameters(), lr=lr)
    losses, deltas = [], []
    before = torch.zeros(2, dtype=torch.float64)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = mse_loss(net(z[:, None])[:, 0], y)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        now = torch.cat([p.detach().flatten() for p in net.parameters()])
        deltas.append((now - before).abs().max().item())
        before = now
        if not isfinite(losses[-1]):
            break
    slope, icept = before.tolist()
    with torch.no_grad():
        end = mse_loss(net(z[:, None])[:, 0], y).item()
    gone = not isfinite(end) or not all(map(isfinite, losses)) or end > max(losses[:1], default=inf)
    rest = bool(deltas) and sum(deltas[-len(deltas) // 10 :]) <= 1e-5 * sum(deltas)
    return {
        "w": slope / scale,
        "b": icept - slope * shift / scale,
        "losses": losses,
        "status": "diverged" if gone else "converged" if rest else "running",
    }


def compare_learning_rates(x, y, lrs=(0.1, 0.5, 0.01), optimizer_name="SGD", normalize="zscore", steps=2000):
    return {lr: run_regression(x, y, optimizer_name, lr, normalize, steps) for lr in list(lrs)}
