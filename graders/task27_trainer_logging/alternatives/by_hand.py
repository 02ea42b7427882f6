"""A beginner's way: everything by hand, nothing reused; the mode is changed only where it has to be."""

import torch.nn.functional as F
from torch import nn


class AverageMeter:
    def __init__(self):
        self.val = 0.0
        self.sum = 0.0
        self.count = 0

    def reset(self):
        self.__init__()

    def update(self, value, n=1):
        if n != 0:
            if torch.is_tensor(value):
                value = value.detach().cpu().double().reshape(-1)[0].item()
            self.val = float(value)
            self.sum = self.sum + self.val * n
            self.count = self.count + int(n)

    @property
    def avg(self):
        if self.count == 0:
            return 0.0
        else:
            return self.sum / self.count


def count_iterations(n, batch, epochs=1, drop_last=False):
    if batch < 1:
        raise ValueError("batch")
    if n < 0:
        raise ValueError("n")
    if epochs < 0:
        raise ValueError("epochs")
    if drop_last:
        return epochs * (n // batch)
    return epochs * ((n + batch - 1) // batch)


def count_correct(scores, labels):
    best, where = torch.max(scores, dim=1)
    hits = torch.eq(where, labels.to(scores.device).long())
    return int(torch.count_nonzero(hits))


class ScalarLog:
    def __init__(self):
        self.tags = []
        self.steps = []
        self.values = []
        self.is_closed = False

    def add_scalar(self, tag, scalar_value, global_step=None):
        if self.is_closed:
            raise RuntimeError("closed log")
        if global_step is None:
            global_step = 0
            for t in self.tags:
                if t == tag:
                    global_step += 1
        if torch.is_tensor(scalar_value):
            scalar_value = scalar_value.detach().item()
        self.tags.append(tag)
        self.steps.append(global_step)
        self.values.append(float(scalar_value))

    def series(self, tag):
        a = []
        b = []
        for i in range(len(self.tags)):
            if self.tags[i] == tag:
                a.append(self.steps[i])
                b.append(self.values[i])
        return a, b

    def close(self):
        if not self.is_closed:
            self.is_closed = True


class CifarNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 32, kernel_size=(5, 5), stride=1, padding="same")
        self.c2 = nn.Conv2d(32, 32, kernel_size=(5, 5), stride=1, padding="same")
        self.c3 = nn.Conv2d(32, 64, kernel_size=(5, 5), stride=1, padding="same")
        self.f1 = nn.Linear(1024, 64)
        self.f2 = nn.Linear(64, 10)

    def forward(self, x):
        for conv in (self.c1, self.c2, self.c3):
            x = F.max_pool2d(torch.relu(conv(x)), 2)
        x = x.reshape(x.shape[0], 1024)
        x = torch.tanh(self.f1(x))
        x = self.f2(x)
        return x


def train_one_epoch(model, loader, loss_fn, optimizer, device, step=0, writer=None):
    total = 0.0
    right = 0
    seen = 0
    model.train()
    for batch in loader:
        images, labels = batch
        images, labels = images.to(device), labels.to(device)
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = None
        out = model(images)
        loss = loss_fn(out, labels)
        loss.backward()
        optimizer.step()
        number = loss.detach().item()
        size = images.shape[0]
        total = total + number * size
        right = right + count_correct(out, labels)
        seen = seen + size
        if writer:
            writer.add_scalar("train_loss", number, step)
        step = step + 1
    if seen == 0:
        return {"loss": 0.0, "accuracy": 0.0, "step": step}
    return {"loss": total / seen, "accuracy": right / seen, "step": step}


@torch.no_grad()
def evaluate(model, loader, loss_fn, device):
    total = 0.0
    right = 0
    seen = 0
    mode = model.training
    if mode:
        model.eval()
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        out = model(images)
        total += loss_fn(out, labels).item() * images.shape[0]
        right += count_correct(out, labels)
        seen += images.shape[0]
    if mode:
        model.train()
    if seen == 0:
        return {"loss": 0.0, "accuracy": 0.0}
    return {"loss": total / seen, "accuracy": right / seen}


def fit(model, train_loader, test_loader, loss_fn, optimizer, device, epochs, scheduler=None, writer=None):
    train_loss, train_accuracy, test_loss, test_accuracy, lr = [], [], [], [], []
    step = 0
    for e in range(epochs):
        lr.append(float(optimizer.param_groups[0]["lr"]))
        r = train_one_epoch(model, train_loader, loss_fn, optimizer, device, step=step, writer=writer)
        step = r["step"]
        train_loss.append(r["loss"])
        train_accuracy.append(r["accuracy"])
        if scheduler is not None and not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()
        t = evaluate(model, test_loader, loss_fn, device)
        test_loss.append(t["loss"])
        test_accuracy.append(t["accuracy"])
        if scheduler is not None and isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(t["loss"])
        if writer:
            writer.add_scalar("test_loss", t["loss"], e + 1)
            writer.add_scalar("test_accuracy", t["accuracy"], e + 1)
            writer.add_scalar("lr", lr[-1], e + 1)
    return {
        "train_loss": train_loss,
        "train_accuracy": train_accuracy,
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
        "lr": lr,
    }
