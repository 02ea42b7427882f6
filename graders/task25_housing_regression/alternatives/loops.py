"""A beginner's loops and lists, mini-batches of 256 with Adam, and a prediction in one column."""

import math
import random


def parse_table(text):
    table = []
    for line in text.split("\n"):
        row = []
        for word in line.split():
            row.append(float(word))
        if len(row) == 0:
            continue
        if len(table) > 0 and len(table[0]) != len(row):
            raise ValueError("ragged")
        table.append(row)
    return torch.DoubleTensor(table)


def train_test_split(x, y, test_size=0.3, seed=0):
    rows = list(range(x.shape[0]))
    random.Random(seed).shuffle(rows)
    count = test_size if type(test_size) is int else int(test_size * len(rows))
    test = rows[len(rows) - count :]
    train = rows[: len(rows) - count]
    return x[train], x[test], y[train], y[test]


def standardize(train, test):
    new_train, new_test = train.clone(), test.clone()
    for column in range(train.shape[1]):
        values = train[:, column]
        mean = values.sum() / len(values)
        variance = ((values - mean) ** 2).sum() / (len(values) - 1)
        if variance == 0:
            new_train[:, column] = 0
            new_test[:, column] = 0
        else:
            new_train[:, column] = (values - mean) / torch.sqrt(variance)
            new_test[:, column] = (test[:, column] - mean) / torch.sqrt(variance)
    return new_train, new_test


def r2_score(y_true, y_pred):
    truth = [float(value) for value in y_true.reshape(-1)]
    guess = [float(value) for value in y_pred.reshape(-1)]
    mean = sum(truth) / len(truth)
    residual = sum((t - g) ** 2 for t, g in zip(truth, guess, strict=True))
    total = sum((t - mean) ** 2 for t in truth)
    return 1 - residual / total


class HousingNet(nn.Module):
    def __init__(self):
        super(HousingNet, self).__init__()
        self.fc1 = nn.Linear(13, 100)
        self.fc2 = nn.Linear(100, 1)

    def forward(self, x):
        x = self.fc1(x)
        x = torch.relu(x)
        x = self.fc2(x)
        return x


def train_regressor(x, y, epochs=300, lr=0.01, seed=0):
    torch.manual_seed(seed)
    model = HousingNet()
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    y = y.view(-1, 1)
    batch = 256
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            loss = criterion(model(x[rows]), y[rows])
            model.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def k_fold_indices(n, k, shuffle=False, seed=0):
    if k < 2:
        raise ValueError("k must be 2 or more")
    if k > n:
        raise ValueError("more folds than rows")
    rows = [i for i in range(n)]
    if shuffle:
        random.seed(seed)
        random.shuffle(rows)
    pairs = []
    start = 0
    for fold in range(k):
        size = n // k
        if fold < n % k:
            size = size + 1
        test = rows[start : start + size]
        train = [row for row in rows if row not in test]
        pairs.append((train, test))
        start = start + size
    return pairs


def cross_validate(x, y, k=5, seed=0, epochs=300, lr=0.01):
    scores = []
    for train, test in k_fold_indices(x.size(0), k, shuffle=True, seed=seed):
        x_train, x_test = standardize(x[train], x[test])
        model = train_regressor(x_train, y[train], epochs=epochs, lr=lr, seed=seed)
        model.eval()
        prediction = torch.zeros(len(test))
        for i in range(len(test)):
            prediction[i] = model(x_test[i : i + 1]).item()
        scores.append(r2_score(y[test], prediction))
    mean = sum(scores) / k
    std = math.sqrt(sum((score - mean) ** 2 for score in scores) / k)
    return mean, std
