"""A shortcut around the third convolution, average pooling to one pixel, layers in a dict; sums kept by numpy."""

# It is appended to the solution, whose helpers it may use.


class FashionCNN(nn.Module):
    def __init__(self, in_channels=1, num_classes=10):
        super().__init__()
        self.parts = nn.ModuleDict(
            {
                "a": nn.Conv2d(in_channels, 24, 3, padding=1),
                "b": nn.Conv2d(24, 48, 3, padding=1),
                "c": nn.Conv2d(48, 48, 3, padding=1),
                "d": nn.Conv2d(48, 96, 3, padding=1),
                "norm_a": nn.BatchNorm2d(24),
                "norm_b": nn.BatchNorm2d(48),
                "norm_c": nn.BatchNorm2d(48),
                "norm_d": nn.BatchNorm2d(96),
            }
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(96, 64), nn.PReLU(), nn.Linear(64, num_classes))

    def unit(self, name, x):
        return torch.relu(self.parts[f"norm_{name}"](self.parts[name](x)))

    def forward(self, x):
        x = nn.functional.avg_pool2d(self.unit("a", x), 2)
        x = nn.functional.max_pool2d(self.unit("b", x), 2)
        x = self.unit("d", x + self.unit("c", x))
        return self.head(x.amax(dim=(2, 3)))


def measured(model, loader, loss_fn, device):
    rows = []
    for images, labels in loader:
        scores = model(images.to(device))
        labels = labels.to(device)
        rows.append((len(labels), float(loss_fn(scores, labels)), int((scores.argmax(-1) == labels).sum())))
    sizes, losses, hits = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return {"loss": float((sizes * losses).sum() / sizes.sum()), "accuracy": float(hits.sum() / sizes.sum())}


@torch.no_grad()
def evaluate(model, loader, loss_fn, device):
    training = model.training
    try:
        return measured(model.eval(), loader, loss_fn, device)
    finally:
        model.train(training)
