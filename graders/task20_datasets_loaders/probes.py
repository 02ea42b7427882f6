"""Helpers for task 20 that run beside the submission: files and folders, toy data sets, what loaders give."""

import itertools
import os
import pickle
import random
import sys
import tempfile
from multiprocessing import get_all_start_methods
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

MOST_OPEN = 256  # descriptors that a worker may have


NUMBERS = itertools.count(1)


def new_folder():
    """The path of a new folder, below the current one where that is the worker's own: what is read of it is short, and
    the same each time."""
    own = os.path.realpath(os.getcwd()) == os.path.realpath(tempfile.gettempdir())
    place = "" if own else tempfile.mkdtemp()
    names = (os.path.join(place, f"files-{number}") for number in NUMBERS)
    folder = next(name for name in names if not os.path.exists(name))
    os.mkdir(folder)
    return folder


def write_tree(files, below="set"):
    """Write ``files``, bytes by path below a new folder, in the order given; returns the path of the folder."""
    root = os.path.join(new_folder(), *below.split("/"))
    os.makedirs(root)
    overwrite(root, files)
    return root


def overwrite(root, files):
    for name, content in files.items():
        path = os.path.join(root, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def read_tree(root):
    """Folder, ending and colours uint8 (H, W, 3) of every file below ``root``, by name in each folder."""
    found = []
    for folder, below, names in os.walk(root):
        below.sort()
        for name in sorted(names):
            with Image.open(os.path.join(folder, name)) as picture:
                pixels, kind = np.asarray(picture.convert("RGB")), picture.format
            found.append([os.path.relpath(folder, root).replace(os.sep, "/"), name.rpartition(".")[2], kind, pixels])
    return found


def fresh_path(*parts):
    """A path in a new folder; nothing is there yet."""
    return os.path.join(new_folder(), *parts)


def make_folders(folder, names):
    for name in names:
        os.makedirs(os.path.join(folder, name))


def looked_at(item):
    """[kind of the picture, its colours, label] of an item of a data set."""
    picture, label = item
    if not isinstance(picture, Image.Image):
        return [type(picture).__name__, np.zeros((0, 0, 3), np.uint8), label]
    return [f"picture of mode {picture.mode}", np.asarray(picture.convert("RGB")), label]


def items(dataset, count):
    """What ``looked_at`` tells of the first items."""
    return [looked_at(dataset[index]) for index in range(count)]


def labels_of(dataset):
    return [dataset[index][1] for index in range(len(dataset))]


def plain_labels(dataset):
    """Whether all labels are Python's own integers."""
    return all(isinstance(label, int) for label in labels_of(dataset))


def brightest(picture):
    """A transform: the largest value of red, green and blue."""
    return [int(high) for _low, high in picture.getextrema()]


def size(picture):
    """A transform: width and height."""
    return list(picture.size)


def darkened(picture):
    """A transform that changes the picture that it is given: half as bright; its largest values."""
    picture.paste(picture.point(lambda value: value // 2))
    return brightest(picture)


def made_of(kind, root, form):
    """A data set whose root is written in another way."""
    return kind({"Path": Path(root), "slash": root + "/"}[form])


def with_paths(fn, *args):
    """``fn`` with its last argument as a Path."""
    return fn(*args[:-1], Path(args[-1]))


def transformed(dataset, count):
    """The first items, as they are."""
    return [list(dataset[index]) for index in range(count)]


def still_open(dataset, count):
    """How many files are open more than before, after so many items, which are all kept."""
    before = descriptors()
    kept = [dataset[index % len(dataset)] for index in range(count)]
    after = descriptors()
    del kept
    return after - before


def descriptors():
    """The number of this process's open descriptors."""
    found = 0
    for number in range(MOST_OPEN):
        try:
            os.fstat(number)
        except OSError:
            continue
        found += 1
    return found


def pickled(dataset):
    """The data set as another process gets it."""
    return pickle.loads(pickle.dumps(dataset))


def loaded_by_two(dataset):
    """What ``looked_at`` tells of all items, fetched by two processes of a loader where the system can fork."""
    workers = 2 if "fork" in get_all_start_methods() else 0
    context = "fork" if workers else None
    loader = DataLoader(dataset, 2, num_workers=workers, collate_fn=look_at_all, multiprocessing_context=context)
    return [item for batch in loader for item in batch]


def look_at_all(batch):
    return [looked_at(item) for item in batch]


def global_states():
    """What the global generators of torch, NumPy and Python hold, as texts."""
    numpy_state = np.random.get_state()
    return {
        "torch": torch.get_rng_state().numpy().tobytes().hex()[:2000],
        "numpy": f"{numpy_state[1].tobytes().hex()[:2000]} {numpy_state[2]}",
        "random": str(random.getstate())[:4000],
    }


def states_changed(fn, *args):
    """The libraries whose global generator is another after ``fn(*args)``."""
    before = global_states()
    fn(*args)
    after = global_states()
    return [name for name in before if before[name] != after[name]]


class Numbered(Dataset):
    """Item i is (tensor [i, i + 0.5], i); notes the indices that are asked for."""

    def __init__(self, count):
        self.count, self.asked = count, []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.asked.append(int(index))
        return torch.tensor([index, index + 0.5]), int(index)


def numbered(count):
    return Numbered(count)


def pile(batch):
    """A collate_fn: how many items, and the sum of their labels."""
    return [len(batch), sum(label for _sequence, label in batch)]


def how_many(batch):
    """A collate_fn: how many items."""
    return len(batch)


class Turning:
    """A sampler that goes through its indices forwards, then backwards, and so on."""

    def __init__(self, indices):
        self.indices = list(indices)

    def __len__(self):
        return len(self.indices)

    def __iter__(self):
        now = list(self.indices)
        self.indices.reverse()
        return iter(now)


def turning(indices):
    return Turning(indices)


def of_dataloader(kind, count):
    """The functions of PyTorch's DataLoader that run while a loader of ``kind`` is made and gone through."""
    called = []

    def see(frame, event, arg):
        if event == "call" and frame.f_globals.get("__name__") == "torch.utils.data.dataloader":
            called.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        list(kind(Numbered(count), batch_size=2))
    finally:
        sys.setprofile(before)
    return sorted(set(called))


def passes(loader, count, draws=1):
    """The labels of each batch, for each of so many passes; between them others draw from the global generators."""
    found = []
    for _ in range(count):
        found.append([[int(label) for label in labels] for _pairs, labels in loader])
        for _ in range(draws):
            torch.rand(3), np.random.random(3), random.random()
    return found


def whole_batches(loader):
    """[inputs, labels] of each batch of a pass."""
    return [[pairs, labels] for pairs, labels in loader]


def listed(loader):
    """The batches of a pass, as they are."""
    return list(loader)


def asked_after_first_batch(loader, dataset):
    """The indices that were asked for when the first batch is there, and the items of that batch."""
    dataset.asked.clear()
    next(iter(loader))
    return list(dataset.asked)


def two_passes_at_once(loader, ahead=0):
    """The labels of two passes that are gone through in turn, once so many batches of the first one are there."""
    found = [[], []]
    first = iter(loader) if ahead else loader
    for _ in range(ahead):
        found[0] += [int(label) for label in next(first)[1]]
    for batches in itertools.zip_longest(first, loader):
        for labels, batch in zip(found, batches, strict=True):
            labels += [] if batch is None else [int(label) for label in batch[1]]
    return found


def sequences_by_two(sequences, collate):
    """The batches of two that a loader with two processes makes of (sequence, place) with ``collate``."""
    workers = 2 if "fork" in get_all_start_methods() else 0
    context = "fork" if workers else None
    dataset = [(sequence, place) for place, sequence in enumerate(sequences)]
    loader = DataLoader(dataset, 2, num_workers=workers, collate_fn=collate, multiprocessing_context=context)
    return [list(batch) for batch in loader]


class Word(Dataset):
    """Ten items; a name that nothing of PyTorch has."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.tensor([index])


class Broken(Word):
    def __getitem__(self, index):
        raise KeyError("no such word")


class Stopped(Word):
    def __getitem__(self, index):
        raise KeyboardInterrupt("somebody pressed Ctrl-C")


def together(batch):
    """A collate_fn with a name of its own."""
    return torch.cat(batch)


class Counting:
    """Not a DataLoader: an object whose iterator is another object."""

    def __iter__(self):
        return Steps()


class Steps:
    def __iter__(self):
        return self

    def __next__(self):
        return self.step() + self.step()

    def step(self):
        return 1


class Refusing:
    """A loader that has no first batch, nor an iterator."""

    def __iter__(self):
        raise KeyError("no such loader")


def refusing():
    return Refusing()


def loader_of(kind, **settings):
    """A DataLoader of Word, Broken or Stopped."""
    return DataLoader({"Word": Word, "Broken": Broken, "Stopped": Stopped}[kind](), **settings)


def loader_of_words(batch_size):
    return DataLoader(Word(), batch_size, collate_fn=together)


def counting():
    return Counting()


def names_traced(fn, loader):
    """What ``fn(loader)`` returns; nothing of it is traced any more afterwards, so that it grows no longer."""
    profile, trace = sys.getprofile(), sys.gettrace()
    try:
        return fn(loader)
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)


def tracing_left(fn, loader):
    """What still traces after ``fn(loader)``: "profile", "trace", or neither; and the error that it raised."""
    found, raised = [], ""
    profile, trace = sys.getprofile(), sys.gettrace()
    sys.setprofile(None)
    sys.settrace(None)
    try:
        fn(loader)
    except NotImplementedError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        raised = type(error).__name__
    finally:
        found += ["profile"] if sys.getprofile() is not None else []
        found += ["trace"] if sys.gettrace() is not None else []
        sys.setprofile(profile)
        sys.settrace(trace)
    return found, raised
