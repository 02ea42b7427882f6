"""Class with per-group buffers as lists; masks instead of where; properties; regression with a 2-column design."""

from torch.nn.functional import log_softmax, logsigmoid


def reduce_loss(values: Tensor, reduction: str = "mean") -> Tensor:
    match reduction:
        case "mean":
            return values.mean()
        case "sum":
            return values.sum()
        case "none":
            return values
        case _:
            raise ValueError(f"reduction={reduction}")


def l1_loss(pred, target, reduction="mean"):
    return reduce_loss(torch.sub(pred, target).abs(), reduction)


def mse_loss(pred, target, reduction="mean"):
    return reduce_loss(torch.sub(pred, target).pow(2), reduction)


def smooth_l1_loss(pred, target, beta=1.0, reduction="mean"):
    d = pred - target
    a = d.abs()
    quadratic = (a < beta).to(d.dtype)
    values = quadratic * (0.5 * d * d / beta) + (1 - quadratic) * (a - 0.5 * beta)
    return reduce_loss(values, reduction)


def huber_loss(pred, target, delta=1.0, reduction="mean"):
    return reduce_loss(smooth_l1_loss(pred, target, delta, "none") * delta, reduction)


def _sample_weights(like, target, ignore_index, weight):
    keep = target.ne(ignore_index)
    safe = target.where(keep, 0)
    w = like.new_ones(target.shape) if weight is None else weight.index_select(0, safe.flatten()).view(target.shape)
    return safe, w.masked_fill(~keep, 0.0), keep


def nll_loss(log_probs, target, ignore_index=-100, weight=None, reduction="mean"):
    safe, w, keep = _sample_weights(log_probs, target, ignore_index, weight)
    picked = torch.take_along_dim(log_probs, safe[:, None], dim=1)[:, 0]
    values = (-picked * w).masked_fill(~keep, 0.0)
    if reduction == "mean":
        return values.sum() / w.sum()
    return reduce_loss(values, reduction)


def cross_entropy(logits, target, ignore_index=-100, label_smoothing=0.0, weight=None, reduction="mean"):
    lp = log_softmax(logits, dim=1)
    _, w, keep = _sample_weights(logits, target, ignore_index, weight)
    values = (1 - label_smoothing) * nll_loss(lp, target, ignore_index, weight, "none")
    if label_smoothing > 0:
        moved = lp.movedim(1, -1)
        spread = moved.mean(-1) if weight is None else (moved @ weight) / weight.numel()
        values = values - label_smoothing * spread.masked_fill(~keep, 0.0)
    return values.sum() / w.sum() if reduction == "mean" else reduce_loss(values, reduction)


def binary_cross_entropy_with_logits(logits, target, pos_weight=None, reduction="mean"):
    if pos_weight is None:
        pos_weight = torch.ones((), dtype=logits.dtype, device=logits.device)
    return reduce_loss(-(pos_weight * target * logsigmoid(logits) + (1 - target) * logsigmoid(-logits)), reduction)


def kl_div(log_input, target, reduction="batchmean"):
    if reduction not in ("batchmean", "mean", "sum", "none"):
        raise ValueError("kl_div: unknown reduction")
    out = torch.zeros_like(log_input)
    on = target != 0
    out = out.masked_scatter(on, target[on] * (target[on].log() - log_input[on]))
    return out.sum().div(target.shape[0]) if reduction == "batchmean" else reduce_loss(out, reduction)


class Optimizer:
    def __init__(self, params, **options):
        entries = [p for p in params]
        if all(isinstance(e, Tensor) for e in entries):
            entries = [{"params": entries}]
        self.param_groups = []
        for e in entries:
            g = options.copy()
            g.update(e)
            g["params"] = [p for p in e["params"]]
            self.param_groups.append(g)
        self._memory = [[{} for _ in g["params"]] for g in self.param_groups]

    def zero_grad(self):
        for g in self.param_groups:
            for p in g["params"]:
                if p.grad is not None:
                    p.grad = torch.zeros_like(p.grad)

    def with_gradients(self):
        for g, ms in zip(self.param_groups, self._memory):
            for p, m in zip(g["params"], ms):
                if p.grad is not None:
                    yield g, p, p.grad.clone(), m

    @staticmethod
    def decay(g, p, d):
        return d.add_(p.detach(), alpha=g["weight_decay"])


class SGD(Optimizer):
    def __init__(self, params, lr=0.001, momentum=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def step(self):
        with torch.no_grad():
            for g, p, d, m in self.with_gradients():
                d = self.decay(g, p, d)
                v = m.setdefault("v", torch.zeros_like(d))
                v.mul_(g["momentum"]).add_(d)
                if g["nesterov"]:
                    d.add_(v, alpha=g["momentum"])
                else:
                    d.copy_(v)
                p.add_(d, alpha=-g["lr"])


class Adagrad(Optimizer):
    def __init__(self, params, lr=0.01, eps=1e-10, weight_decay=0.0):
        super().__init__(params, lr=lr, eps=eps, weight_decay=weight_decay)

    def step(self):
        with torch.no_grad():
            for g, p, d, m in self.with_gradients():
                d = self.decay(g, p, d)
                s = m.setdefault("s", torch.zeros_like(d)).addcmul_(d, d)
                p.addcdiv_(d, s.sqrt().add_(g["eps"]), value=-g["lr"])


class RMSprop(Optimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)

    def step(self):
        with torch.no_grad():
            for g, p, d, m in self.with_gradients():
                d = self.decay(g, p, d)
                s = m.setdefault("s", torch.zeros_like(d)).mul_(g["alpha"]).addcmul_(d, d, value=1 - g["alpha"])
                d = d / s.sqrt().add_(g["eps"])
                if g["momentum"] > 0:
                    d = m.setdefault("v", torch.zeros_like(d)).mul_(g["momentum"]).add_(d)
                p.add_(d, alpha=-g["lr"])


class Adam(Optimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def step(self):
        with torch.no_grad():
            for g, p, d, m in self.with_gradients():
                p.add_(adam_direction(g, self.decay(g, p, d), m), alpha=-g["lr"])


class AdamW(Optimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def step(self):
        with torch.no_grad():
            for g, p, d, m in self.with_gradients():
                p.mul_(1 - g["lr"] * g["weight_decay"])
                p.add_(adam_direction(g, d, m), alpha=-g["lr"])


def adam_direction(group, gradient, memory):
    b1, b2 = group["betas"]
    m = memory.setdefault("m", torch.zeros_like(gradient))
    v = memory.setdefault("v", torch.zeros_like(gradient))
    memory["powers"] = tuple(a * b for a, b in zip(memory.get("powers", (1.0, 1.0)), (b1, b2)))
    m.lerp_(gradient, 1 - b1)
    v.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
    c1, c2 = (1 - power for power in memory["powers"])
    return (m / c1) / ((v / c2).sqrt() + group["eps"])


def run_regression(x, y, optimizer_name="SGD", lr=0.1, normalize="zscore", steps=500):
    x = torch.as_tensor(x.copy() if isinstance(x, np.ndarray) else x).to(torch.float64)
    y = torch.as_tensor(y.copy() if isinstance(y, np.ndarray) else y).to(torch.float64)
    low, span = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    if normalize == "zscore":
        low, span = x.mean(), x.std()
    elif normalize == "minmax":
        low, span = x.min(), x.max() - x.min()
    design = torch.stack([(x - low) / span, torch.ones_like(x)], dim=1)
    theta = torch.zeros(2, dtype=torch.float64).requires_grad_()
    optimizer = {k.__name__: k for k in Optimizer.__subclasses__()}[optimizer_name]([theta], lr=lr)
    losses = []
    trail = [theta.detach().clone()]
    status = None
    for _ in range(steps):
        residual = design @ theta - y
        loss = residual.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        trail.append(theta.detach().clone())
        if not np.isfinite(losses[-1]):
            status = "diverged"
            break
    theta = theta.detach()
    final = float((design @ theta - y).square().mean())
    if status is None:
        if not np.isfinite(final) or (losses and final > losses[0]):
            status = "diverged"
        elif losses:
            last = torch.stack(trail[-max(10, len(trail) // 10) :])
            width = (last.max(0).values - last.min(0).values).max()
            status = "converged" if width <= 1e-5 * theta.abs().max() else "running"
        else:
            status = "running"
    w = theta[0] / span
    return {"w": w.item(), "b": (theta[1] - w * low).item(), "losses": losses, "status": status}


def compare_learning_rates(x, y, lrs=(0.1, 0.5, 0.01), optimizer_name="SGD", normalize="zscore", steps=2000):
    return {
        rate: run_regression(x, y, optimizer_name=optimizer_name, lr=rate, normalize=normalize, steps=steps)
        for rate in lrs
    }
