"""Only the rows that count, put back by index_put; one step for all, each optimiser with a direction; addcmul_."""

from collections import defaultdict

from torch.nn.functional import logsigmoid

_REDUCE = {"mean": torch.mean, "sum": torch.sum, "none": lambda v: v}


def reduce_loss(values, reduction="mean"):
    try:
        how = _REDUCE[reduction]
    except (KeyError, TypeError):
        raise ValueError(f"reduction {reduction!r}") from None
    return how(values)


def l1_loss(pred, target, reduction="mean"):
    return reduce_loss((pred - target.to(pred)).abs(), reduction)


def mse_loss(pred, target, reduction="mean"):
    return reduce_loss((pred - target.to(pred)).pow(2), reduction)


def huber_loss(pred, target, delta=1.0, reduction="mean"):
    d = pred - target.to(pred)
    c = d.clamp(-delta, delta).detach()  # the derivative; c (d - c/2) has it, and the right value
    inside = d.abs() < delta
    return reduce_loss(torch.where(inside, d.pow(2) / 2, c * (d - c / 2)), reduction)


def smooth_l1_loss(pred, target, beta=1.0, reduction="mean"):
    return reduce_loss(huber_loss(pred, target, beta, "none") / beta, reduction)


def _flat(scores, target):
    """(N, C, d...) and (N, d...) to (M, C) and (M,)"""
    return scores.movedim(1, -1).reshape(target.numel(), scores.shape[1]), target.reshape(-1)


def _classes(log_probs, target, ignore_index, smoothing, weight, reduction):
    if reduction not in _REDUCE:
        raise ValueError(reduction)
    lp, t = _flat(log_probs, target)
    C = lp.shape[1]
    w = lp.new_ones(C) if weight is None else weight.to(lp)
    rows = torch.nonzero(t != ignore_index).squeeze(1)
    k = t[rows]
    lp = lp[rows]
    part = -lp[torch.arange(len(rows), device=lp.device), k] * w[k]
    if smoothing:
        part = (1 - smoothing) * part - smoothing / C * (lp * w).sum(1)
    if reduction == "mean":
        return part.sum() / w[k].sum()
    if reduction == "sum":
        return part.sum()
    return lp.new_zeros(t.shape).index_put((rows,), part).reshape(target.shape)


def nll_loss(log_probs, target, ignore_index=-100, weight=None, reduction="mean"):
    return _classes(log_probs, target, ignore_index, 0, weight, reduction)


def cross_entropy(logits, target, ignore_index=-100, label_smoothing=0.0, weight=None, reduction="mean"):
    return _classes(logits.log_softmax(1), target, ignore_index, label_smoothing, weight, reduction)


def binary_cross_entropy_with_logits(logits, target, pos_weight=None, reduction="mean"):
    t = target.to(logits)
    p = t if pos_weight is None else t * pos_weight.to(logits)
    return reduce_loss(-p * logsigmoid(logits) - (1 - t) * logsigmoid(-logits), reduction)


def kl_div(log_input, target, reduction="batchmean"):
    t = target.to(log_input)
    v = torch.special.xlogy(t, t) - t * log_input
    return v.sum() / v.shape[0] if reduction == "batchmean" else reduce_loss(v, reduction)


class Optimizer:
    def __init__(self, params, **options):
        params = list(params)
        dicts = params if params and all(isinstance(p, dict) for p in params) else [{"params": params}]
        self.param_groups = [{**options, **d, "params": list(d["params"])} for d in dicts]
        self.state = defaultdict(dict)

    def zero_grad(self):
        for p in (p for g in self.param_groups for p in g["params"]):
            p.grad = None

    def with_gradients(self):
        return ((g, p, p.grad, self.state[p]) for g in self.param_groups for p in g["params"] if p.grad is not None)

    decay = True

    @torch.no_grad()
    def step(self):
        for o, p, g, s in self.with_gradients():
            if self.decay:
                g = g + o["weight_decay"] * p
            else:
                p.mul_(1 - o["lr"] * o["weight_decay"])
            p.add_(self.direction(o, g, s), alpha=-o["lr"])


def _start(s, g, *names):
    for n in names:
        if n not in s:
            s[n] = torch.zeros_like(g)
    return [s[n] for n in names]


class SGD(Optimizer):
    def __init__(self, params, lr=0.001, momentum=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def direction(self, o, g, s):
        (v,) = _start(s, g, "v")
        v.mul_(o["momentum"]).add_(g)
        return g.add(v, alpha=o["momentum"]) if o["nesterov"] else v


class Adagrad(Optimizer):
    def __init__(self, params, lr=0.01, eps=1e-10, weight_decay=0.0):
        super().__init__(params, lr=lr, eps=eps, weight_decay=weight_decay)

    def direction(self, o, g, s):
        (total,) = _start(s, g, "s")
        return g / (total.addcmul_(g, g).sqrt() + o["eps"])


class RMSprop(Optimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)

    def direction(self, o, g, s):
        q, v = _start(s, g, "s", "v")
        q.mul_(o["alpha"]).addcmul_(g, g, value=1 - o["alpha"])
        return v.mul_(o["momentum"]).addcdiv_(g, q.sqrt().add_(o["eps"]))


class Adam(Optimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def direction(self, o, g, s):
        return adam_direction(o, g, s)


class AdamW(Adam):
    decay = False

    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def adam_direction(group, gradient, memory):
    b1, b2 = group["betas"]
    m, v = _start(memory, gradient, "m", "v")
    memory["t"] = t = memory.get("t", 0) + 1
    m.mul_(b1).add_(gradient, alpha=1 - b1)
    v.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
    return m.div(1 - b1**t).div_(v.div(1 - b2**t).sqrt_().add_(group["eps"]))


def run_regression(x, y, optimizer_name="SGD", lr=0.1, normalize="zscore", steps=500):
    x, y = (
        torch.tensor((a.detach().double().numpy() if torch.is_tensor(a) else np.asarray(a)).astype("float64"))
        for a in (x, y)
    )
    a, c = {
        "none": lambda: (0.0, 1.0),
        "zscore": lambda: (x.mean().item(), x.std(unbiased=False).item()),
        "minmax": lambda: (x.min().item(), (x.max() - x.min()).item()),
    }[normalize]()
    c = c or 1.0
    design = torch.stack([(x - a) / c, torch.ones_like(x)], 1)
    theta = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    opt = globals()[optimizer_name]([theta], lr=lr)
    losses, path = [], [np.zeros(2)]

    def loss_now():
        return (design @ theta - y).square().mean()

    while len(losses) < steps and (not losses or np.isfinite(losses[-1])):
        opt.zero_grad()
        loss = loss_now()
        loss.backward()
        opt.step()
        losses.append(loss.item())
        path.append(theta.detach().numpy().copy())
    w, b = theta.tolist()
    end = loss_now().item()
    path = np.stack(path)
    tail = path[-1 - max(1, len(losses) // 10) :]
    unit = 1e-9 * y.abs().max().item() / design.abs().max(0).values.numpy().clip(1e-30)
    if losses and not (np.isfinite(losses).all() and end <= losses[0] * (1 + 1e-9)):
        status = "diverged"
    elif losses and (np.ptp(tail, 0) <= 1e-4 * np.ptp(path, 0) + unit).all():
        status = "converged"
    else:
        status = "running"
    return dict(w=w / c, b=b - w * a / c, losses=losses, status=status)
