"""Losses and hits sample by sample in lists; the modes of all layers are written down, and given back one by one."""

import torch.nn.functional as F


def to_float(images):
    if images.is_floating_point():
        return images
    result = torch.zeros(images.shape, dtype=torch.float32, device=images.device)
    result += images
    result /= 255.0
    return result


class CNN(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 32, kernel_size=5, stride=1, padding="same"),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2, 2),
            nn.Flatten(),
            nn.Linear(6272, 10),
        )


def first_parameter(model):
    for p in model.parameters():
        return p


def ready(model, images):
    p = first_parameter(model)
    x = to_float(images).to(p.device)
    if images.dtype == torch.uint8 and x.dtype != p.dtype:
        x = x.to(p.dtype)
    return x


def train(model, loader, epochs, optimizer):
    result = []
    epoch = 0
    while epoch < epochs:
        model.train()
        losses = []
        for images, labels in loader:
            x = ready(model, images)
            labels = labels.to(first_parameter(model).device)
            scores = model(x)
            loss = F.cross_entropy(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            for _ in range(labels.shape[0]):
                losses.append(float(loss.detach()))
        if len(losses) == 0:
            result.append(0.0)
        else:
            result.append(sum(losses) / len(losses))
        epoch += 1
    return result


def evaluate(model, loader):
    modes = []
    for layer in model.modules():
        modes.append(layer.training)
    model.eval()
    losses = []
    right = 0
    for images, labels in loader:
        labels = labels.to(first_parameter(model).device)
        with torch.no_grad():
            scores = model(ready(model, images))
        for i in range(labels.shape[0]):
            losses.append(F.cross_entropy(scores[i : i + 1], labels[i : i + 1]).item())
            if scores[i].argmax() == labels[i]:
                right += 1
    for layer, mode in zip(model.modules(), modes):
        layer.training = mode
    if losses == []:
        return (0.0, 0.0)
    return (sum(losses) / len(losses), right / len(losses))


def predict(model, x):
    if x.ndim == 3:
        x = x[None]
    modes = [layer.training for layer in model.modules()]
    model.eval()
    with torch.no_grad():
        scores = model(ready(model, x))
    for layer, mode in zip(model.modules(), modes):
        layer.training = mode
    answer = torch.zeros(x.shape[0], dtype=torch.int64)
    for i in range(x.shape[0]):
        answer[i] = scores[i].argmax()
    return answer


def confusion_matrix(pred, target, num_classes=10):
    cm = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for p, t in zip(pred.tolist(), target.tolist()):
        cm[t, p] += 1
    return cm


def most_confused(cm):
    best = None
    for t, row in enumerate(cm.tolist()):
        for p, count in enumerate(row):
            if t != p and count > 0 and (best is None or count > best[2]):
                best = (t, p, count)
    return best
