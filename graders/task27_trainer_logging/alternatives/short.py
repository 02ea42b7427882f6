"""Few lines: dict comprehensions, walrus, a generator for batches on the device; the log is one list of rows."""


class AverageMeter:
    val, sum, count = 0.0, 0.0, 0
    avg = property(lambda self: self.sum / (self.count or 1))

    def reset(self):
        self.__dict__.clear()

    def update(self, value, n=1):
        if n:
            self.val = float(value)
            self.sum, self.count = self.sum + self.val * n, self.count + n


def count_iterations(n, batch, epochs=1, drop_last=False):
    if batch < 1 or n < 0 or epochs < 0:
        raise ValueError(f"{n=} {batch=} {epochs=}")
    return epochs * len(range(0, n - (batch - 1 if drop_last else 0), batch))


def count_correct(scores, labels):
    return int(torch.eq(scores.max(1).indices, labels).sum())


class ScalarLog:
    def __init__(self):
        self.rows, self.open = [], True

    def add_scalar(self, tag, scalar_value, global_step=None):
        if not self.open:
            raise RuntimeError
        step = sum(name == tag for name, *_ in self.rows) if global_step is None else global_step
        self.rows.append((tag, step, float(scalar_value)))

    def series(self, tag):
        return [s for t, s, _ in self.rows if t == tag], [v for t, _, v in self.rows if t == tag]

    def close(self):
        self.open = False


def on(device, loader):
    yield from ((x.to(device), y.to(device)) for x, y in loader)


def train_one_epoch(model, loader, loss_fn, optimizer, device, step=0, writer=None):
    model.train()
    rows = []
    for x, y in on(device, loader):
        optimizer.zero_grad()
        (loss := loss_fn(out := model(x), y)).backward()
        optimizer.step()
        rows.append((len(y), len(y) * loss.item(), count_correct(out, y)))
        del out
        if writer is not None:
            writer.add_scalar("train_loss", loss.item(), step + len(rows) - 1)
    n, loss, right = (sum(column) for column in zip(*rows)) if rows else (1, 0.0, 0)
    return {"loss": loss / n, "accuracy": right / n, "step": step + len(rows)}


@torch.no_grad()
def evaluate(model, loader, loss_fn, device):
    mode, _ = model.training, model.eval()
    rows = [
        (len(y), len(y) * loss_fn(out, y).item(), count_correct(out, y))
        for x, y in on(device, loader)
        if (out := model(x)) is not None
    ]
    model.train(mode)
    n, loss, right = (sum(column) for column in zip(*rows)) if rows else (1, 0.0, 0)
    return {"loss": loss / n, "accuracy": right / n}
