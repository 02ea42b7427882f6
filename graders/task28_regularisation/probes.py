"""Helpers of task 28 that run beside the submission: models to penalise, histories to replay."""

import torch
from torch import nn

KEYS = ("best_epoch", "best_val", "gap", "overfitting")


class Bare(nn.Module):
    """Parameters that the model itself holds, and a layer."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(2, 2))
        self.bias = nn.Parameter(torch.zeros(2))
        self.scale = nn.Parameter(torch.zeros(3))
        self.out = nn.Linear(2, 1, bias=False)


class OwnLayerNorm(nn.LayerNorm):
    """A class of its own, and a norm nevertheless."""


def linear():
    return nn.Linear(2, 3)


def layers():
    return nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1, bias=False)))


def batch_norm():
    return nn.Sequential(nn.Conv1d(1, 2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1), nn.Sequential(nn.BatchNorm2d(1)))


def norms():
    others = [OwnLayerNorm(3), nn.GroupNorm(2, 2), nn.InstanceNorm2d(1, affine=True), nn.BatchNorm3d(1)]
    return nn.Sequential(nn.Linear(2, 2), *others)


def names():
    """Layers with the names of other things."""
    return nn.ModuleDict({"bias": nn.Linear(2, 2), "norm": nn.Linear(2, 1), "weight": nn.BatchNorm1d(2)})


class Attention(nn.Module):
    """Parameters whose names have a bias in them."""

    def __init__(self):
        super().__init__()
        self.in_proj_bias = nn.Parameter(torch.zeros(2))
        self.bias_k = nn.Parameter(torch.zeros(3))
        self.out = nn.Linear(1, 2)


def attention():
    return nn.Sequential(Attention())


def shared():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    return nn.Sequential(first, second, first)


def frozen():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    net[0].requires_grad_(False)
    return net


def only_norm():
    return nn.Sequential(nn.BatchNorm1d(3), nn.ReLU())


def nothing():
    return nn.Sequential(nn.Flatten(), nn.ReLU())


MODELS = {
    make.__name__: make
    for make in (linear, Bare, layers, batch_norm, norms, names, attention, shared, frozen, only_norm, nothing)
}


def penalised(penalty, values, model, lam, **options):
    """The penalty of a model whose parameters hold ``values``, three times its gradient at each of them, and whether
    all modules have kept their modes."""
    net = partly_frozen(MODELS[model]().to(values))
    modes = [module.training for module in net.modules()]
    with torch.no_grad():
        for buffer in net.buffers():
            buffer.fill_(7)
        place = 0
        for parameter in net.parameters():
            count = parameter.numel()
            parameter.copy_(values[place : place + count].reshape(parameter.shape))
            place += count
    found = penalty(net, lam, **options)
    if not isinstance(found, torch.Tensor):
        return {"penalty": found, "three times its gradient": torch.zeros_like(values), "modes are kept": True}
    if found.requires_grad:
        (3 * found).backward()
    slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters()]
    flat = torch.cat([slope.reshape(-1) for slope in slopes] or [values[:0]])
    kept = modes == [module.training for module in net.modules()]
    return {"penalty": found.detach().to(values.dtype), "three times its gradient": flat, "modes are kept": kept}


def partly_frozen(net):
    """The network in training mode, its parts in evaluation mode."""
    net.train()
    for part in net.children():
        part.eval()
    return net


def descended(penalty, target, lam, lr, count, **options):
    """The weights after so many steps down |w - target|² / 2 plus the penalty, from 1, 1, 1, ...

    The steps are made by hand: the first optimiser of a process takes a second.
    """
    layer = nn.Linear(len(target), 1, bias=False, dtype=target.dtype)
    nn.init.ones_(layer.weight)
    for _ in range(count):
        layer.weight.grad = None
        loss = (layer.weight[0] - target).square().sum() / 2 + penalty(layer, lam, **options)
        loss.backward()
        with torch.no_grad():
            layer.weight.add_(layer.weight.grad, alpha=-lr)
    return layer.weight.detach()[0]


# Dropout


def drawn_alike(layer, x):
    """Whether two calls after the same seed of the global generator have the same output."""
    before = torch.get_rng_state()
    found = []
    for _ in range(2):
        torch.manual_seed(20)
        found.append(layer(x))
    torch.set_rng_state(before)
    return torch.equal(*found)


# Histories


def stopping(cls, losses, **settings):
    """Best, counter and should_stop of a fresh object; then of each epoch the answer of step, and the same three."""
    watch = cls(**settings)
    return [stop_row(watch, False), *(stop_step(watch, value) for value in losses)]


def rates(cls, losses, **settings):
    """Of each epoch: the answer of step, and lr after it."""
    plateau = cls(**settings)
    return [rate_step(plateau, value) for value in losses]


def in_turn(cls, play, first, second, settings):
    """Two objects, each with losses and settings of its own, used in turn: what ``play`` tells of them."""
    watches = [cls(**own) for own in settings]
    pairs = zip(first, second, strict=True)
    return [[play(watch, value) for watch, value in zip(watches, pair, strict=True)] for pair in pairs]


def stop_step(watch, value):
    return stop_row(watch, watch.step(value))


def plain(value):
    """The value, or a sentence where it is a number of NumPy's that is no int, float or bool of Python."""
    numpys = type(value).__module__ == "numpy" and not isinstance(value, float)
    return f"a numpy.{type(value).__name__}" if numpys else value


def stop_row(watch, answer):
    return {"step": plain(answer), "best": watch.best, "counter": watch.counter, "should_stop": watch.should_stop}


def rate_step(plateau, value):
    return {"step": plateau.step(value), "lr": plateau.lr}


def marked(net, number):
    """Every parameter and buffer holds this number."""
    with torch.no_grad():
        for value in net.state_dict().values():
            value.fill_(number)


def marks(state):
    """The numbers that a state_dict holds."""
    return sorted({float(number) for value in state.values() for number in value.reshape(-1)})


def watched(cls, losses, **settings):
    """A model that holds 11 in the first epoch, 12 in the second, ...: what of it is kept, and given back.

    Returns what the model held after each step, the names and numbers that are kept in the end, the numbers of the
    model after ``restore``, and after it was changed and restored again, and whether all modules have kept their modes
    after the steps and after ``restore``.
    """
    net = partly_frozen(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    modes = [module.training for module in net.modules()]
    watch = cls(**settings)
    held = []
    for number, value in enumerate(losses, start=11):
        marked(net, number)
        watch.step(value, net)
        held += marks(net.state_dict())
    left = [modes == [module.training for module in net.modules()]]
    partly_frozen(net)
    marked(net, 90)
    kept = watch.best_state
    names, numbers = (list(kept), marks(kept)) if isinstance(kept, dict) else ([], [])
    given = []
    for _ in range(2):
        watch.restore(net)
        given.append(marks(net.state_dict()))
        marked(net, 91)
    left.append(modes == [module.training for module in net.modules()])
    return {"held": held, "names": names, "kept": numbers, "restored": given, "modes": left}


def states_in_turn(cls, first, second):
    """What two objects keep that are used in turn, with models that hold 11 and 21 in the first epoch, and so on."""
    watches, nets = [cls(), cls()], [nn.Linear(2, 2), nn.Linear(2, 2)]
    for epoch, losses in enumerate(zip(first, second, strict=True)):
        for watch, net, value, number in zip(watches, nets, losses, (11, 21), strict=True):
            marked(net, number + epoch)
            watch.step(value, net)
    return [marks(watch.best_state) for watch in watches]


def state_without_model(cls, losses, given=()):
    """What is kept when only the epochs ``given`` show a model, which holds 11 in the first, 12 in the second, ..."""
    net, watch = nn.Linear(2, 2), cls()
    for epoch, value in enumerate(losses):
        marked(net, 11 + epoch)
        watch.step(value, *[net] * (epoch in given))
    marked(net, 90)
    return watch.best_state if watch.best_state is None else marks(watch.best_state)


def report(function, story):
    """The report, of its keys those that are asked for; and both lists as they are afterwards."""
    train, val = (list(losses) for losses in story)
    found = function(train, val)
    if isinstance(found, dict):
        found = {key: plain(found[key]) for key in KEYS if key in found}
    return [found, train, val]
