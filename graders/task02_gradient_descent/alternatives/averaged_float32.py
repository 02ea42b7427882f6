"""float32 z-scores with the population's deviation, weights as (1, 1) tensors, and the average of the last steps."""


def make_data(b, seed):
    rng = np.random.Generator(np.random.MT19937(seed))
    x = np.array([i / 100 for i in range(10_000)])
    return x, 10 * x + rng.normal(loc=b, scale=1, size=10_000)


def manual_gradients(x, y, w, b):
    gap = torch.sub(torch.addcmul(b, w, x), y)
    return 2 * torch.einsum("n,n->", gap, x) / len(x), 2 * torch.einsum("n->", gap) / len(x)


def sgd_step(params, lr):
    moving = [param for param in params if param.grad is not None]
    with torch.no_grad():
        torch._foreach_add_(moving, [param.grad for param in moving], alpha=-lr)
    for param in moving:
        param.grad = None


def fit_linear(x, y, lr=0.1, batch_size=100, epochs=20, normalize=True, generator=None):
    x = torch.as_tensor(x).double().reshape(-1, 1)
    y = torch.as_tensor(y).double().reshape(-1, 1)
    shift, scale = (x.mean(), x.std(correction=0)) if normalize else (torch.tensor(0.0), torch.tensor(1.0))
    z, t = ((x - shift.to(x)) / scale.to(x)).float(), y.float()
    W = torch.zeros(1, 1, device=z.device, requires_grad=True)
    B = torch.zeros(1, device=z.device, requires_grad=True)
    average = None
    history = []
    for epoch in range(epochs):
        losses = []
        order = torch.randperm(len(z), generator=generator).to(z.device)
        for start in range(0, len(z), batch_size or len(z)):
            rows = order[start : start + (batch_size or len(z))]
            loss = mse_loss(z[rows] @ W + B, t[rows])
            loss.backward()
            sgd_step([W, B], lr)
            losses.append(loss.item())
        history.append(sum(losses) / len(losses))
        if not math.isfinite(history[-1]):
            raise FloatingPointError("the loss is not finite")
        if normalize and epoch >= 0.7 * epochs:
            now = torch.cat([W.detach().flatten(), B.detach()]).double()
            average = now if average is None else 0.5 * (average + now)
    w, b = (average if average is not None else torch.cat([W.detach().flatten(), B.detach()]).double()).tolist()
    w = w / float(scale)
    return {"w": w, "b": b - w * float(shift), "history": history}
