"""The graph level by level, backward(inputs=[leaf]) throughout, samples in a loop."""

from torch import nn


def leaf_report(*tensors):
    answer = []
    for t in tensors:
        if t.grad_fn is None:
            answer.append(True)
        else:
            answer.append(False)
    return answer


def graph_nodes(t):
    found = {}
    level = [t.grad_fn]
    while len(level) > 0:
        below = []
        for node in level:
            if node is None or node in found:
                continue
            found[node] = node.__class__.__name__
            for child, _ in node.next_functions:
                below.append(child)
        level = below
    return list(found.values())


def _copy(x):
    c = x.detach().clone()
    c.requires_grad = True
    return c


def _take(leaf):
    if leaf.grad is None:
        return torch.zeros(leaf.shape, dtype=leaf.dtype, device=leaf.device)
    return leaf.grad.detach().clone()


def accumulated_gradient(f, x, times):
    leaf = _copy(x)
    out = f(leaf)
    if out.requires_grad:
        i = 0
        while i < times:
            out.backward(retain_graph=True, inputs=[leaf])
            i += 1
    return _take(leaf)


def middle_gradient(inner, outer, x):
    leaf = _copy(x)
    h = inner(leaf)
    cut = h.detach().clone()
    cut.requires_grad = True
    loss = outer(cut)
    if loss.requires_grad:
        loss.backward(inputs=[cut])
    dh = _take(cut)
    if h.requires_grad:
        h.backward(gradient=dh, inputs=[leaf])
    return dh, _take(leaf)


def vector_jacobian(y_fn, x, v):
    leaf = _copy(x)
    y = y_fn(leaf)
    if y.requires_grad:
        s = (y * v.detach()).sum()
        s.backward(inputs=[leaf])
    return _take(leaf)


def first_and_second_derivative(f, x):
    leaf = _copy(x)
    zeros = torch.zeros_like(x, requires_grad=False).detach()
    y = f(leaf).sum()
    if not y.requires_grad:
        return zeros, zeros.clone()
    (d1,) = torch.autograd.grad(y, leaf, create_graph=True, allow_unused=True)
    if d1 is None:
        return zeros, zeros.clone()
    if not d1.requires_grad:
        return d1.detach(), zeros
    (d2,) = torch.autograd.grad(d1.sum(), leaf, allow_unused=True)
    if d2 is None:
        d2 = zeros
    return d1.detach(), d2.detach()


def directional_derivative(f, x, u):
    if u.numel() == 0 or bool((u == 0).all()):
        raise ValueError("no direction")
    d = u.detach().double()
    d = d / d.abs().max()
    d = d / torch.linalg.vector_norm(d)
    leaf = _copy(x)
    y = f(leaf)
    if y.requires_grad:
        y.backward(inputs=[leaf])
    g = _take(leaf).double()
    total = torch.zeros((), dtype=torch.float64)
    for a, b in zip(g.reshape(-1), d.reshape(-1)):
        total = total + a * b
    return total.to(dtype=x.dtype, device=x.device)


def hessian(f, x):
    n = x.numel()
    flat = x.detach().clone().reshape(-1).requires_grad_(True)
    y = f(flat.reshape(x.shape))
    H = torch.zeros(n, n, dtype=x.dtype, device=x.device)
    if y.requires_grad:
        (g,) = torch.autograd.grad(y, flat, create_graph=True, allow_unused=True)
        if g is not None and g.requires_grad:
            for i in range(n):
                (row,) = torch.autograd.grad(g[i], flat, retain_graph=True, allow_unused=True)
                if row is not None:
                    H[i] = row.detach()
    return H.reshape(tuple(x.shape) + tuple(x.shape))


class LineFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, x, b):
        ctx.save_for_backward(w, x, b)
        return torch.addcmul(b.expand(torch.broadcast_shapes(w.shape, x.shape, b.shape)), w, x)

    @staticmethod
    def backward(ctx, grad_output):
        w, x, b = ctx.saved_tensors
        grads = []
        for need, slope in zip(ctx.needs_input_grad, (x, w, 1.0)):
            grads.append(grad_output * slope if need else None)
        return tuple(grads)


class StraightThroughSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


def backprop_two_layer(x, y, w1, b1, w2, b2):
    with torch.no_grad():
        N, P = y.shape
        z = x.matmul(w1) + b1
        h = torch.where(z > 0, z, torch.zeros_like(z))
        p = h.matmul(w2) + b2
        diff = p - y
        loss = diff.pow(2).sum() / (N * P)
        dp = diff * (2.0 / (N * P))
        dw2 = torch.zeros_like(w2, requires_grad=False)
        dw1 = torch.zeros_like(w1, requires_grad=False)
        db2 = torch.zeros_like(b2, requires_grad=False)
        db1 = torch.zeros_like(b1, requires_grad=False)
        for n in range(N):
            dw2 += torch.outer(h[n], dp[n])
            db2 += dp[n]
            dz = w2.matmul(dp[n])
            dz[z[n] <= 0] = 0
            dw1 += torch.outer(x[n], dz)
            db1 += dz
    return loss, dw1, db1, dw2, db2


class ContainerNet(nn.Module):
    def __init__(self, in_features=4, hidden=8, out_features=2, depth=2):
        super().__init__()
        sizes = [in_features] + [hidden] * depth
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:])])
        self.scales = nn.ParameterList([torch.ones(hidden) for _ in range(depth)])
        self.heads = nn.ModuleDict()
        for name in ("mean", "spread"):
            self.heads[name] = nn.Linear(hidden, out_features)

    def forward(self, x, head="mean"):
        if head not in ("mean", "spread"):
            raise ValueError(f"unknown head {head}")
        for i in range(len(self.layers)):
            x = (self.layers[i](x) * self.scales[i]).relu()
        return self.heads[head](x)
