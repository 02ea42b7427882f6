"""x / 100, ``autograd.grad``, updates through ``.data``, legacy NumPy noise, sampling with replacement."""


def make_data(b, seed):
    state = np.random.RandomState(seed)
    x = np.linspace(0, 100, 10_000, endpoint=False)
    return x, state.normal(10 * x + b, 1.0)


def mse_loss(pred, target):
    if pred.size() != target.size():
        raise ValueError("the shapes differ")
    difference = (pred - target).reshape(-1)
    return difference @ difference / difference.numel()


def manual_gradients(x, y, w, b):
    n = x.shape[0]
    return (
        2 / n * (w * (x @ x) + b * x.sum() - x @ y),
        2 / n * (w * x.sum() + b * n - y.sum()),
    )


def sgd_step(params, lr):
    for param in params:
        if param.grad is None:
            continue
        param.data.add_(param.grad, alpha=-lr)
        param.grad.zero_()


def fit_linear(x, y, lr=0.1, batch_size=100, epochs=20, normalize=True, generator=None):
    x = torch.as_tensor(x).reshape(-1).to(torch.float64)
    y = torch.as_tensor(y).reshape(-1).to(torch.float64)
    unit = 100.0 if normalize else 1.0
    x = x / unit
    line = torch.randn(2, generator=generator).to(x).requires_grad_()
    size = batch_size or len(x)
    history = []
    for _ in range(epochs):
        for _ in range(math.ceil(len(x) / size)):
            if size >= len(x):
                bx, by = x, y
            else:
                chosen = torch.randint(len(x), (size,), generator=generator).to(x.device)
                bx, by = x[chosen], y[chosen]
            loss = (line[0] * bx + line[1] - by).pow(2).mean()
            (gradient,) = torch.autograd.grad(loss, line)
            line.data -= lr * gradient
        with torch.no_grad():
            history.append(float((line[0] * x + line[1] - y).pow(2).mean()))
        if not np.isfinite(history[-1]):
            raise FloatingPointError("diverged")
    w, b = line.tolist()
    return {"w": w / unit, "b": b, "history": history}
