"""A trainer object keeps model, optimiser, step and history; the functions are its thin fronts."""

import functools
from collections import defaultdict

import numpy as np


class AverageMeter:
    def __init__(self):
        self.pairs = []

    def reset(self):
        self.pairs.clear()

    def update(self, value, n=1):
        if n > 0:
            self.pairs.append((float(value), n))

    def __getattr__(self, name):
        if name == "val":
            return self.pairs[-1][0] if self.pairs else 0.0
        if name == "sum":
            return float(sum(value * n for value, n in self.pairs))
        if name == "count":
            return sum(n for _, n in self.pairs)
        if name == "avg":
            values, sizes = zip(*self.pairs) if self.pairs else ((0.0,), (1,))
            return float(np.average(values, weights=sizes))
        raise AttributeError(name)


class ScalarLog:
    def __init__(self):
        self._rows = defaultdict(list)

    def add_scalar(self, tag, scalar_value, global_step=None):
        step = len(self._rows[tag]) if global_step is None else global_step
        number = scalar_value.item() if isinstance(scalar_value, torch.Tensor) else scalar_value
        self._rows[tag].append((step, float(number)))

    def series(self, tag):
        steps, values = map(list, zip(*self._rows[tag])) if self._rows.get(tag) else ([], [])
        return steps, values

    def close(self):
        self.add_scalar = self._refuse

    def _refuse(self, *args, **kwargs):
        raise RuntimeError("this log is closed")


class CifarNet(nn.Sequential):
    def __init__(self):
        layers = []
        for a, b in [(3, 32), (32, 32), (32, 64)]:
            layers += [nn.Conv2d(a, b, (5, 5), (1, 1), (2, 2)), nn.MaxPool2d(kernel_size=2, stride=2), nn.ELU()]
        super().__init__(*layers, nn.Flatten(), nn.Linear(1024, 64), nn.Dropout(0.1), nn.Sigmoid(), nn.Linear(64, 10))

    def forward(self, x):
        return super().forward(x)


class Trainer:
    def __init__(self, model, loss_fn, device, optimizer=None, writer=None, step=0):
        self.model, self.loss_fn, self.device = model, loss_fn, torch.device(device)
        self.optimizer, self.writer, self.step = optimizer, writer, step

    def log(self, tag, value, step):
        if self.writer is not None:
            self.writer.add_scalar(tag, value, step)

    def _run(self, loader):
        total = right = 0
        loss_sum = 0.0
        for batch in loader:
            images, labels = (part.to(self.device) for part in batch)
            scores = self.model(images)
            loss = self.loss_fn(scores, labels)
            if torch.is_grad_enabled():
                self._learn(loss)
            total += labels.numel()
            right += count_correct(scores, labels)
            loss_sum += float(loss) * labels.numel()
        return {"loss": loss_sum / total if total else 0.0, "accuracy": right / total if total else 0.0}

    def _learn(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.log("train_loss", float(loss), self.step)
        self.step += 1

    def train(self, loader):
        self.model.train()
        return {**self._run(loader), "step": self.step}

    def test(self, loader):
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            report = self._run(loader)
        self.model.train(training)
        return report


def train_one_epoch(model, loader, loss_fn, optimizer, device, step=0, writer=None):
    with torch.enable_grad():
        return Trainer(model, loss_fn, device, optimizer, writer, step).train(loader)


def evaluate(model, loader, loss_fn, device):
    return Trainer(model, loss_fn, device).test(loader)


def fit(model, train_loader, test_loader, loss_fn, optimizer, device, epochs, scheduler=None, writer=None):
    trainer = Trainer(model, loss_fn, device, optimizer, writer)
    rows = []
    for epoch in range(1, epochs + 1):
        rate = float(optimizer.param_groups[0]["lr"])
        trained, tested = trainer.train(train_loader), trainer.test(test_loader)
        rows.append((trained["loss"], trained["accuracy"], tested["loss"], tested["accuracy"], rate))
        for key, value in tested.items():
            trainer.log(f"test_{key}", value, epoch)
        if scheduler is not None:
            needs = isinstance(scheduler, ReduceLROnPlateau)
            functools.partial(scheduler.step, *[tested["loss"]] * needs)()
    keys = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "lr")
    return {key: [row[n] for row in rows] for n, key in enumerate(keys)}
