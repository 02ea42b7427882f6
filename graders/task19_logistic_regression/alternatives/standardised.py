"""Descent by hand on standardised points, by the closed form of the gradients; the weights are turned back."""


def make_blobs(mean_value, bias, n, seed):
    generator = torch.Generator()
    generator.manual_seed(seed)
    points, labels = [], []
    for label in (0, 1):
        for _ in range(n):
            sign = 1 if label == 0 else -1
            points.append(torch.randn(2, generator=generator) + sign * mean_value + bias)
            labels.append(float(label))
    return torch.stack(points), torch.tensor(labels)


def bayes_accuracy(mean_value):
    return 1 - 0.5 * math.erfc(mean_value)


class LogisticRegression(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x):
        return torch.sigmoid(self.linear(x)).squeeze(-1)


def predict(model, x):
    return model(x).detach().round()


def accuracy(model, x, y):
    return float(torch.eq(predict(model, x), y.squeeze(-1) if y.ndim == 2 else y).float().mean())


def train(model, x, y, lr=0.01, momentum=0.9, max_iter=1000, target_accuracy=0.99):
    y = y.flatten()
    shift, scale = x.mean(0), x.std(0)
    z = (x - shift) / scale
    w = torch.zeros(2)
    b = torch.zeros(())
    speed_w, speed_b = torch.zeros(2), torch.zeros(())

    def write():
        with torch.no_grad():
            model.linear.weight[0] = w / scale
            model.linear.bias[0] = b - (w / scale * shift).sum()

    steps = 0
    if max_iter > 0:
        write()
    while steps < max_iter:
        slope_w, slope_b = loss_gradients(z, y, w, b)
        speed_w = momentum * speed_w + slope_w
        speed_b = momentum * speed_b + slope_b
        w = w - lr * speed_w
        b = b - lr * speed_b
        steps += 1
        if steps % 20 == 0:
            write()
            if accuracy(model, x, y) > target_accuracy:
                break
    if max_iter > 0:
        write()
    with torch.no_grad():
        loss = F.binary_cross_entropy(model(x).clamp(1e-7, 1 - 1e-7), y).item()
    right = accuracy(model, x, y)
    return {"reached": right > target_accuracy, "accuracy": right, "loss": loss, "steps": steps}


def decision_boundary(model):
    (w1, w2), b = model.linear.weight.detach()[0], model.linear.bias.detach()[0]
    return (-w1 / w2).item(), (-b / w2).item()


def experiment(mean_values, biases, seeds):
    def run(mean_value, bias, seed):
        x, y = make_blobs(mean_value, bias, 100, seed)
        torch.manual_seed(seed + 1)
        return train(LogisticRegression(), x, y)

    def row(mean_value, bias):
        runs = [run(mean_value, bias, seed) for seed in seeds]
        steps = sorted(r["steps"] for r in runs if r["reached"])
        middle = None
        if steps:
            middle = (steps[len(steps) // 2] + steps[(len(steps) - 1) // 2]) / 2
        return {
            "mean_value": float(mean_value),
            "bias": float(bias),
            "accuracy": sum(r["accuracy"] for r in runs) / len(runs),
            "fired": sum(r["reached"] for r in runs),
            "steps": middle,
            "bayes": bayes_accuracy(mean_value),
        }

    return [row(mean_value, bias) for mean_value in mean_values for bias in biases]
