"""Helpers for task 27 that run beside the submission: a writer, models, an optimiser and a schedule that keep notes."""

import weakref

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Recorder:
    """A writer that keeps every row, and counts how often it is closed."""

    def __init__(self):
        self.rows, self.closed = [], 0

    def add_scalar(self, tag, scalar_value, global_step=None, *_, **__):
        self.rows.append({"tag": tag, "value": scalar_value, "step": global_step})

    def flush(self):
        pass

    def close(self):
        self.closed += 1


def recorder():
    return Recorder()


class Book(nn.Module):
    """Its scores are ten numbers of an image: another ten after each ``period`` passes with gradients, in any mode."""

    def __init__(self, period):
        super().__init__()
        self.period = period
        self.gain = nn.Parameter(torch.zeros(1))
        self.register_buffer("passes", torch.zeros(1, dtype=torch.int64))

    def forward(self, x):
        page = min(int(self.passes) // self.period, x[0].numel() // 10 - 1)
        if torch.is_grad_enabled():
            self.passes += 1
        return x.flatten(1)[:, 10 * page : 10 * page + 10] + self.gain * x.sum()


def book(period):
    return Book(period)


def dropping_loader(images, labels, batch_size):
    """A loader that leaves out the last, smaller batch."""
    return DataLoader(TensorDataset(images, labels), batch_size, drop_last=True)


class Stream:
    """Batches as they come, without a length or a data set; ``passes`` counts how often they came."""

    def __init__(self, images, labels, batch_size):
        self.pairs, self.passes = list(zip(images.split(batch_size), labels.split(batch_size), strict=True)), 0

    def __iter__(self):
        self.passes += 1
        yield from self.pairs


def stream(images, labels, batch_size):
    return Stream(images, labels, batch_size)


class Uneven:
    """A loader without a length, whose passes make so many batches as ``counts`` tell."""

    def __init__(self, images, labels, counts):
        self.images, self.labels, self.counts = images, labels, list(counts)

    def __iter__(self):
        parts = self.counts.pop(0)
        yield from zip(self.images.chunk(parts), self.labels.chunk(parts), strict=True)


def uneven(images, labels, counts):
    return Uneven(images, labels, counts)


def partly_frozen(model):
    """The model, whose first parameter wants no gradient."""
    next(model.parameters()).requires_grad_(False)
    return model


def with_old_gradients(model):
    """The model, whose parameters hold gradients of something else."""
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    return model


def left_behind(fn, model, loader, loss_fn):
    """What is another in a model, some of whose parameters are frozen, after an evaluation to which all of it came in
    training mode, and in evaluation mode; the modes are not looked at."""
    for parameter in model.parameters():
        parameter.grad = torch.rand_like(parameter)
    list(model.children())[-1].requires_grad_(False)
    changed = []
    for training in (True, False):
        model.train(training)
        before = held(model)
        fn(model, loader, loss_fn, "cpu")
        after = held(model)
        changed += [name for name in before if not all(map(alike, before[name], after[name]))]
    return list(dict.fromkeys(changed))


def held(model):
    parameters = list(model.parameters())
    return {
        "buffers": [buffer.clone() for buffer in model.buffers()],
        "parameters": [parameter.detach().clone() for parameter in parameters],
        "requires_grad": [parameter.requires_grad for parameter in parameters],
        "gradients": [None if parameter.grad is None else parameter.grad.clone() for parameter in parameters],
        "random generator": [torch.get_rng_state()],
        "gradient mode": [torch.is_grad_enabled()],
    }


def alike(one, other):
    tensors = isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)
    return torch.equal(one, other) if tensors else one is other


def modes_after(fn, model, loader, loss_fn):
    """The modes of the model and of each part of it after an evaluation under no_grad, and whether gradients are
    recorded then."""
    with torch.no_grad():
        fn(model, loader, loss_fn, "cpu")
        recording = torch.is_grad_enabled()
    return [module.training for module in model.modules()], recording


def order(fn, model, loader, loss_fn, *args):
    """What happens while ``fn(model, loader, loss_fn, optimizer, *args)`` runs, in order: "forward" (every layer in
    training mode), "evaluation" (one in the other mode), "backward", "step"."""
    events = []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model.register_forward_hook(
        lambda module, *_: events.append("forward" if all(part.training for part in module.modules()) else "evaluation")
    )
    next(model.parameters()).register_hook(lambda _: events.append("backward"))
    optimizer.register_step_post_hook(lambda *_: events.append("step"))
    fn(model, loader, loss_fn, optimizer, *args)
    return events


def schedules(fn, model, train_loader, test_loader, loss_fn, epochs, kind):
    """The rates in the history of ``fn``, which trains two groups of parameters with a schedule; and "step" and
    "schedule" in the order in which they happened."""
    events = []
    groups = [{"params": list(model.parameters())}, {"params": [torch.zeros(1, requires_grad=True)], "lr": 0.1}]
    optimizer = torch.optim.SGD(groups, lr=0.8)
    optimizer.register_step_post_hook(lambda *_: events.append("step"))

    class Noting(SCHEDULES[kind]):
        def step(self, *given, **named):
            told = kind == "step" and (given or named)
            events.append("schedule with an argument" if told else "schedule")
            return super().step(*given, **named)

    settings = {"step": {"step_size": 1, "gamma": 0.5}, "plateau": {"factor": 0.5, "patience": 0}}[kind]
    scheduler = Noting(optimizer, **settings)
    events.clear()  # the constructor makes a step of its own
    history = fn(model, train_loader, test_loader, loss_fn, optimizer, "cpu", epochs, scheduler)
    return history["lr"], events


SCHEDULES = {"step": torch.optim.lr_scheduler.StepLR, "plateau": torch.optim.lr_scheduler.ReduceLROnPlateau}


class Token:
    """Lives as long as the graph that it is in."""


class Marked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, token):
        ctx.token = token
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None


def graphs_alive(fn, loader, loss_fn, train):
    """How many graphs of earlier passes are alive at each pass of ``fn``, an epoch of training or an evaluation.

    The model gives back ten pixels of an image; passes of copies count, too.
    """
    tokens, alive = weakref.WeakSet(), []

    class Graphs(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1))

        def forward(self, x):
            alive.append(len(tokens))
            token = Token()
            tokens.add(token)
            return Marked.apply(self.gain * x.flatten(1)[:, :10], token)

    model = Graphs()
    optimizer = [torch.optim.SGD(model.parameters(), lr=0.1)] if train else []
    fn(model, loader, loss_fn, *optimizer, "cpu")
    return alive


def changed_series(log, tag):
    """Steps and values of a tag, after the lists that an earlier call gave were changed."""
    for part in log.series(tag):
        part.append(99)
        part[0] = -5
    return [list(part) for part in log.series(tag)]
