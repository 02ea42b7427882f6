"""Helpers for task 12 that run beside the submission: toy networks, optimisers, recorders, the training loop."""

import contextlib
import io

import torch
from torch import nn

SHAPES = ((), (1,), (1, 1, 1))  # what may stand behind the number of images in the shape of logits


class Painter(nn.Module):
    """A linear generator: noise (N, 2, 1, 1) -> (N, 1, 4, 4); it notes the mode of every pass."""

    def __init__(self, weight):
        super().__init__()
        self.deconv = nn.ConvTranspose2d(2, 1, 4, bias=False)
        _set(self.deconv.weight, weight)
        self.modes = []

    def forward(self, z):
        self.modes.append(self.training)
        return self.deconv(z)


class Judge(nn.Module):
    """A linear discriminator: (N, 1, 4, 4) -> logits (N, *tail); it notes mode and number of images of every pass."""

    def __init__(self, weight, bias, tail):
        super().__init__()
        self.tail = tail
        self.conv = nn.Conv2d(1, 1, 4)
        _set(self.conv.weight, weight)
        _set(self.conv.bias, bias)
        self.modes, self.lengths = [], []

    def forward(self, x):
        self.modes.append(self.training)
        self.lengths.append(len(x))
        return self.conv(x).reshape(len(x), *self.tail)


def _set(parameter, value):
    with torch.no_grad():
        parameter.copy_(value)


def painter(weight):
    return Painter(weight)


def judge(weight, bias, like):
    """A judge whose logits have the shape that the discriminator ``like`` returns: (N,) where that cannot be told."""
    tail = ()
    with contextlib.suppress(Exception), torch.no_grad():
        tail = tuple(like(nc=1, ndf=1).eval()(torch.zeros(2, 1, 64, 64)).shape[1:])
    return Judge(weight, bias, tail if tail in SHAPES else ())


def lengths(net):
    """The number of images in every pass so far of a judge."""
    return list(net.lengths)


def frozen(net):
    """Names of the parameters that require no gradients."""
    return [name for name, parameter in net.named_parameters() if not parameter.requires_grad]


def left_behind(init):
    """What ``init`` does to parameters beside their values: names of those replaced, and of those frozen."""
    net = mixed_layers()
    before = dict(net.named_parameters())
    net.apply(init)
    replaced = [name for name, parameter in net.named_parameters() if parameter is not before.get(name)]
    return {"replaced": replaced, "frozen": frozen(net)}


def printed(fn, *args):
    """What a call prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        fn(*args)
    return out.getvalue()


def sgd(net, lr, momentum):
    return torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)


def adam(net, lr, beta):
    return torch.optim.Adam(net.parameters(), lr=lr, betas=(beta, 0.999))


def spoil_gradients(net, value):
    """Fill the gradients of a network, as an earlier computation may have left them."""
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, value)


def modes(net):
    """The mode of every forward pass so far of a toy network."""
    return list(net.modes)


def initialised(init, net):
    """``net.apply(init)``."""
    return net.apply(init)


def mixed_layers():
    """A network with layers of several kinds, filled with 7."""
    net = nn.Sequential(
        nn.ConvTranspose2d(40, 48, 4, bias=False),
        nn.BatchNorm2d(4000),
        nn.Conv2d(30, 50, 4, bias=False),
        nn.Linear(6, 5),
    )
    for parameter in net.parameters():
        nn.init.constant_(parameter, 7.0)
    return net


def generator_of_chance(seed):
    """A torch.Generator."""
    return torch.Generator().manual_seed(seed)


def sampled_globally(sample, net, count, seed):
    """``sample`` without a source of chance of its own, the global generator being seeded."""
    torch.manual_seed(seed)
    return sample(net, count)


def train(step, g, d, images, steps, batch, nz, rate_g, rate_d, device):
    """The training loop: ``steps`` calls of train_step on random batches; what they report, step by step by name."""
    images = images.to(device)
    opt_g, opt_d = adam(g, rate_g, 0.5), adam(d, rate_d, 0.5)
    reports = []
    for _ in range(steps):
        real = images[torch.randint(len(images), (batch,), device=device)]
        reports.append(step(g, d, opt_g, opt_d, real, torch.randn(batch, nz, 1, 1, device=device)))
    names = ("loss_d", "loss_g", "d_real", "d_fake_before", "d_fake_after")
    return {name: [float(report[name]) for report in reports] for name in names}
