"""A class with one parameter vector; min-max to -1 ... 1; y scaled too."""

from dataclasses import dataclass, field


def make_data(b, seed):
    x = np.array([i / 100 for i in range(10000)])
    return x, x * 10.0 + b + np.random.Generator(np.random.PCG64(seed)).normal(0.0, 1.0, x.shape)


def mse_loss(pred, target):
    if not pred.size() == target.size():
        raise ValueError("shapes differ")
    return (pred - target).square().sum() / pred.numel()


def manual_gradients(x, y, w, b):
    r = torch.addcmul(b, w, x) - y
    return x.dot(r) * (2 / len(x)), r.sum() * (2 / len(x))


@torch.no_grad()
def sgd_step(params, lr):
    for p in filter(lambda p: p.grad is not None, params):
        p.add_(p.grad, alpha=-lr)
        p.grad = None


@dataclass
class Scale:
    shift: float = 0.0
    factor: float = 1.0

    @classmethod
    def of(cls, v):
        low, high = v.min().item(), v.max().item()
        return cls((low + high) / 2, (high - low) / 2 or 1.0)

    def __call__(self, v):
        return (v - self.shift) / self.factor


@dataclass
class Line:
    theta: Tensor
    history: list = field(default_factory=list)

    def loss(self, x, y):
        return mse_loss(self.theta[0] * x + self.theta[1], y)


def fit_linear(x, y, lr=0.1, batch_size=100, epochs=20, normalize=True, generator=None):
    def tensor(v):
        v = v.detach() if isinstance(v, Tensor) else torch.tensor(v.copy())
        return v.double().ravel()

    x, y = tensor(x), tensor(y)
    y = y.to(x.device)
    sx, sy = (Scale.of(x), Scale.of(y)) if normalize else (Scale(), Scale())
    x, y = sx(x), sy(y)
    line = Line(torch.zeros(2, dtype=x.dtype, device=x.device).requires_grad_())
    step = batch_size or len(x)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator).to(x.device)
        total = 0.0
        for i in range(0, len(x), step):
            pick = order[i : i + step]
            loss = line.loss(x[pick], y[pick])
            loss.backward()
            sgd_step([line.theta], lr)
            total += loss.item() * len(pick)
        line.history.append(total / len(x) * sy.factor**2)
        if not np.isfinite(line.history[-1]):
            raise FloatingPointError
    w, b = line.theta.tolist()
    w, b = w * sy.factor / sx.factor, b * sy.factor + sy.shift - w * sy.factor * sx.shift / sx.factor
    return dict(w=w, b=b, history=line.history)
