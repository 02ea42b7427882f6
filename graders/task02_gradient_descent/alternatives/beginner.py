"""A beginner: x / 100, formulas instead of autograd, plain numbers where they do."""


def make_data(b, seed):
    x = np.linspace(0, 100, 10000, endpoint=False)
    generator = torch.Generator()
    generator.manual_seed(seed)
    noise = torch.randn(10000, generator=generator, dtype=torch.float64).numpy()
    y = 10 * x + b + noise
    return x, y


def mse_loss(pred, target):
    if pred.dim() != target.dim():
        raise ValueError("not the same number of dimensions")
    for i in range(pred.dim()):
        if pred.shape[i] != target.shape[i]:
            raise ValueError("not the same shape")
    difference = pred - target
    return torch.mean(difference * difference)


def manual_gradients(x, y, w, b):
    n = x.shape[0]
    prediction = w * x + b
    error = prediction - y
    dw = torch.sum(error * x) * 2 / n
    db = torch.sum(error) * 2 / n
    return dw, db


def sgd_step(params, lr):
    for i in range(len(params)):
        if params[i].grad is not None:
            params[i].data.sub_(lr * params[i].grad)
            params[i].grad.zero_()


def fit_linear(x, y, lr=0.1, batch_size=100, epochs=20, normalize=True, generator=None):
    if isinstance(x, np.ndarray):
        x = torch.tensor(np.ascontiguousarray(x).astype(np.float64))
    if isinstance(y, np.ndarray):
        y = torch.tensor(np.ascontiguousarray(y).astype(np.float64))
    x = x.detach().cpu().double().flatten()
    y = y.detach().cpu().double().flatten()
    if normalize:
        x = x / 100
    n = x.shape[0]
    if batch_size is None:
        batch_size = n
    w = torch.tensor(0.0, dtype=torch.float64)
    b = torch.tensor(0.0, dtype=torch.float64)
    history = []
    for epoch in range(epochs):
        order = torch.randperm(n, generator=generator)
        xs = x[order]
        ys = y[order]
        start = 0
        while start < n:
            xb = xs[start : start + batch_size]
            yb = ys[start : start + batch_size]
            dw, db = manual_gradients(xb, yb, w, b)
            w = w - lr * dw
            b = b - lr * db
            start = start + batch_size
        loss = mse_loss(w * x + b, y).item()
        history.append(loss)
        if loss != loss or loss == float("inf"):
            raise FloatingPointError("the loss is not finite any more")
    w = w.item()
    b = b.item()
    if normalize:
        w = w / 100
    return {"w": w, "b": b, "history": history}
