"""Sums are tensors of float64 on the device, turned into numbers once; inference mode; functional layers."""

import math

import torch.nn.functional as F


class AverageMeter:
    def __init__(self):
        self.reset()

    def reset(self):
        self.last, self.total, self.weight = 0.0, torch.zeros((), dtype=torch.float64), 0

    val = property(lambda self: self.last)
    sum = property(lambda self: self.total.item())
    count = property(lambda self: self.weight)
    avg = property(lambda self: (self.total / max(self.weight, 1)).item())

    @torch.no_grad()
    def update(self, value, n=1):
        if not n:
            return
        value = torch.as_tensor(value).detach().double().reshape(()).cpu()
        self.last = value.item()
        self.total = self.total + value * n
        self.weight += n


def count_iterations(n, batch, epochs=1, drop_last=False):
    if min(batch - 1, n, epochs) < 0:
        raise ValueError("no such batches")
    return epochs * ((n if drop_last else n + batch - 1) // batch)


def count_correct(scores, labels):
    return torch.count_nonzero(torch.argmax(scores.detach(), dim=-1) == labels).item()


class CifarNet(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [3, 32, 32, 64]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 5, padding="same") for a, b in zip(widths, widths[1:]))
        self.hidden, self.out = nn.LazyLinear(64), nn.LazyLinear(10)
        with torch.no_grad():
            self(torch.zeros(1, 3, 32, 32))

    def forward(self, x):
        for convolution in self.convolutions:
            x = F.max_pool2d(F.leaky_relu(convolution(x), 0.1), 2)
        return self.out(F.gelu(self.hidden(x.flatten(1))))


def train_one_epoch(model, loader, loss_fn, optimizer, device, step=0, writer=None):
    model.train(True)
    sums = torch.zeros(3, dtype=torch.float64, device=device)
    first = step
    for step, (images, labels) in enumerate(loader, start=first):
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        optimizer.zero_grad(set_to_none=False)
        scores = model(images)
        loss = loss_fn(scores, labels)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            size = labels.shape[0]
            row = [loss.detach().double() * size, (scores.argmax(1) == labels).sum().double()]
            sums += torch.stack([*row, torch.full_like(row[0], size)])
        if writer is not None:
            writer.add_scalar(tag="train_loss", scalar_value=float(loss), global_step=step)
    else:
        step = step + 1 if sums[2] else first
    loss, right, total = sums.tolist()
    return dict(loss=loss / max(total, 1), accuracy=right / max(total, 1), step=step, samples=int(total))


def evaluate(model, loader, loss_fn, device):
    mode = model.training
    try:
        model.eval()
        with torch.inference_mode():
            parts = [
                (loss_fn(scores, labels).double() * len(labels), (scores.argmax(1) == labels).sum(), len(labels))
                for images, labels in loader
                for labels in [labels.to(device)]
                for scores in [model(images.to(device))]
            ]
            total = sum(size for *_, size in parts)
            if not total:
                return {"loss": 0.0, "accuracy": 0.0}
            loss = math.fsum(float(part) for part, *_ in parts) / total
            return {"loss": loss, "accuracy": float(sum(right for _, right, _ in parts)) / total}
    finally:
        model.train(mode)
