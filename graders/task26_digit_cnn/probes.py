"""Helpers for task 26 that run beside the submission."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def dropping_loader(images, labels, batch_size):
    """A loader that leaves out the last, smaller batch."""
    return DataLoader(TensorDataset(images, labels), batch_size, drop_last=True)


def shuffling_loader(images, labels, batch_size):
    return DataLoader(TensorDataset(images, labels), batch_size, shuffle=True)


class Stream:
    """A loader without a length or a data set; each pass gives the next of several pairs of images and labels."""

    def __init__(self, pairs, batch_size):
        self.pairs, self.batch_size = iter(pairs), batch_size

    def __iter__(self):
        images, labels = next(self.pairs)
        return zip(images.split(self.batch_size), labels.split(self.batch_size), strict=True)


def stream(pairs, batch_size):
    return Stream(pairs, batch_size)


def one_pass(images, labels, batch_size):
    """A loader that is used up by one pass."""
    return iter(Stream([(images, labels)], batch_size))


def with_old_gradients(model):
    """The model, whose parameters hold gradients of something else."""
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    return model


def partly_frozen(model):
    """The model, whose first parameter wants no gradient."""
    next(model.parameters()).requires_grad_(False)
    return model


class Normed(nn.Module):
    """Batch norm over ten pixels of an image: in training mode its scores depend on the other images of the batch."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(10)
        with torch.no_grad():
            self.norm.running_mean.copy_(torch.linspace(-1, 1, 10))
            self.norm.running_var.copy_(torch.linspace(0.5, 2, 10))

    def forward(self, x):
        return self.norm(x.flatten(1)[:, :10])


def windowed(channels=1):
    """A model whose scores are the ten pixels of the last channel of an image of 2 x 5, found by a convolution: it
    takes batches alone."""
    model = nn.Sequential(nn.Conv2d(channels, 10, (2, 5), bias=False), nn.Flatten())
    model[0].weight.data.zero_()[:, -1] = torch.eye(10).reshape(10, 2, 5)
    return model


def normed():
    return Normed()


def order(fn, model, loader, epochs):
    """What happens while ``fn(model, loader, epochs, optimizer)`` runs, in order: "forward" (in training mode),
    "evaluation" (a pass in the other mode), "backward", "step"."""
    events = []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model.register_forward_hook(lambda module, *_: events.append("forward" if module.training else "evaluation"))
    next(model.parameters()).register_hook(lambda _: events.append("backward"))
    optimizer.register_step_post_hook(lambda *_: events.append("step"))
    fn(model, loader, epochs, optimizer)
    return events


def modes_after(fn, model, *args):
    """The modes of the model and of each part of it after ``fn(model, *args)`` under no_grad, and whether gradients are
    recorded then."""
    with torch.no_grad():
        fn(model, *args)
        recording = torch.is_grad_enabled()
    return [module.training for module in model.modules()], recording


def called(fn, model, *args):
    """``fn(model, *args)``, for a probe that passes the model first."""
    return fn(model, *args)


def guesses(model, images):
    """The class of the highest score of each image, floating point, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in images.split(100)])
