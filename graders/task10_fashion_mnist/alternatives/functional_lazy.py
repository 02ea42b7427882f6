"""Functional style: plain convolutions without normalisation, log-probabilities, and a separate training pass."""

# It is appended to the solution, whose helpers it may use.

import itertools


class FashionCNN(nn.Module):
    def __init__(self, in_channels=1, num_classes=10):
        super().__init__()
        widths = [in_channels, 16, 32, 32, 64]
        self.kernels = nn.ModuleList(
            nn.Conv2d(a, b, 5 if a == in_channels else 3, padding="same") for a, b in itertools.pairwise(widths)
        )
        self.hidden = nn.Parameter(torch.randn(120, 576) * (2 / 576) ** 0.5)
        self.out = nn.Linear(120, num_classes)

    def forward(self, x):
        for number, layer in enumerate(self.kernels):
            x = torch.clamp(layer(x), min=0)
            if number != 2:
                x = nn.functional.max_pool2d(x, 2)
        x = nn.functional.leaky_relu(nn.functional.linear(x.flatten(1), self.hidden), 0.01)
        return torch.log_softmax(self.out(x), dim=1)


def train_one_epoch(model, loader, loss_fn, optimizer, device):
    model.train()
    for images, labels in loader:
        loss = loss_fn(model(images.to(device)), labels.to(device))
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
    result = evaluate(model, loader, loss_fn, device)
    model.train()
    return result


def fit(model, train_loader, test_loader, epochs, lr, device):
    model = model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2 * lr, weight_decay=1e-4)
    rows = []
    for _ in range(epochs):
        fitted = train_one_epoch(model, train_loader, nn.NLLLoss() if is_log(model) else nn.CrossEntropyLoss(),
                                 optimizer, device)  # fmt: skip
        rows.append((fitted, evaluate(model, test_loader, nn.CrossEntropyLoss(), device)))
    model.eval()
    return {
        "train_loss": [fitted["loss"] for fitted, _ in rows],
        "train_accuracy": [fitted["accuracy"] for fitted, _ in rows],
        "test_accuracy": [tested["accuracy"] for _, tested in rows],
    }


def is_log(model):
    return isinstance(model, FashionCNN)
