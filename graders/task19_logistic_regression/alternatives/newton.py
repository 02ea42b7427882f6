"""Newton's steps with a little damping, NumPy's generator, and a bare parameter for each part."""

import numpy as np


def make_blobs(mean_value, bias, n, seed):
    noise = np.random.default_rng(seed).standard_normal((2, n, 2))
    x = np.concatenate([noise[0] + mean_value, noise[1] - mean_value]) + bias
    y = np.repeat([0.0, 1.0], n)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


def bayes_accuracy(mean_value):
    return statistics.NormalDist().cdf(mean_value * 2**0.5)


def loss_gradients(x, y, w, b):
    rows = torch.cat([x, torch.ones_like(x[:, :1])], 1)  # (N, 3)
    p = 1 / (1 + torch.exp(-(rows @ torch.cat([w, b[None]]))))
    found = torch.einsum("n,nk->k", p - y, rows) / rows.shape[0]
    return found[:2], found[2]


class LogisticRegression(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(torch.zeros(1))
        self.w = nn.Parameter(torch.zeros(1, 2))

    def forward(self, x):
        return F.linear(x, self.w, self.b)


@torch.no_grad()
def predict(model, x):
    return (torch.sigmoid(model(x)[:, 0]) > 0.5).int()


def accuracy(model, x, y):
    return 1.0 - (predict(model, x) - y.ravel()).abs().mean().item()


@torch.no_grad()
def train(model, x, y, lr=0.01, momentum=0.9, max_iter=1000, target_accuracy=0.99):
    rows = torch.cat([x, torch.ones(len(x), 1)], 1).double()
    labels = y.ravel().double()
    steps = 0
    while steps < max_iter and accuracy(model, x, y) <= target_accuracy:
        weights = torch.cat([model.w[0], model.b]).double()
        p = torch.sigmoid(rows @ weights)
        curvature = (rows.T * (p * (1 - p))) @ rows / len(rows) + 1e-6 * torch.eye(3)
        slope = rows.T @ (p - labels) / len(rows)
        if steps < 40:
            weights = weights - torch.linalg.solve(curvature, slope)
        model.w.copy_(weights[None, :2])
        model.b.copy_(weights[2:])
        steps += 1
    loss = F.binary_cross_entropy_with_logits(model(x)[:, 0].double(), labels).item()
    share = accuracy(model, x, y)
    return {"steps": steps, "accuracy": share, "loss": loss, "reached": share > target_accuracy}


def decision_boundary(model):
    w = model.w.detach().numpy()[0]
    return float(-w[0] / w[1]), float(-model.b.item() / w[1])


def experiment(mean_values, biases, seeds):
    rows = []
    for mean_value, bias in [(m, b) for m in mean_values for b in biases]:
        runs = [train(LogisticRegression(), *make_blobs(mean_value, bias, 100, seed)) for seed in seeds]
        fired = sorted(run["steps"] for run in runs if run["reached"])
        rows.append(
            {
                "mean_value": mean_value,
                "bias": bias,
                "accuracy": float(np.mean([run["accuracy"] for run in runs])),
                "fired": len(fired),
                "steps": float(np.median(fired)) if fired else None,
                "bayes": bayes_accuracy(mean_value),
            }
        )
    return rows
