"""One tensor for both parameters, a generator of epochs, and a rate that shrinks."""

from itertools import islice

N = 10_000


def make_data(b, seed):
    x = np.array([i / 100 for i in range(N)])
    noise = np.random.Generator(np.random.MT19937(np.random.SeedSequence(seed))).normal(size=x.shape)
    return x, 10.0 * x + float(b) + noise


def mse_loss(pred, target):
    if pred.shape != target.shape:
        raise ValueError("shape mismatch")
    return torch.square(target - pred).mean()


def manual_gradients(x, y, w, b):
    basis = torch.stack([x, torch.ones_like(x)])
    residual = (torch.stack([w, b])[:, None] * basis).sum(0) - y
    both = (basis * residual).mean(dim=1) * 2
    return both[0].clone(), both[1].clone()


@torch.no_grad()
def sgd_step(params, lr):
    for p in (q for q in params if q.grad is not None):
        p.copy_(p - lr * p.grad)
        p.grad = None


def _tensor(a):
    a = a if isinstance(a, torch.Tensor) else torch.from_numpy(np.array(a, dtype="float64", order="C"))
    return (
        a.detach().to(device="cpu", dtype=torch.float64, copy=True).squeeze(-1)
        if a.ndim == 2
        else a.detach().to(device="cpu", dtype=torch.float64, copy=True)
    )


def _epochs(u, y, lr, size, normalize, generator):
    """Yield (w, b, loss) after every pass."""
    theta = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    step, n = lr, len(u)
    while True:
        order = torch.randperm(n, generator=generator)
        total = 0.0
        for index in order.split(size):
            loss = mse_loss(theta[0] * u[index] + theta[1], y[index])
            loss.backward()
            sgd_step([theta], step)
            total += loss.item() * len(index)
        yield theta[0].item(), theta[1].item(), total / n
        if normalize:
            step *= 0.98  # the rate may shrink


def fit_linear(x, y, lr=0.1, batch_size=100, epochs=20, normalize=True, generator=None):
    x, y = _tensor(x), _tensor(y)
    m, s = (x.mean().item(), x.std(unbiased=False).item()) if normalize else (0.0, 1.0)
    w = b = 0.0
    history = []
    for w, b, loss in islice(_epochs((x - m) / s, y, lr, batch_size or len(x), normalize, generator), epochs):
        if not np.isfinite(loss):
            raise FloatingPointError(f"loss {loss}")
        history.append(loss)
    return {"w": w / s, "b": b - w * m / s, "history": history}
