"""A beginner: loops and many ifs."""


def reduce_loss(values, reduction="mean"):
    if reduction not in ["mean", "sum", "none"]:
        raise ValueError("reduction must be mean, sum or none")
    if reduction == "none":
        return values
    total = torch.sum(values)
    if reduction == "sum":
        return total
    return total / values.numel()


def l1_loss(pred, target, reduction="mean"):
    difference = pred - target
    return reduce_loss(torch.abs(difference), reduction)


def mse_loss(pred, target, reduction="mean"):
    difference = pred - target
    return reduce_loss(difference * difference, reduction)


def smooth_l1_loss(pred, target, beta=1.0, reduction="mean"):
    d = torch.abs(pred - target)
    small = torch.clamp(d, max=beta)
    return reduce_loss(small * small / (2 * beta) + torch.relu(d - beta), reduction)


def huber_loss(pred, target, delta=1.0, reduction="mean"):
    d = torch.abs(pred - target)
    inside = d < delta
    values = torch.where(inside, d * d / 2, delta * (d - delta / 2))
    return reduce_loss(values, reduction)


def nll_loss(log_probs, target, ignore_index=-100, weight=None, reduction="mean"):
    c = log_probs.shape[1]
    flat = log_probs.transpose(0, 1).reshape(c, -1)
    t = target.reshape(-1)
    good = torch.nonzero(t != ignore_index)[:, 0]
    classes = t[good]
    picked = -flat[classes, good]
    if weight is None:
        w = torch.ones_like(picked)
    else:
        w = weight[classes]
    values = torch.zeros_like(flat[0]).index_put((good,), picked * w)
    if reduction == "mean":
        return values.sum() / w.sum()
    if reduction == "none":
        return values.reshape(target.shape)
    return reduce_loss(values, reduction)


def cross_entropy(logits, target, ignore_index=-100, label_smoothing=0.0, weight=None, reduction="mean"):
    lp = torch.log_softmax(logits, dim=1)
    n_classes = logits.shape[1]
    first = nll_loss(lp, target, ignore_index, weight, "none")
    second = torch.zeros_like(first)
    for k in range(n_classes):
        wk = 1.0 if weight is None else weight[k]
        second = second - lp[:, k] * wk
    second = second / n_classes
    second = second.masked_fill(target == ignore_index, 0.0)
    values = (1 - label_smoothing) * first + label_smoothing * second
    if reduction != "mean":
        return reduce_loss(values, reduction)
    kept = target[target != ignore_index]
    if weight is None:
        return values.sum() / len(kept)
    return values.sum() / weight[kept].sum()


def binary_cross_entropy_with_logits(logits, target, pos_weight=None, reduction="mean"):
    softplus = torch.nn.functional.softplus
    p = 1.0 if pos_weight is None else pos_weight
    values = p * target * softplus(-logits) + (1 - target) * softplus(logits)
    return reduce_loss(values, reduction)


def kl_div(log_input, target, reduction="batchmean"):
    positive = target > 0
    t = target.masked_fill(~positive, 1.0)
    li = log_input.masked_fill(~positive, 0.0)
    values = t * (torch.log(t) - li)
    if reduction == "batchmean":
        return values.sum() / len(target)
    return reduce_loss(values, reduction)


class Optimizer:
    def __init__(self, params, **options):
        self.param_groups = []
        self.state = {}
        loose = []
        for entry in params:
            if isinstance(entry, dict):
                group = {}
                for key in options:
                    group[key] = options[key]
                for key in entry:
                    group[key] = entry[key]
                group["params"] = list(entry["params"])
                self.param_groups.append(group)
            else:
                loose.append(entry)
        if loose:
            group = dict(options)
            group["params"] = loose
            self.param_groups.append(group)

    def zero_grad(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.zero_()

    def with_gradients(self):
        result = []
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if id(p) not in self.state:
                    self.state[id(p)] = {}
                result.append((group, p, p.grad.detach(), self.state[id(p)]))
        return iter(result)


class SGD(Optimizer):
    def __init__(self, params, lr=0.001, momentum=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def step(self):
        for group, p, g, memory in self.with_gradients():
            if group["weight_decay"] != 0:
                g = g + group["weight_decay"] * p.data
            if group["momentum"] != 0:
                if "velocity" not in memory:
                    memory["velocity"] = g.clone()
                else:
                    memory["velocity"] = group["momentum"] * memory["velocity"] + g
                if group["nesterov"]:
                    g = g + group["momentum"] * memory["velocity"]
                else:
                    g = memory["velocity"]
            p.data -= group["lr"] * g


class Adagrad(Optimizer):
    def __init__(self, params, lr=0.01, eps=1e-10, weight_decay=0.0):
        super().__init__(params, lr=lr, eps=eps, weight_decay=weight_decay)

    def step(self):
        for group, p, g, memory in self.with_gradients():
            g = g + group["weight_decay"] * p.data
            if "sum" not in memory:
                memory["sum"] = g * g
            else:
                memory["sum"] = memory["sum"] + g * g
            p.data = p.data - group["lr"] * g / (torch.sqrt(memory["sum"]) + group["eps"])


class RMSprop(Optimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)

    def step(self):
        for group, p, g, memory in self.with_gradients():
            g = g + group["weight_decay"] * p.data
            a = group["alpha"]
            if not memory:
                memory["s"] = (1 - a) * g * g
                memory["v"] = torch.zeros_like(p.data)
            else:
                memory["s"] = a * memory["s"] + (1 - a) * g * g
            scaled = g / (torch.sqrt(memory["s"]) + group["eps"])
            memory["v"] = group["momentum"] * memory["v"] + scaled
            p.data -= group["lr"] * memory["v"]


class Adam(Optimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def step(self):
        for group, p, g, memory in self.with_gradients():
            g = g + group["weight_decay"] * p.data
            p.data -= group["lr"] * adam_direction(group, g, memory)


class AdamW(Optimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def step(self):
        for group, p, g, memory in self.with_gradients():
            p.data *= 1 - group["lr"] * group["weight_decay"]
            p.data -= group["lr"] * adam_direction(group, g, memory)


def adam_direction(group, gradient, memory):
    b1, b2 = group["betas"]
    if len(memory) == 0:
        memory["step"] = 0
        memory["first"] = torch.zeros_like(gradient)
        memory["second"] = torch.zeros_like(gradient)
    memory["step"] += 1
    memory["first"].mul_(b1).add_(gradient, alpha=1 - b1)
    memory["second"].mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
    m = memory["first"] / (1 - b1 ** memory["step"])
    v = memory["second"] / (1 - b2 ** memory["step"])
    return m / (torch.sqrt(v) + group["eps"])


def run_regression(x, y, optimizer_name="SGD", lr=0.1, normalize="zscore", steps=500):
    if torch.is_tensor(x):
        x = x.double().numpy()
    if torch.is_tensor(y):
        y = y.double().numpy()
    x = np.asarray(x).astype(np.float64)
    y = np.asarray(y).astype(np.float64)
    shift, scale = 0.0, 1.0
    if normalize == "zscore":
        shift, scale = x.mean(), x.std()
    if normalize == "minmax":
        shift, scale = x.min(), x.max() - x.min()
    xs = (x - shift) / scale
    w = torch.zeros(1, dtype=torch.float64)
    b = torch.zeros(1, dtype=torch.float64)
    optimizer = {"SGD": SGD, "Adagrad": Adagrad, "RMSprop": RMSprop, "Adam": Adam, "AdamW": AdamW}[optimizer_name](
        [w, b], lr=lr
    )
    losses = []
    old_w, old_b = 0.0, 0.0
    bad = False
    with np.errstate(all="ignore"):
        for step in range(steps):
            if step == steps - max(1, steps // 10):
                old_w, old_b = w.item(), b.item()
            error = w.item() * xs + b.item() - y
            loss = float(np.mean(error**2))
            losses.append(loss)
            w.grad = torch.tensor([2 * np.mean(error * xs)])
            b.grad = torch.tensor([2 * np.mean(error)])
            optimizer.step()
            if not np.isfinite(loss):
                bad = True
                break
        final = float(np.mean((w.item() * xs + b.item() - y) ** 2))
    if bad or not np.isfinite(final) or (losses and final > losses[0]):
        status = "diverged"
    else:
        moved = abs(w.item() - old_w) + abs(b.item() - old_b)
        status = "converged" if moved <= 1e-5 * (abs(w.item()) + abs(b.item())) else "running"
    slope = w.item() / scale
    return {"w": float(slope), "b": float(b.item() - slope * shift), "losses": losses, "status": status}


def compare_learning_rates(x, y, lrs=(0.1, 0.5, 0.01), optimizer_name="SGD", normalize="zscore", steps=2000):
    results = {}
    for lr in lrs:
        results[lr] = run_regression(x, y, optimizer_name=optimizer_name, lr=lr, normalize=normalize, steps=steps)
    return results
