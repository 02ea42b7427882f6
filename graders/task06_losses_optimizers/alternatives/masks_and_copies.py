"""Losses by boolean masks and per-class sums, updates out of place with copy_, rest judged by the loss alone."""


def reduce_loss(values, reduction="mean"):
    match reduction:
        case "mean":
            return values.sum() / values.numel()
        case "sum":
            return values.sum()
        case "none":
            return values
    raise ValueError(f"{reduction} is none of mean, sum, none")


def smooth_l1_loss(pred, target, beta=1.0, reduction="mean"):
    size = (pred - target).abs()
    values = size - beta / 2
    small = size < beta
    values[small] = size[small] ** 2 / (2 * beta)
    return reduce_loss(values, reduction)


def huber_loss(pred, target, delta=1.0, reduction="mean"):
    d = pred - target
    inside = (d.abs() < delta).to(d.dtype)
    return reduce_loss(inside * d * d / 2 + (1 - inside) * delta * (d.abs() - delta / 2), reduction)


def nll_loss(log_probs, target, ignore_index=-100, weight=None, reduction="mean"):
    rows = log_probs.movedim(1, -1).reshape(-1, log_probs.shape[1])
    flat = target.reshape(-1)
    kept = (flat != ignore_index).nonzero()[:, 0]
    weights = torch.ones(rows.shape[1], dtype=rows.dtype, device=rows.device) if weight is None else weight
    parts = -rows[kept, flat[kept]] * weights[flat[kept]]
    if reduction == "mean":
        return parts.sum() / weights[flat[kept]].sum()
    values = torch.zeros(flat.shape, dtype=rows.dtype, device=rows.device).index_put((kept,), parts)
    return reduce_loss(values.reshape(target.shape), reduction)


def cross_entropy(logits, target, ignore_index=-100, label_smoothing=0.0, weight=None, reduction="mean"):
    shifted = logits - logits.detach().amax(1, keepdim=True)
    log_probs = shifted - shifted.exp().sum(1, keepdim=True).log()
    plain = nll_loss(log_probs, target, ignore_index, weight, reduction)
    if not label_smoothing:
        return plain
    kept = target != ignore_index
    classes = logits.shape[1]
    weights = torch.ones(classes, dtype=logits.dtype, device=logits.device) if weight is None else weight
    uniform = -torch.tensordot(log_probs.movedim(1, -1), weights, dims=1) / classes * kept
    uniform = uniform.sum() / weights[target[kept]].sum() if reduction == "mean" else reduce_loss(uniform, reduction)
    return plain + label_smoothing * (uniform - plain)


def binary_cross_entropy_with_logits(logits, target, pos_weight=None, reduction="mean"):
    weight = torch.ones_like(logits) if pos_weight is None else pos_weight.expand_as(logits)
    log_yes = -torch.nn.functional.softplus(-logits)
    log_no = -torch.nn.functional.softplus(logits)
    return reduce_loss(-(weight * target * log_yes + (1 - target) * log_no), reduction)


def kl_div(log_input, target, reduction="batchmean"):
    entropy = torch.special.entr(target)  # -t log t, and 0 at 0
    values = -entropy - target * log_input
    return values.sum() / log_input.size(0) if reduction == "batchmean" else reduce_loss(values, reduction)


class Optimizer:
    def __init__(self, params, **options):
        groups = list(params)
        if all(isinstance(entry, torch.Tensor) for entry in groups):
            groups = [{"params": groups}]
        for group in groups:
            group["params"] = list(group["params"])
            for name, value in options.items():
                group.setdefault(name, value)
        self.param_groups = groups
        self.memory = {}

    def zero_grad(self):
        for group in self.param_groups:
            for param in group["params"]:
                param.grad = None if param.grad is None else torch.zeros_like(param)

    def step(self):
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                past = self.memory.get(id(param), {"t": 0, "a": torch.zeros_like(param), "b": torch.zeros_like(param)})
                past = {
                    key: value.detach() if isinstance(value, torch.Tensor) else value for key, value in past.items()
                }
                past["t"] += 1
                new, past = self.rule(param.detach().clone(), param.grad.detach().clone(), group, past)
                param.data.copy_(new)
                self.memory[id(param)] = past


class SGD(Optimizer):
    def __init__(self, params, lr=0.001, momentum=0.0, weight_decay=0.0, nesterov=False):
        Optimizer.__init__(self, params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    @staticmethod
    def rule(p, g, group, past):
        g = g.add(p, alpha=group["weight_decay"])
        velocity = g if past["t"] == 1 else group["momentum"] * past["a"] + g
        move = g + group["momentum"] * velocity if group["nesterov"] else velocity
        return p - group["lr"] * move, {**past, "a": velocity}


class Adagrad(Optimizer):
    def __init__(self, params, lr=0.01, eps=1e-10, weight_decay=0.0):
        Optimizer.__init__(self, params, lr=lr, eps=eps, weight_decay=weight_decay)

    @staticmethod
    def rule(p, g, group, past):
        g = g + group["weight_decay"] * p
        total = past["a"] + g * g
        return torch.addcdiv(p, g, total.sqrt() + group["eps"], value=-group["lr"]), {**past, "a": total}


class RMSprop(Optimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
        Optimizer.__init__(self, params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)

    @staticmethod
    def rule(p, g, group, past):
        g = g + group["weight_decay"] * p
        square = past["a"] + (1 - group["alpha"]) * (g * g - past["a"])
        velocity = past["b"] * group["momentum"] + g / (square**0.5 + group["eps"])
        return p - group["lr"] * velocity, {**past, "a": square, "b": velocity}


class Adam(Optimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        Optimizer.__init__(self, params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    @staticmethod
    def rule(p, g, group, past, decoupled=False):
        decay = group["weight_decay"]
        p, g = (p - group["lr"] * decay * p, g) if decoupled else (p, g + decay * p)
        one, two = group["betas"]
        m, v = one * past["a"] + (1 - one) * g, two * past["b"] + (1 - two) * g * g
        rate = group["lr"] / (1 - one ** past["t"])
        denominator = (v / (1 - two ** past["t"])).sqrt() + group["eps"]
        return p - rate * m / denominator, {**past, "a": m, "b": v}


class AdamW(Adam):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        Adam.__init__(self, params, lr, betas, eps, weight_decay)

    @staticmethod
    def rule(p, g, group, past):
        return Adam.rule(p, g, group, past, decoupled=True)


def run_regression(x, y, optimizer_name="SGD", lr=0.1, normalize="zscore", steps=500):
    x, y = (np.asarray(values, dtype=np.float64) for values in (x, y))
    mean, deviation, low, high = x.mean(), x.std(), x.min(), x.max()
    shift, scale = {"none": (0, 1), "zscore": (mean, deviation), "minmax": (low, high - low)}[normalize]
    z, t = torch.from_numpy((x - shift) / scale), torch.from_numpy(y)
    w = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    b = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    optimizer = {"SGD": SGD, "Adagrad": Adagrad, "RMSprop": RMSprop, "Adam": Adam, "AdamW": AdamW}[optimizer_name](
        [{"params": [w]}, {"params": [b]}], lr=lr
    )
    history = []
    for _ in range(steps):
        residual = (w * z + b - t).detach()
        history.append((residual @ residual / len(t)).item())
        if history[-1] > 1e12 * max(history[0], 1.0) or history[-1] != history[-1]:
            break
        w.grad, b.grad = 2 * (residual * z).mean(), 2 * residual.mean()
        optimizer.step()
    lost = len(history) < steps or not history[-1] <= history[0]
    flat = not lost and abs(history[-1] - history[len(history) // 2]) <= 1e-4 * history[-1]
    slope = w.item() / float(scale)
    return {
        "w": slope,
        "b": b.item() - slope * float(shift),
        "losses": history,
        "status": "diverged" if lost else "converged" if flat else "running",
    }
