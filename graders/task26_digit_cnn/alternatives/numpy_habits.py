"""NumPy counts and averages with weights; the measured model is a copy in evaluation mode."""

import copy

import numpy as np


class CNN(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.ModuleDict({"conv": nn.Conv2d(1, 32, (5, 5), padding=(2, 2)), "norm": nn.BatchNorm2d(32)})
        self.out = nn.Linear(32 * 14**2, classes)

    def forward(self, x):
        x = self.features["norm"](self.features["conv"](x)).clamp(min=0)
        n, c, h, w = x.shape
        x = x.view(n, c, h // 2, 2, w // 2, 2).amax((3, 5))
        return self.out(x.flatten(1))


def evaluate(model, loader):
    twin = copy.deepcopy(model).eval()
    device = next(twin.parameters()).device
    losses, shares, sizes = [], [], []
    with torch.no_grad():
        for images, labels in loader:
            scores = twin(to_float(images.to(device))).cpu()
            losses.append(F.cross_entropy(scores, labels).item())
            shares.append(np.mean(scores.numpy().argmax(axis=1) == labels.numpy()))
            sizes.append(len(labels))
    if not sizes:
        return 0.0, 0.0
    return float(np.average(losses, weights=sizes)), float(np.average(shares, weights=sizes))


def predict(model, x):
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        scores = twin(to_float(x if x.ndim == 4 else x[None]).to(next(twin.parameters()).device))
    return torch.from_numpy(scores.cpu().numpy().argmax(axis=1))


def confusion_matrix(pred, target, num_classes=10):
    cm = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(cm, (target.cpu().numpy(), pred.cpu().numpy()), 1)
    return torch.from_numpy(cm).to(pred.device)


def most_confused(cm):
    counts = cm.numpy().copy()
    np.fill_diagonal(counts, -1)
    true, given = np.unravel_index(np.argmax(counts), counts.shape)
    return (int(true), int(given), int(counts[true, given])) if counts[true, given] > 0 else None
