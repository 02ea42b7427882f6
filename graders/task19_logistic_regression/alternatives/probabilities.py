"""The usual script: a linear layer with a sigmoid behind it, BCELoss, columns everywhere, a look after every step."""


def make_blobs(mean_value, bias, n, seed):
    torch.manual_seed(seed)
    data = torch.ones(n, 2)
    x0 = torch.normal(mean_value * data, 1) + bias
    x1 = torch.normal(-mean_value * data, 1) + bias
    return torch.cat((x0, x1), 0), torch.cat((torch.zeros(n), torch.ones(n)), 0)


def bayes_accuracy(mean_value):
    return torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(mean_value * math.sqrt(2))).item()


def loss_gradients(x, y, w, b):
    p = torch.sigmoid(torch.mv(x, w) + b)
    return torch.mv(x.t(), p - y) / len(y), (p - y).sum() / y.numel()


class LogisticRegression(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Linear(2, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        return self.sigmoid(self.features(x))


def predict(model, x):
    return model(x).ge(0.5).float().squeeze(1).detach()


def accuracy(model, x, y):
    correct = (predict(model, x) == y.flatten()).sum()
    return correct.item() / y.numel()


def train(model, x, y, lr=0.01, momentum=0.9, max_iter=1000, target_accuracy=0.99):
    loss_fn = nn.BCELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    target = y.view(-1, 1)
    steps = 0
    for _ in range(max_iter):
        optimizer.zero_grad()
        loss = loss_fn(model(x), target)
        loss.backward()
        optimizer.step()
        steps += 1
        if accuracy(model, x, y) > target_accuracy:
            break
    loss = loss_fn(model(x), target).item()
    reached = accuracy(model, x, y) > target_accuracy
    return dict(steps=steps, accuracy=accuracy(model, x, y), loss=loss, reached=reached)


def decision_boundary(model):
    w0, w1 = model.features.weight[0]
    b = model.features.bias[0]
    return float(-w0 / w1), float(-b / w1)


def experiment(mean_values, biases, seeds):
    table = []
    for mean_value in mean_values:
        for bias in biases:
            accuracies, steps = [], []
            for seed in seeds:
                x, y = make_blobs(mean_value, bias, 100, seed)
                torch.manual_seed(seed)
                report = train(LogisticRegression(), x, y)
                accuracies.append(report["accuracy"])
                if report["reached"]:
                    steps.append(report["steps"])
            row = {"mean_value": mean_value, "bias": bias, "bayes": bayes_accuracy(mean_value)}
            row["accuracy"] = sum(accuracies) / len(accuracies)
            row["fired"] = len(steps)
            row["steps"] = statistics.median(steps) if len(steps) > 0 else None
            table.append(row)
    return table
