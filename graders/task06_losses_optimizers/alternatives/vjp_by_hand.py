"""Cross entropy with a backward pass by hand, closures instead of states, plain gradient formulas in the regression."""


class _SoftmaxCrossEntropy(torch.autograd.Function):
    """(rows, C) logits and target distributions -> (rows,) losses; the gradient is sum(q) softmax - q."""

    @staticmethod
    def forward(ctx, logits, q):
        top = logits.max(1, keepdim=True).values
        log_probs = logits - top - (logits - top).exp().sum(1, keepdim=True).log()
        ctx.save_for_backward(log_probs, q)
        return (-q * log_probs).where(q != 0, 0.0).sum(1)

    @staticmethod
    def backward(ctx, cotangent):
        log_probs, q = ctx.saved_tensors
        return (log_probs.exp() * q.sum(1, keepdim=True) - q) * cotangent[:, None], None


def cross_entropy(logits, target, ignore_index=-100, label_smoothing=0.0, weight=None, reduction="mean"):
    count = logits.shape[1]
    rows = torch.moveaxis(logits, 1, -1).flatten(0, -2)
    flat = target.flatten()
    kept = (flat != ignore_index).to(logits.dtype)
    chosen = torch.where(flat == ignore_index, torch.zeros_like(flat), flat)
    weights = torch.ones_like(rows[0]).detach() if weight is None else weight
    q = torch.full_like(rows, label_smoothing / count).detach()
    q.scatter_add_(1, chosen[:, None], torch.full_like(q[:, :1], 1 - label_smoothing))
    losses = _SoftmaxCrossEntropy.apply(rows, q * weights * kept[:, None])
    if reduction == "mean":
        return losses.sum() / (weights[chosen] * kept).sum()
    if reduction == "none":
        return losses.reshape(target.shape)
    if reduction == "sum":
        return losses.sum()
    raise ValueError(reduction)


def binary_cross_entropy_with_logits(logits, target, pos_weight=None, reduction="mean"):
    tail = torch.log1p(torch.exp(-logits.abs()))
    zero = torch.zeros_like(logits)
    plain_positive = torch.maximum(-logits, zero) + tail  # at a tie the slope is halved, as it has to be
    plain_negative = torch.maximum(logits, zero) + tail
    weight = 1.0 if pos_weight is None else pos_weight
    return reduce_loss(weight * target * plain_positive + (1 - target) * plain_negative, reduction)


def _closure(rule):
    class Rule:
        def __init__(self, params, lr=rule.lr, **options):
            params = list(params)
            grouped = params and isinstance(params[0], dict)
            unknown = set(options) - set(rule.defaults)
            if unknown:
                raise TypeError(f"unknown options {unknown}")
            self.param_groups = [
                {"lr": lr, **rule.defaults, **options, **group, "params": list(group["params"])}
                for group in (params if grouped else [{"params": params}])
            ]
            self._rules = [[rule(group, param) for param in group["params"]] for group in self.param_groups]

        def zero_grad(self):
            for group in self.param_groups:
                for param in group["params"]:
                    param.grad = None

        @torch.no_grad()
        def step(self):
            for group, rules in zip(self.param_groups, self._rules, strict=False):
                for param, update in zip(group["params"], rules, strict=False):
                    if param.grad is not None:
                        param.sub_(group["lr"] * next_move(update, param))

    Rule.__name__ = rule.__name__
    return Rule


def next_move(update, param):
    return update(param.grad)


def _sgd(group, param):
    velocity = None

    def update(gradient):
        nonlocal velocity
        gradient = gradient + group["weight_decay"] * param
        velocity = gradient if velocity is None else velocity * group["momentum"] + gradient
        return gradient + group["momentum"] * velocity if group["nesterov"] else velocity

    return update


def _adagrad(group, param):
    total = 0

    def update(gradient):
        nonlocal total
        gradient = gradient + group["weight_decay"] * param
        total = total + gradient**2
        return gradient / (total**0.5 + group["eps"])

    return update


def _rmsprop(group, param):
    mean = velocity = 0

    def update(gradient):
        nonlocal mean, velocity
        gradient = gradient + group["weight_decay"] * param
        mean = mean * group["alpha"] + gradient**2 * (1 - group["alpha"])
        velocity = velocity * group["momentum"] + gradient / (mean**0.5 + group["eps"])
        return velocity

    return update


def _adam(group, param, decoupled=False):
    m = v = t = 0

    def update(gradient):
        nonlocal m, v, t
        decay, t = group["weight_decay"] * param, t + 1
        if not decoupled:
            gradient, decay = gradient + decay, 0
        one, two = group["betas"]
        m = m * one + gradient * (1 - one)
        v = v * two + gradient**2 * (1 - two)
        return decay + (m / (1 - one**t)) / ((v / (1 - two**t)) ** 0.5 + group["eps"])

    return update


def _adamw(group, param):
    return _adam(group, param, decoupled=True)


for _rule, _name, _lr, _defaults in (
    (_sgd, "SGD", 0.001, {"momentum": 0.0, "weight_decay": 0.0, "nesterov": False}),
    (_adagrad, "Adagrad", 0.01, {"eps": 1e-10, "weight_decay": 0.0}),
    (_rmsprop, "RMSprop", 0.01, {"alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "weight_decay": 0.0}),
    (_adam, "Adam", 0.001, {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}),
    (_adamw, "AdamW", 0.001, {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}),
):
    _rule.lr, _rule.defaults, _rule.__name__ = _lr, _defaults, _name
    globals()[_name] = _closure(_rule)


def run_regression(x, y, optimizer_name="SGD", lr=0.1, normalize="zscore", steps=500):
    x, y = torch.as_tensor(x).to(torch.float64), torch.as_tensor(y).to(torch.float64)
    shift, scale = torch.zeros((), dtype=x.dtype), torch.ones((), dtype=x.dtype)
    if normalize != "none":
        shift = x.mean() if normalize == "zscore" else x.min()
        scale = x.std() if normalize == "zscore" else x.max() - x.min()
    z = (x - shift) / scale
    line = [torch.zeros((), dtype=x.dtype).requires_grad_() for _ in range(2)]
    optimizer = globals()[optimizer_name]((value for value in line), lr=lr)
    losses, moves = [], []
    for _ in range(steps):
        before = [value.item() for value in line]
        residual = line[0] * z + line[1] - y
        loss = residual.square().mean()
        losses.append(loss.item())
        if not loss.isfinite():
            break
        for value, gradient in zip(line, torch.autograd.grad(loss, line), strict=False):
            value.grad = gradient
        optimizer.step()
        moves.append(max(abs(value.item() - old) for value, old in zip(line, before, strict=False)))
    w, b = (value.item() for value in line)
    status = "running"
    if not math.isfinite(losses[-1]) or losses[-1] > losses[0]:
        status = "diverged"
    elif moves[-1] < 1e-5 * max(abs(w), abs(b)):
        status = "converged"
    w = w / scale.item()
    return {"w": w, "b": b - w * shift.item(), "losses": losses, "status": status}


def compare_learning_rates(x, y, lrs=(0.1, 0.5, 0.01), optimizer_name="SGD", normalize="zscore", steps=2000):
    runs = {}
    for lr in lrs:
        runs[lr] = run_regression(x, y, optimizer_name=optimizer_name, lr=lr, normalize=normalize, steps=steps)
    return runs
