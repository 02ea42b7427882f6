"""One-hot targets and logsumexp; optimisers without a base class on torch._foreach; rest judged by the gradient."""


def reduce_loss(values, reduction="mean"):
    reductions = {"mean": torch.mean, "sum": torch.sum, "none": torch.clone}
    if reduction not in reductions:
        raise ValueError(reduction)
    return reductions[reduction](values)


def l1_loss(pred, target, reduction="mean"):
    return reduce_loss(torch.maximum(pred - target, target - pred), reduction)


def mse_loss(pred, target, reduction="mean"):
    return reduce_loss(torch.pow(pred - target, 2), reduction)


def smooth_l1_loss(pred, target, beta=1.0, reduction="mean"):
    return huber_loss(pred, target, beta, reduction) / beta


def huber_loss(pred, target, delta=1.0, reduction="mean"):
    size = torch.abs(pred - target)
    near = size.clamp(max=delta)
    return reduce_loss(near * near / 2 + delta * (size - near), reduction)


def _distributions(target, count, ignore_index, smoothing, like):
    """(N, C, ...) target distributions, zero for ignored samples."""
    kept = target.ne(ignore_index)
    numbers = torch.arange(count, device=target.device).view(-1, *[1] * (target.ndim - 1))
    hot = (target.unsqueeze(1) == numbers) & kept.unsqueeze(1)
    return hot.to(like.dtype), kept


def nll_loss(log_probs, target, ignore_index=-100, weight=None, reduction="mean"):
    return _expected(log_probs, target, ignore_index, 0.0, weight, reduction)


def cross_entropy(logits, target, ignore_index=-100, label_smoothing=0.0, weight=None, reduction="mean"):
    log_probs = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    return _expected(log_probs, target, ignore_index, label_smoothing, weight, reduction)


def _expected(log_probs, target, ignore_index, smoothing, weight, reduction):
    classes = log_probs.shape[1]
    hot, kept = _distributions(target, classes, ignore_index, smoothing, log_probs)
    soft = hot * (1 - smoothing) + smoothing / classes * kept.unsqueeze(1)
    if weight is not None:
        column = weight.view(-1, *[1] * (log_probs.ndim - 2))
        soft, hot = soft * column, hot * column
    losses = -torch.where(soft != 0, soft * log_probs, torch.zeros_like(soft)).sum(1)
    if reduction == "mean":
        return losses.sum() / hot.sum()
    return reduce_loss(losses, reduction)


def binary_cross_entropy_with_logits(logits, target, pos_weight=None, reduction="mean"):
    softplus = torch.logaddexp(torch.zeros_like(logits), -logits)  # -log sigmoid(x)
    factor = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    return reduce_loss((1 - target) * logits + factor * softplus, reduction)


def kl_div(log_input, target, reduction="batchmean"):
    safe = torch.where(target > 0, target, torch.ones_like(target))
    values = target * (safe.log() - log_input)
    if reduction == "batchmean":
        return values.sum() / values.shape[0]
    return reduce_loss(values, reduction)


class _Listed:
    def __init__(self, params, **options):
        params = list(params)
        if not params or not isinstance(params[0], dict):
            params = [{"params": params}]
        self.param_groups = []
        for given in params:
            group = dict(options)
            group.update(given)
            group["params"] = list(given["params"])
            group["memory"] = [{} for _ in group["params"]]
            self.param_groups.append(group)

    def zero_grad(self):
        for param in (param for group in self.param_groups for param in group["params"]):
            if param.grad is not None:
                param.grad.detach_().zero_()

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            active = [pair for pair in zip(group["params"], group["memory"], strict=False) if pair[0].grad is not None]
            if not active:
                continue
            params, memories = map(list, zip(*active, strict=False))
            gradients = [param.grad for param in params]
            if group["weight_decay"] and not self.decoupled:
                gradients = torch._foreach_add(gradients, params, alpha=group["weight_decay"])
            if self.decoupled:
                torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            moves = self.moves(group, memories, gradients)
            torch._foreach_add_(params, moves, alpha=-group["lr"])

    decoupled = False

    def kept(self, memories, gradients, name):
        return [memory.setdefault(name, torch.zeros_like(g)) for memory, g in zip(memories, gradients, strict=False)]


class SGD(_Listed):
    def __init__(self, params, lr=0.001, momentum=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def moves(self, group, memories, gradients):
        velocity = self.kept(memories, gradients, "velocity")
        torch._foreach_mul_(velocity, group["momentum"])
        torch._foreach_add_(velocity, gradients)
        if group["nesterov"]:
            return torch._foreach_add(gradients, velocity, alpha=group["momentum"])
        return velocity


class Adagrad(_Listed):
    def __init__(self, params, lr=0.01, eps=1e-10, weight_decay=0.0):
        super().__init__(params, lr=lr, eps=eps, weight_decay=weight_decay)

    def moves(self, group, memories, gradients):
        sums = self.kept(memories, gradients, "sum")
        torch._foreach_addcmul_(sums, gradients, gradients)
        return [g / s.sqrt().add(group["eps"]) for g, s in zip(gradients, sums, strict=False)]


class RMSprop(_Listed):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)

    def moves(self, group, memories, gradients):
        means = self.kept(memories, gradients, "mean")
        for mean, g in zip(means, gradients, strict=False):
            mean.lerp_(g * g, 1 - group["alpha"])
        scaled = [g / (mean.sqrt() + group["eps"]) for g, mean in zip(gradients, means, strict=False)]
        velocity = self.kept(memories, gradients, "velocity")
        torch._foreach_mul_(velocity, group["momentum"])
        torch._foreach_add_(velocity, scaled)
        return velocity


class Adam(_Listed):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def moves(self, group, memories, gradients):
        (one, two), moves = group["betas"], []
        for memory, g in zip(memories, gradients, strict=False):
            t = memory["steps"] = memory.get("steps", 0) + 1
            m = memory.setdefault("m", torch.zeros_like(g)).lerp_(g, 1 - one)
            v = memory.setdefault("v", torch.zeros_like(g)).mul_(two).addcmul_(g, g, value=1 - two)
            root = v.sqrt() / math.sqrt(1 - two**t) + group["eps"]
            moves.append(m / (1 - one**t) / root)
        return moves


class AdamW(Adam):
    decoupled = True

    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)


def run_regression(x, y, optimizer_name="SGD", lr=0.1, normalize="zscore", steps=500):
    x, y = torch.as_tensor(x, dtype=torch.float64), torch.as_tensor(y, dtype=torch.float64)
    low, width = 0.0, 1.0
    if normalize == "zscore":
        low, width = float(x.mean()), float(x.std(correction=0))
    elif normalize == "minmax":
        low, width = float(x.min()), float(x.max() - x.min())
    design = torch.stack([(x - low) / width, torch.ones_like(x)], dim=1)  # (N, 2)
    line = torch.zeros(2, dtype=torch.float64, device=x.device, requires_grad=True)
    optimizer = globals()[optimizer_name]([line], lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = mse_loss(design @ line, y)
        loss.backward()
        losses.append(float(loss))
        if not loss.isfinite():
            break
        optimizer.step()
    slope, intercept = line.detach().tolist()
    finite = torch.isfinite(line).all() and all(map(math.isfinite, losses))
    if not finite or losses[-1] > losses[0]:
        status = "diverged"
    else:
        residual = design @ line.detach() - y
        curvature = design.T @ design / len(y)
        away = torch.linalg.lstsq(curvature, (design.T @ residual / len(y))[:, None]).solution.norm()
        status = "converged" if away < 1e-2 * line.detach().norm() else "running"
    return {"w": slope / width, "b": intercept - slope / width * low, "losses": losses, "status": status}
