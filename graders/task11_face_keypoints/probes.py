"""Helpers for task 11 that run beside the submission: loaders, toy models, recorders."""

import contextlib
import io

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader


def item(dataset, index):
    """(image, points) of one item of a data set."""
    image, points = dataset[index]
    return image, points


def brighten(image, points):
    """A transform: half the brightness, every coordinate one further."""
    return image / 2, points + 1


def spoil(image, points):
    """A transform that works in place."""
    return image.mul_(0), points.add_(1)


def arrays_after(dataset_class, images, points):
    """The arrays of a data set, after its items have passed a transform that works in place."""
    dataset = dataset_class(images, points, transform=spoil)
    for index in range(len(dataset)):
        dataset[index]
    return {"images": images, "points": points}


def shuffled(dataset, batch_size):
    """A training loader over a data set."""
    return DataLoader(dataset, batch_size, shuffle=True)


class Reader(nn.Module):
    """Its outputs are the first 8 pixels of an image, times a parameter that is 1; it notes mode and gradients.

    In training mode the outputs change sign if ``moody``.
    """

    def __init__(self, moody=False):
        super().__init__()
        self.moody = moody
        self.gain = nn.Parameter(torch.ones(()))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        self.modes, self.recorded = [], []

    def forward(self, x):
        self.modes.append(self.training)
        self.recorded.append(torch.is_grad_enabled())
        if self.training:
            self.passes += 1
        sign = -1 if self.moody and self.training else 1
        return sign * self.gain * x.flatten(1)[:, :8]


def reader(moody=False):
    return Reader(moody)


def norms_in_training(model):
    """How many batch normalisations would use the statistics of their batch."""
    return sum(module.training for module in model.modules() if isinstance(module, nn.BatchNorm2d))


def modes(model):
    """The mode of every forward pass so far of a Reader."""
    return list(model.modes)


def gradients_on(model):
    """Whether gradients were recorded in each forward pass so far of a Reader."""
    return list(model.recorded)


class Scaler(nn.Module):
    """Its outputs are the first 8 pixels of an image, each times a parameter of its own that is 1."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return self.gain * x.flatten(1)[:, :8]


def scaler():
    return Scaler()


class Steep(nn.Module):
    """A linear model with large inputs and outputs far from any target: its gradients are large for any loss."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 8)
        nn.init.constant_(self.linear.bias, 300.0)

    def forward(self, x):
        return self.linear(1000 * x.flatten(1)[:, :16])


def gradients_at_steps(train, loader, epochs, lr, steep=True):
    """At every optimiser step while ``train`` runs: norm of all gradients, largest absolute value.

    The model is steep, or a Reader, whose gradients are as small as its errors.
    """
    norms, largest = [], []

    def note(optimizer, args, kwargs):
        grads = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        every = torch.cat(grads) if grads else torch.zeros(1)
        norms.append(float(every.norm()))
        largest.append(float(every.abs().max()))

    hook = register_optimizer_step_pre_hook(note)
    try:
        train(Steep() if steep else Reader(), loader, epochs, lr, "cpu")
    finally:
        hook.remove()
    return norms, largest


def switched(model):
    """Whether ``eval()`` puts the model to rest, whether it and ``train()`` return it, norms in training mode then."""
    rested, rests = model.eval(), not model.training
    trained = model.train()
    return {"rests": rests, "itself": rested is model and trained is model, "norms": norms_in_training(model)}


def printed(fn, *args):
    """What a call prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        fn(*args)
    return out.getvalue()


def double_parameters(model):
    """Every parameter times 2, in place."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)


def weights_touched(build, weights):
    """Names of the given weights that change when the parameters of the network built with them do."""
    before = {name: value.clone() for name, value in weights.items()}
    double_parameters(build(weights, in_channels=3))
    return [name for name, value in weights.items() if not torch.equal(value, before[name])]


def predictions(model, images, batch_size=100):
    """Outputs for all images in evaluation mode, on the device of the model."""
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        return torch.cat([model(part.to(device)).cpu() for part in images.split(batch_size)])
