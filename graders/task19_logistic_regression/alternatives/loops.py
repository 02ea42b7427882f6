"""Loops over single points, a linear layer with a sigmoid, autograd.grad, and momentum by hand."""

# It is appended to the solution, whose helpers it may use.


def make_blobs(mean_value, bias, n, seed):
    generator = torch.Generator()
    generator.manual_seed(seed)
    x = torch.zeros(2 * n, 2)
    y = torch.zeros(2 * n)
    for i in range(2 * n):
        if i < n:
            centre = mean_value + bias
        else:
            centre = -mean_value + bias
            y[i] = 1.0
        for j in range(2):
            x[i, j] = centre + torch.randn(1, generator=generator).item()
    return x, y


def bayes_accuracy(mean_value):
    return 1 - 0.5 * math.erfc(mean_value)


def loss_gradients(x, y, w, b):
    n = x.shape[0]
    grad_w = torch.zeros_like(w)
    grad_b = torch.zeros_like(b)
    for i in range(n):
        z = x[i, 0] * w[0] + x[i, 1] * w[1] + b
        if z >= 0:
            p = 1 / (1 + torch.exp(-z))
        else:
            e = torch.exp(z)
            p = e / (1 + e)
        grad_w = grad_w + (p - y[i]) * x[i] / n
        grad_b = grad_b + (p - y[i]) / n
    return grad_w, grad_b


class LogisticRegression(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        return self.sigmoid(self.linear(x))


def predict(model, x):
    p = model(x).detach()
    return (p[:, 0] > 0.5).long()


def accuracy(model, x, y):
    predicted = predict(model, x).tolist()
    truth = y.flatten().tolist()
    right = 0
    for a, b in zip(predicted, truth):
        if a == b:
            right += 1
    return right / len(truth)


def train(model, x, y, lr=0.01, momentum=0.9, max_iter=1000, target_accuracy=0.99):
    target = y.clone().view(-1, 1)
    parameters = list(model.parameters())
    velocity = [torch.zeros_like(p) for p in parameters]
    steps = 0
    reached = False
    for _ in range(max_iter):
        loss = F.binary_cross_entropy(model(x), target)
        grads = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, v, g in zip(parameters, velocity, grads):
                v.mul_(momentum).add_(g)
                p.sub_(lr * v)
        steps += 1
        if steps % 20 == 0 and accuracy(model, x, y) > target_accuracy:
            break
    with torch.no_grad():
        loss = float(F.binary_cross_entropy(model(x), target))
    acc = accuracy(model, x, y)
    if acc > target_accuracy:
        reached = True
    return dict(steps=steps, accuracy=acc, loss=loss, reached=reached)


def decision_boundary(model):
    w = model.linear.weight.detach()[0]
    b = model.linear.bias.detach()[0]
    slope = -float(w[0]) / float(w[1])
    intercept = -float(b) / float(w[1])
    return slope, intercept


def experiment(mean_values, biases, seeds):
    table = []
    for m in mean_values:
        for b in biases:
            total = 0.0
            fired = 0
            steps = []
            for seed in seeds:
                x, y = make_blobs(m, b, 100, seed)
                torch.manual_seed(seed)
                model = LogisticRegression()
                result = train(model, x, y)
                total = total + result["accuracy"]
                if result["reached"]:
                    fired = fired + 1
                    steps.append(result["steps"])
            steps.sort()
            if fired == 0:
                median = None
            elif fired % 2 == 1:
                median = steps[fired // 2]
            else:
                median = (steps[fired // 2 - 1] + steps[fired // 2]) / 2
            row = {}
            row["mean_value"] = float(m)
            row["bias"] = float(b)
            row["bayes"] = bayes_accuracy(m)
            row["accuracy"] = total / len(seeds)
            row["fired"] = fired
            row["steps"] = median
            table.append(row)
    return table
