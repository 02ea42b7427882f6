"""Helpers of task 30 that run beside the submission: trainings that are interrupted, files, pictures."""

import builtins
import itertools
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

NUMBERS = itertools.count(1)


def new_path():
    """A path in a new folder."""
    folder = os.path.join(tempfile.mkdtemp(), f"files-{next(NUMBERS)}")
    os.mkdir(folder)
    return os.path.join(folder, "checkpoint.pt")


def network(seed, width=4):
    """A network in float64 whose every parameter and buffer is filled from a generator of its own."""
    net = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Dropout(0.5), nn.Linear(width, 2)).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in net.state_dict().values():
            drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64) + 0.5
            value.copy_(drawn if value.is_floating_point() else (10 * drawn).long())
    return net


def held(net):
    return {name: value.detach().clone().double() for name, value in net.state_dict().items()}


def momentum(net, lr=0.1):
    return torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)


def adam(net, lr=0.01):
    return torch.optim.Adam(net.parameters(), lr=lr)


OPTIMIZERS = {"SGD": momentum, "Adam": adam}


class Undisturbed:
    """Leaves the global generators as they were."""

    def __enter__(self):
        self.states = torch.get_rng_state(), random.getstate()

    def __exit__(self, *_):
        torch.set_rng_state(self.states[0])
        random.setstate(self.states[1])


# What a checkpoint brings back


def models(save, load, options):
    """What a model holds when it is saved, what it holds afterwards, and what another one holds after loading."""
    net, other, path = network(1), network(2), new_path()
    before = held(net)
    with Undisturbed():
        save(path, net, momentum(net), **options)
        after = held(net)
        with torch.no_grad():
            for value in net.state_dict().values():
                value.fill_(9)
        load(path, other)
    return [before, after, held(other)]


def stepped(net, optimizer, seed):
    """By how much a step with gradients of this seed moves the parameters."""
    generator = torch.Generator().manual_seed(seed)
    before = [p.detach().clone() for p in net.parameters()]
    for p in net.parameters():
        p.grad = torch.randn(p.shape, generator=generator, dtype=p.dtype)
    optimizer.step()
    return torch.cat([(p.detach() - b).reshape(-1) for p, b in zip(net.parameters(), before, strict=True)])


def optimizers(load, save, kind, steps, changes):
    """The next step of an optimiser that has taken so many and got other settings then, and that of a fresh one that
    was loaded."""
    net, other, path = network(1), network(1), new_path()
    optimizer = OPTIMIZERS[kind](net)
    for seed in range(steps):
        stepped(net, optimizer, seed)
    optimizer.param_groups[0].update(changes)
    fresh = OPTIMIZERS[kind](other)
    with Undisturbed():
        save(path, net, optimizer, None, steps)
        load(path, other, fresh)
    return [stepped(net, optimizer, 99), stepped(other, fresh, 99)]


def wave(epoch):
    return 1 / (1 + epoch % 5)


def rates(scheduler, optimizer, count):
    found = []
    for _ in range(count):
        optimizer.step()
        scheduler.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


def schedulers(load, save, epochs):
    """The next rates of a scheduler after so many epochs, and those of a fresh one that was loaded."""
    pairs = []
    for seed in (1, 2):
        optimizer = momentum(network(seed))
        pairs.append((optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, wave)))
    (optimizer, scheduler), (other, fresh) = pairs
    net, path = network(1), new_path()
    rates(scheduler, optimizer, epochs)
    with Undisturbed():
        save(path, net, optimizer, scheduler, epochs)
        load(path, network(2), other, fresh)
    return [rates(scheduler, optimizer, 6), rates(fresh, other, 6)]


def patient(load, save, epochs):
    """In which of the next epochs a scheduler that waits lowers the rate, before and after."""
    net, path, found = network(1), new_path(), []
    pairs = []
    for seed in (1, 2):
        optimizer = momentum(network(seed))
        pairs.append((optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=5)))
    for _ in range(epochs):
        pairs[0][1].step(1.0)
    with Undisturbed():
        save(path, net, *pairs[0], epochs)
        load(path, network(2), *pairs[1])
    for optimizer, scheduler in pairs:
        start = optimizer.param_groups[0]["lr"]
        lowered = []
        for _ in range(8):
            scheduler.step(1.0)
            lowered.append(optimizer.param_groups[0]["lr"] < start)
        found.append(lowered)
    return found


def generators(load, save, seed, device):
    """The numbers that follow a save, and those that follow the load: of torch, of random, and of rng."""
    net, path = network(1), new_path()
    rng, other = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1)
    with Undisturbed():
        torch.manual_seed(seed)
        random.seed(seed)
        torch.rand(3), random.random(), random.gauss(0, 1), torch.rand(3, generator=rng)
        save(path, net, momentum(net), None, 1, rng)
        found, fresh = [drawn(rng)], network(2)
        torch.manual_seed(seed + 2)
        random.seed(seed + 2)
        load(path, fresh, rng=other, map_location=device)
        found.append(drawn(other))
    return found


def drawn(rng):
    own = [random.gauss(0, 1), *(random.random() for _ in range(3))]  # gauss keeps its second number for later
    return {"torch": torch.rand(4).tolist(), "random": own, "rng": torch.rand(4, generator=rng).tolist()}


def epochs(load, save, epoch):
    net, path = network(1), new_path()
    with Undisturbed():
        save(path, net, momentum(net), epoch=epoch)
        return load(path, network(2))


def left_by_saving(save):
    """What saving has changed."""
    net, path = network(1), new_path()
    net.train()
    net[1].eval()
    optimizer = momentum(net)
    stepped(net, optimizer, 1)
    rng = torch.Generator().manual_seed(3)
    before = [held(net), [m.training for m in net.modules()], rng.get_state(), torch.get_rng_state(), random.getstate()]
    save(path, net, optimizer, None, 1, rng)
    after = [held(net), [m.training for m in net.modules()], rng.get_state(), torch.get_rng_state(), random.getstate()]
    names = ("the weights", "the modes", "rng", "PyTorch's random state", "the state of random")
    return [name for name, one, other in zip(names, before, after, strict=True) if not same(one, other)]


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return all(torch.equal(one[name], other[name]) for name in one)
    return one == other


def modes_after_loading(load, save):
    """The modes of a network and its modules before and after it was loaded."""
    net, other, path = network(1), network(2), new_path()
    other.train()
    other[1].eval()
    before = [m.training for m in other.modules()]
    with Undisturbed():
        save(path, net.eval(), momentum(net))
        load(path, other)
    return [before, [m.training for m in other.modules()]]


# A training that is interrupted


def prepared(seed):
    net = network(seed)
    optimizer = momentum(net, 0.01)
    return net, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)


def trained(parts, rng, first, last):
    """Epochs with a shuffle of rng's, dropout, and a little noise of Python's random."""
    net, optimizer, scheduler = parts
    x = torch.linspace(-1, 1, 36, dtype=torch.float64).reshape(12, 3).sin()
    y = x[:, :2].cos()
    net.train()
    for _ in range(first, last):
        for batch in torch.randperm(12, generator=rng).split(4):
            optimizer.zero_grad()
            (net(x[batch] * (1 + random.random() / 10)) - y[batch]).square().mean().backward()
            optimizer.step()
        scheduler.step()


def runs(load, save, epochs, stop):
    """What a network holds after so many epochs in one go, and after an interruption behind epoch ``stop``."""
    found = []
    with Undisturbed():
        for interrupted in (False, True):
            torch.manual_seed(5)
            random.seed(5)
            parts, rng = prepared(1), torch.Generator().manual_seed(5)
            if interrupted:
                path = new_path()
                trained(parts, rng, 0, stop)
                save(path, *parts, stop, rng)
                torch.manual_seed(6)
                random.seed(6)
                parts, rng = prepared(2), torch.Generator()
                start = load(path, *parts, rng)
                trained(parts, rng, start, epochs)
            else:
                trained(parts, rng, 0, epochs)
            found.append(held(parts[0]))
    return found


# Files


def opens(save, epochs):
    """The error of torch.load(..., weights_only=True), or nothing."""
    parts, rng, path = prepared(1), torch.Generator(), new_path()
    with Undisturbed():
        trained(parts, rng, 0, epochs)
        save(path, *parts, epochs, rng)
    try:
        torch.load(path, weights_only=True)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    return ""


class Harm:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return exec, ("import torch\ntorch.harm_of_task30 = True",)


def harmed(load, save):
    """Whether loading a file with code in it raises, runs the code, and changes the model."""
    net, other, path = network(1), network(2), new_path()
    before = held(other)
    with Undisturbed():
        save(path, net, momentum(net))
        content = torch.load(path, weights_only=False)
        torch.save({**content, "more": Harm()} if isinstance(content, dict) else [content, Harm()], path)
        torch.harm_of_task30 = False
        try:
            load(path, other)
            raised = False
        except NotImplementedError:
            raise
        except Exception:
            raised = True
        ran = torch.harm_of_task30
        del torch.harm_of_task30
    return {"an error": raised, "its code ran": ran, "the model is another": not same(before, held(other))}


def failed_save(save, load):
    """A save that cannot be finished: whether it raises, what the file is afterwards, and what lies beside it."""
    net, path = network(1), new_path()
    optimizer = momentum(net)
    with Undisturbed():
        save(path, net, optimizer, epoch=4)
        with open(path, "rb") as file:
            before = file.read()
        stepped(net, optimizer, 1)
        optimizer.param_groups[0]["note"] = (number for number in range(3))
        try:
            save(path, net, optimizer, epoch=5)
            raised = False
        except NotImplementedError:
            raise
        except Exception:
            raised = True
        after = b""
        if os.path.exists(path):
            with open(path, "rb") as file:
                after = file.read()
    return {"raised": raised, "whole": before == after, "files": sorted(os.listdir(os.path.dirname(path)))}


RENAMED = []  # pairs of paths, while somebody looks


def note_renaming(event, args):
    if event == "os.rename" and RENAMED:
        RENAMED.append(tuple(os.path.dirname(os.path.realpath(os.fsdecode(path))) for path in args[:2]))


sys.addaudithook(note_renaming)


def second_save(save, load, name):
    """Two saves to one pathlib.Path of this name: whether who has the file open reads the first, what load finds, all
    files there, and whether a file was brought from another folder."""
    net, path = network(1), Path(new_path()).with_name(name)
    RENAMED[:] = [("", "")]
    with Undisturbed():
        save(path, net, momentum(net), epoch=4)
        with open(path, "rb") as file:
            first = file.read()
        with open(path, "rb") as file:
            save(path, net, momentum(net), epoch=5)
            seen = file.read()
        epoch = load(path, network(2))
    moved = any(source != target for source, target in RENAMED)
    RENAMED.clear()
    files = sorted(os.listdir(os.path.dirname(path)))
    return {"old": seen == first, "epoch": epoch, "files": files, "from another folder": moved}


def tagged(storage):
    return "cuda:0" if storage.device.type == "cpu" else None


def of_a_gpu(load, save, ways):
    """What a model held when it was saved with a GPU; for each way what another holds that loads the file without one,
    and whether a function that is given as map_location was asked."""
    return [_of_a_gpu(load, save, way) for way in ways]


def _of_a_gpu(load, save, way):
    asked = []

    def stays(storage, location):
        asked.append(location)
        return storage

    options = {"left out": {}, "a device": {"map_location": torch.device("cpu")}, "a function": {"map_location": stays}}
    net, other, path = network(1), network(2), new_path()
    registry = torch.serialization._package_registry
    entry = (0, tagged, lambda storage, location: None)
    with Undisturbed():
        registry.insert(0, entry)
        try:
            optimizer = momentum(net)
            save(path, net, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2), rng=torch.Generator())
        finally:
            registry.remove(entry)
        optimizer = momentum(other)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        load(path, other, optimizer, scheduler, rng=torch.Generator(), **options[way])
    return [held(net), held(other), "cuda:0" in asked]


def other_network(load, save, kind):
    """Loads a file into a network that is wider, or has a layer more, or one fewer."""
    net, path = network(1), new_path()
    others = {
        "wider": network(2, width=5),
        "longer": nn.Sequential(*network(2), nn.Linear(2, 2).double()),
        "shorter": network(2)[:3],
    }
    with Undisturbed():
        save(path, net, momentum(net))
        load(path, others[kind])


# States


def matched(load_matching, state):
    """Both lists, sorted; what the model holds; whether it has kept its tensors and shares none with the state."""
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    with torch.no_grad():
        for value in net.state_dict().values():
            value.fill_(1)
    net[1].weight.requires_grad_(False)
    own = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    before = {name: value.clone() for name, value in state.items()}
    missing, unexpected = load_matching(net, state)
    now = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    kept = all(now[name] is own[name] for name in own)
    with torch.no_grad():
        found = held(net)
        unchanged = list(before) == list(state) and all(torch.equal(before[name], state[name]) for name in state)
        for value in state.values():
            value.fill_(77)
        shared = [name for name, value in held(net).items() if not torch.equal(value, found[name])]
    frozen = [name for name, p in net.named_parameters() if not p.requires_grad]
    return {
        "missing": sorted(missing), "unexpected": sorted(unexpected), "holds": found, "kept": kept,
        "shared": shared, "unchanged": unchanged, "frozen": frozen,
    }  # fmt: skip


class Tied(nn.Module):
    """One weight under two names, and a buffer that no state has."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
        self.decoder.weight = self.encoder.weight
        self.register_buffer("mask", torch.ones(3), persistent=False)


def matched_tied(load_matching):
    """Both lists for a network with a weight under two names, and the state of another one."""
    missing, unexpected = load_matching(Tied(), Tied().state_dict())
    return {"missing": sorted(missing), "unexpected": sorted(unexpected)}


def stripped(strip_prefix, names, **options):
    """The names of the result in order, the numbers of its tensors, whether they are the same objects, and the names
    of the given dict afterwards."""
    state = {name: torch.tensor(float(number)) for number, name in enumerate(names)}
    before = dict(state)
    found = strip_prefix(state, **options)
    alike = {id(value) for value in found.values()} == {id(value) for value in before.values()}
    return [list(found), [float(value) for value in found.values()], alike, list(state)]


# Batches


def states_changed(function, *args):
    """Whose global generator is another after the call."""
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    function(*args)
    after = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    pairs = zip(("torch", "random", "numpy"), before, after, strict=True)
    return [name for name, one, other in pairs if not same(one, other)]


def reseeded(function, *args):
    """The results after two different seeds of all global generators."""
    found, numpy_state = [], np.random.get_state()
    with Undisturbed():
        for seed in (1, 2):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            found.append(function(*args))
    np.random.set_state(numpy_state)
    return found


def another_hash(function, *args):
    """The result, and that in a process whose texts have other hashes."""
    found, plain = [function(*args)], builtins.hash

    def salted(value):
        return plain((value, 0.5) if isinstance(value, (str, bytes)) else value)

    builtins.hash = salted
    try:
        return [*found, function(*args)]
    finally:
        builtins.hash = plain


# Pictures


class Watcher(nn.Module):
    """Logits are the means of red, green and blue, times 50, whatever else comes; notes what it is given and how."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(3, affine=False), nn.Dropout(0.5)
        self.block = nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.Dropout(0.5))
        self.scale = nn.Parameter(torch.tensor(50.0))
        self.seen, self.modes, self.recording, self.fails = [], [], [], False

    def forward(self, x):
        self.seen.append(x.detach().clone())
        self.modes.append([m.training for m in self.modules()])
        self.recording.append(torch.is_grad_enabled())
        if self.fails:
            raise RuntimeError("no memory left")
        return x.mean((2, 3))[:, :3] * self.scale


def to_tensor(picture):
    """A transform: (3, H, W) float32 between -1 and 1."""
    pixels = torch.from_numpy(np.array(picture)).float()
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return pixels.permute(2, 0, 1) / 127.5 - 1


CLASSES = ["a red thing", "a green thing", "a blue thing"]


def picture(pixels, mode):
    image = Image.fromarray(np.asarray(pixels))
    image = image if mode == "RGB" else image.convert(mode)
    if mode.endswith("A"):  # from left to right ever less transparent
        image.putalpha(Image.linear_gradient("L").rotate(90).resize(image.size))
    return image


def predicted(cls, pixels, mode, device="cpu", training=True):
    """The answer for a picture in this mode, what the network was given, and what it should have been given; the
    dropout is in training mode before, and all else if ``training``."""
    net = Watcher().to(device)
    image = picture(pixels, mode)
    predictor = cls(net, to_tensor, list(CLASSES))
    net.train(training)
    net.drop.train()
    answer = predictor(image)
    return {"answer": answer, "seen": net.seen, "wanted": to_tensor(image.convert("RGB"))[None],
            "modes": [mode for row in net.modes for mode in row], "recording": net.recording}  # fmt: skip


def modes_left(cls, pixels, training, fails):
    """The modes of the network and its modules before and after calls in which this fails; the error that came through;
    whether gradients are recorded after a call where they were not before, and after one where they were."""
    net = Watcher()
    net.train(not training)

    def transform(picture):
        if fails == "transform":
            raise RuntimeError("no memory left")
        return to_tensor(picture)

    predictor = cls(net, transform, list(CLASSES))
    net.train(training)
    net.norm.train(not training)
    net.block[0].train(not training)
    net.fails = fails == "network"
    before = [m.training for m in net.modules()]
    raised, recording = "", []
    for on in (False, True):
        with torch.set_grad_enabled(on):
            try:
                predictor(picture(pixels, "RGB"))
            except NotImplementedError:
                raise
            except RuntimeError as error:
                raised = str(error)
            recording.append(torch.is_grad_enabled())
    return {"before": before, "after": [m.training for m in net.modules()], "raised": raised, "recording": recording}


def two_answers(cls, first, second):
    """Two predictors with different names, each asked twice; the network is changed before the last question."""
    net, names = Watcher(), ["one", "two", "three"]
    predictors = cls(net, to_tensor, list(CLASSES)), cls(net, to_tensor, names)
    found = [predictor(picture(pixels, "RGB")) for pixels in (first, second) for predictor in predictors]
    with torch.no_grad():
        net.scale.neg_()
    return [*found, predictors[0](picture(first, "RGB"))]


def converted(function, tensor):
    """The array; whether it is contiguous, keeps its values when the tensor changes, and has left the tensor alone."""
    before = tensor.detach().clone()
    found = function(tensor)
    if not isinstance(found, np.ndarray):
        return {"array": found, "contiguous": False, "memory of its own": False, "tensor as it was": True}
    copy, alone = found.copy(), torch.equal(before, tensor.detach())
    with torch.no_grad():
        tensor.detach().fill_(1)
    return {
        "array": copy,
        "contiguous": bool(found.flags.c_contiguous),
        "memory of its own": bool(np.array_equal(copy, found)),
        "tensor as it was": alone,
    }
