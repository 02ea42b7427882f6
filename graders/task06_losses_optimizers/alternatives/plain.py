"""Plain formulas, one function for each thing."""


def mse_loss(pred, target, reduction="mean"):
    return reduce_loss((pred - target) ** 2, reduction)


def smooth_l1_loss(pred, target, beta=1.0, reduction="mean"):
    d = pred - target
    values = torch.where(d.abs() < beta, d**2 / (2 * beta), d.abs() - beta / 2)
    return reduce_loss(values, reduction)


def nll_loss(log_probs, target, ignore_index=-100, weight=None, reduction="mean"):
    keep = target != ignore_index
    safe = torch.where(keep, target, torch.zeros_like(target))
    picked = -log_probs.gather(1, safe.unsqueeze(1)).squeeze(1)
    if weight is None:
        weight = log_probs.new_ones(log_probs.shape[1])
    w = weight[safe]
    zero = torch.zeros_like(picked)
    values = torch.where(keep, picked * w, zero)
    if reduction == "mean":
        return values.sum() / torch.where(keep, w, zero).sum()
    return reduce_loss(values, reduction)


def cross_entropy(logits, target, ignore_index=-100, label_smoothing=0.0, weight=None, reduction="mean"):
    log_probs = logits - logits.logsumexp(1, keepdim=True)
    keep = target != ignore_index
    if weight is None:
        weight = logits.new_ones(logits.shape[1])
    hard = nll_loss(log_probs, target, ignore_index, weight, "none")
    spread = weight.reshape(1, -1, *[1] * (logits.dim() - 2))
    soft = -(log_probs * spread).mean(dim=1)
    soft = torch.where(keep, soft, torch.zeros_like(soft))
    values = hard * (1 - label_smoothing) + soft * label_smoothing if label_smoothing else hard
    if reduction == "mean":
        return values.sum() / weight[target[keep]].sum()
    return reduce_loss(values, reduction)


def binary_cross_entropy_with_logits(logits, target, pos_weight=None, reduction="mean"):
    ones = -torch.nn.functional.logsigmoid(logits) * target
    zeros = -torch.nn.functional.logsigmoid(-logits) * (1 - target)
    if pos_weight is not None:
        ones = pos_weight * ones
    return reduce_loss(ones + zeros, reduction)


def kl_div(log_input, target, reduction="batchmean"):
    safe = torch.where(target > 0, target, torch.ones_like(target))
    values = torch.where(target > 0, target * (safe.log() - log_input), torch.zeros_like(target))
    if reduction == "batchmean":
        return values.sum() / values.shape[0]
    return reduce_loss(values, reduction)


class Optimizer:
    def __init__(self, params, **options):
        params = list(params)
        if not params or not isinstance(params[0], dict):
            params = [{"params": params}]
        self.param_groups = [{**options, **group, "params": list(group["params"])} for group in params]
        self.memory = {}

    def zero_grad(self):
        for group in self.param_groups:
            for param in group["params"]:
                param.grad = None

    def with_gradients(self):
        for group in self.param_groups:
            for i, param in enumerate(group["params"]):
                if param.grad is not None:
                    yield group, param, param.grad, self.memory.setdefault(param, {})


class SGD(Optimizer):
    def __init__(self, params, lr=0.001, momentum=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    @torch.no_grad()
    def step(self):
        for group, param, gradient, memory in self.with_gradients():
            gradient = gradient + group["weight_decay"] * param
            if "v" in memory:
                v = group["momentum"] * memory["v"] + gradient
            else:
                v = gradient.clone()
            memory["v"] = v
            param -= group["lr"] * (gradient + group["momentum"] * v if group["nesterov"] else v)


class Adagrad(Optimizer):
    def __init__(self, params, lr=0.01, eps=1e-10, weight_decay=0.0):
        super().__init__(params, lr=lr, eps=eps, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self):
        for group, param, gradient, memory in self.with_gradients():
            gradient = gradient + group["weight_decay"] * param
            memory["s"] = memory.get("s", torch.zeros_like(param)) + gradient**2
            param -= group["lr"] * gradient / (memory["s"].sqrt() + group["eps"])


class RMSprop(Optimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self):
        for group, param, gradient, memory in self.with_gradients():
            gradient = gradient + group["weight_decay"] * param
            zero = torch.zeros_like(param)
            memory["s"] = group["alpha"] * memory.get("s", zero) + (1 - group["alpha"]) * gradient**2
            scaled = gradient / (memory["s"].sqrt() + group["eps"])
            memory["v"] = group["momentum"] * memory.get("v", zero) + scaled
            param -= group["lr"] * memory["v"]


class Adam(Optimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self):
        for group, param, gradient, memory in self.with_gradients():
            gradient = gradient + group["weight_decay"] * param
            param -= group["lr"] * adam_direction(group, gradient, memory)


class AdamW(Optimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self):
        for group, param, gradient, memory in self.with_gradients():
            param *= 1 - group["lr"] * group["weight_decay"]
            param -= group["lr"] * adam_direction(group, gradient, memory)


def adam_direction(group, gradient, memory):
    beta1, beta2 = group["betas"]
    zero = torch.zeros_like(gradient)
    t = memory.get("t", 0) + 1
    memory["t"] = t
    memory["m"] = beta1 * memory.get("m", zero) + (1 - beta1) * gradient
    memory["v"] = beta2 * memory.get("v", zero) + (1 - beta2) * gradient**2
    return memory["m"] / (1 - beta1**t) / ((memory["v"] / (1 - beta2**t)).sqrt() + group["eps"])


def _as_double(values):
    if isinstance(values, Tensor):
        return values.detach().to(torch.float64, copy=True)
    return torch.from_numpy(np.array(values, dtype=np.float64))


def run_regression(x, y, optimizer_name="SGD", lr=0.1, normalize="zscore", steps=500):
    x, y = _as_double(x), _as_double(y)
    if normalize == "none":
        shift, scale = 0.0, 1.0
    elif normalize == "zscore":
        shift, scale = x.mean(), x.std(correction=0)
    elif normalize == "minmax":
        shift, scale = x.min(), x.max() - x.min()
    else:
        raise ValueError(f"unknown normalize {normalize!r}")
    z = (x - shift) / scale
    line = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    kinds = {"SGD": SGD, "Adagrad": Adagrad, "RMSprop": RMSprop, "Adam": Adam, "AdamW": AdamW}
    optimizer = kinds[optimizer_name]([line], lr=lr)
    losses, path = [], [line.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        loss = mse_loss(line[0] * z + line[1], y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        path.append(line.detach().clone())
        if not math.isfinite(losses[-1]):
            break
    end = mse_loss(line.detach()[0] * z + line.detach()[1], y).item()
    slope, intercept = line.tolist()
    w = float(slope / scale)
    b = float(intercept - slope * shift / scale)
    window = path[-min(len(path), max(2, len(path) // 10))]
    if not math.isfinite(end) or (losses and (not math.isfinite(losses[-1]) or end > losses[0])):
        status = "diverged"
    elif (path[-1] - window).abs().max() <= 1e-5 * (path[-1] - path[0]).abs().max() if losses else False:
        status = "converged"
    else:
        status = "running"
    return {"w": w, "b": b, "losses": losses, "status": status}
