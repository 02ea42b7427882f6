"""Helpers for task 37 that run beside the submission: toy generators and judges, folders, what a memory answers."""

import gc
import itertools
import os
import pickle
import random
import tempfile
import weakref
from multiprocessing import get_all_start_methods

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader


class Line:
    """A toy generator: x -> factor * x + shift."""

    def __init__(self, line):
        self.line = line

    def __call__(self, x):
        return self.line[0] * x + self.line[1]


def redrawn(loss, real_a, real_b, ab, ba):
    """A loss of two generators, x -> ab[0] x + ab[1] and x -> ba[0] x + ba[1]."""
    return loss(Line(ab), Line(ba), real_a, real_b)


# Networks


def network(layers, values):
    """The layers in a row, with these values as their parameters, in float64."""
    net = nn.Sequential(*layers).double()
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), values, strict=True):
            parameter.copy_(value)
    return net


def painter(values):
    """A generator that recolours every pixel by itself."""
    return network([nn.Conv2d(3, 8, 1), nn.Tanh(), nn.Conv2d(8, 3, 1)], values)


def judge(values):
    """A discriminator of small patches."""
    return network([nn.Conv2d(3, 6, 4, stride=2), nn.LeakyReLU(0.2), nn.Conv2d(6, 1, 1)], values)


def values_of(net):
    """The parameters of a network, in order."""
    return [parameter.detach().clone() for parameter in net.parameters()]


def optimiser(kind, one, other, lr):
    """An optimiser of torch for the parameters of two networks."""
    return getattr(torch.optim, kind)([*one.parameters(), *other.parameters()], lr=lr)


def spoil(net, value):
    """Fill the gradients of a network, as an earlier computation may have left them."""
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, value)


def freeze_first(net):
    """The first parameter of a network needs no gradient."""
    next(net.parameters()).requires_grad_(False)


def gradients(net, left):
    """What became of the gradient of each parameter, which ``left`` filled, or which was None."""
    found = []
    for parameter in net.parameters():
        slope = parameter.grad
        as_before = slope is None if left is None else slope is not None and bool((slope == left).all())
        cleared = slope is None or not slope.any()
        found.append("as before" if as_before else "cleared" if cleared else "another gradient")
    return found


def kernels_without_slopes(net):
    """The names of the kernels whose gradient is missing or zero."""
    kernels = [(name, one) for name, one in net.named_parameters() if one.dim() == 4]
    return [name for name, one in kernels if one.grad is None or not one.grad.any()]


def other_mode_within(net):
    """The first layer of a network gets the mode that the network does not have."""
    net[0].train(not net.training)


def first_mode(net):
    """Whether the first layer of a network is in training mode."""
    return net[0].training


def needs(net):
    """Whether each parameter requires gradients."""
    return [parameter.requires_grad for parameter in net.parameters()]


def trained(step, nets, images, steps, rates, weights):
    """Steps of the generators and of the judges in turn, with Adam: what ``step`` reported, by name, and the
    generators."""
    g_ab, g_ba, d_a, d_b = nets
    a, b = images
    ours = optimiser("Adam", g_ab, g_ba, rates[0])
    theirs = optimiser("Adam", d_a, d_b, rates[1])
    reports = []
    for _ in range(steps):
        reports.append(step(g_ab, g_ba, d_a, d_b, ours, a, b, *weights))
        with torch.no_grad():
            fakes = g_ba(b), g_ab(a)
        pairs = ((d_a, a, fakes[0]), (d_b, b, fakes[1]))
        theirs.zero_grad()
        sum((d(real) - 1).square().mean() + d(fake).square().mean() for d, real, fake in pairs).backward()
        theirs.step()
    return {name: [float(report[name]) for report in reports] for name in ("loss", "gan", "cycle", "identity")}


def mixed_layers():
    """A network with layers of several kinds, some of them deep inside, filled with 7."""
    net = nn.Sequential(
        nn.Sequential(nn.Sequential(nn.ConvTranspose2d(40, 48, 4, bias=False)), nn.BatchNorm2d(9)),
        nn.Conv2d(30, 50, 4),
        nn.Conv2d(30, 50, 4),
        nn.InstanceNorm2d(7, affine=True),
        nn.Linear(6, 5),
        nn.Conv1d(3, 4, 2),
        Boxes(),
        nn.Conv3d(2, 3, 2),
    )
    return sevens(net)


class Boxes(nn.Module):
    """A module of one's own: a convolution in a dict in a list, and a parameter with as many axes as a kernel."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.ModuleDict({"up": nn.ConvTranspose2d(40, 40, 4)})])
        self.places = nn.Parameter(torch.empty(1, 3, 5, 5))


def replaced(init, net):
    """The names of the parameters that are other objects after ``init(net)``, or need no gradient any more."""
    before = dict(net.named_parameters())
    init(net)
    after = dict(net.named_parameters())
    return [name for name, one in before.items() if after.get(name) is not one or not one.requires_grad]


def one_convolution(transposed=False):
    """A convolution, or a transposed one that is frozen, filled with 7."""
    return sevens(nn.ConvTranspose2d(50, 60, 3).requires_grad_(False) if transposed else nn.Conv2d(50, 60, 3))


def sevens(net):
    for parameter in net.parameters():
        nn.init.constant_(parameter, 7.0)
    return net


# The memory


def answered(push, sizes, start=1):
    """The numbers that come back when images numbered ``start``, ``start`` + 1, ... are pushed in batches of these
    sizes."""
    number, found = start, []
    for size in sizes:
        images = torch.arange(number, number + size).double().reshape(size, 1, 1, 1).expand(size, 2, 2, 3).clone()
        answer = push(images)
        found.append([float(image.flatten()[0]) for image in answer])
        number += size
    return found


def images_changed(push, batches):
    """How many of so many batches of three images hold other values after ``push``."""
    changed = 0
    for _ in range(batches):
        images = torch.rand(3, 1, 2, 2)
        before = images.clone()
        push(images)
        changed += not torch.equal(images, before)
    return changed


def strangers(push, dtype, count):
    """How many answers are no image that was pushed, of this dtype, one by one."""
    images = [torch.rand(1, 2, 2, 3).to(dtype) for _ in range(count)]
    answers = [push(image.clone()) for image in images]
    return sum(not any(torch.equal(answer.double(), image.double()) for image in images) or answer.dtype != dtype
               for answer in answers)  # fmt: skip


def graphs_kept(push, batches):
    """[answers that require a gradient, images that lost theirs, graphs that are still alive] after images of a graph
    were pushed, one by one."""
    kept, cut, alive = 0, 0, []
    for number in range(batches):
        start = torch.full((1, 1, 2, 2), float(number), requires_grad=True)
        image = 2 * start
        alive.append(weakref.ref(start))
        answer = push(image)
        kept += bool(answer.requires_grad)
        cut += not image.requires_grad
        del start, image, answer
    gc.collect()
    return [kept, cut, sum(ref() is not None for ref in alive)]


def seeded_answers(make, seed, size, count):
    """What a new memory of this size answers after a full one, the global generators being seeded."""
    seed_all(seed)
    return answered(make(size).push_and_pop, [1] * count)


def seed_all(seed):
    random.seed(seed)
    torch.manual_seed(seed)


# Folders

NUMBERS = itertools.count(1)


def write_tree(files):
    """Write ``files``, bytes by path below a new folder, in the order given; returns the path of the folder."""
    own = os.path.realpath(os.getcwd()) == os.path.realpath(tempfile.gettempdir())
    place = "" if own else tempfile.mkdtemp()
    names = (os.path.join(place, f"pictures-{number}") for number in NUMBERS)
    root = next(name for name in names if not os.path.exists(name))
    os.mkdir(root)
    overwrite(root, files)
    return root


def overwrite(root, files):
    for name, content in files.items():
        path = os.path.join(root, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def tone(picture):
    """A transform: the colour of the first pixel, as a list."""
    return list(picture.convert("RGB").getpixel((0, 0)))


def looked_at(picture):
    """A transform: [kind of the picture, its colours]."""
    if not isinstance(picture, Image.Image):
        return [type(picture).__name__, np.zeros((0, 0, 3), np.uint8)]
    return [f"picture of mode {picture.mode}", np.asarray(picture.convert("RGB"))]


def turned(picture):
    """A transform: the picture turned by a quarter."""
    return picture.transpose(Image.Transpose.ROTATE_90)


def halved(picture):
    """A transform: the picture at half its size."""
    return picture.resize((picture.width // 2, picture.height // 2))


def size(picture):
    """A transform: width and height."""
    return list(picture.size)


def list_changed(kind, root):
    """Whether a data set of this kind leaves another list of transforms than it was given."""
    steps = [turned, halved, size]
    items(kind(root, transform=steps), 1, "A")
    return steps != [turned, halved, size]


def items(dataset, count, side):
    """What the first items hold on one side."""
    return [dataset[index][side] for index in range(count)]


def keys(dataset):
    return sorted(dataset[0])


def again(dataset, side, count, item=0):
    """What an item holds on one side, asked for so many times."""
    return [dataset[item][side] for _ in range(count)]


def seeded(dataset, seed, count):
    """Side B of the first items, the global generators being seeded."""
    seed_all(seed)
    return [dataset[index % len(dataset)]["B"] for index in range(count)]


def pickled(dataset):
    """The data set as another process gets it."""
    return pickle.loads(pickle.dumps(dataset))


def loaded_by_two(dataset):
    """Side A of all items, fetched by two processes of a loader where the system can fork."""
    workers = 2 if "fork" in get_all_start_methods() else 0
    context = "fork" if workers else None
    loader = DataLoader(dataset, 2, num_workers=workers, collate_fn=list, multiprocessing_context=context)
    return [item["A"] for batch in loader for item in batch]
