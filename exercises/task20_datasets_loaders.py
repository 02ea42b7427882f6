"""Task 20: from files on a disk to batches, with data sets and a loader of your own.

A network sees batches; what you have is folders. In between stand a data set, which knows how many samples there are
and reads the i-th one when it is asked for, and a loader, which decides on an order, cuts it into batches and puts the
samples of each batch together. You write three data sets for three common layouts, a split, a reader and a writer of
files, a way to put sequences of different lengths together, a small loader, and a look at what PyTorch's own loader
calls.

Conventions
- A picture is a file whose name ends in .png, .jpg, .jpeg or .bmp, in capitals or not (CAT.JPG is one). Files and
  folders below the root whose names begin with a dot are hidden: they do not count, nor does any other file that is no
  picture. (No folder has a name that ends so.)
- A data set is made from ``root``, the path of a folder, and ``transform=None``. A path is a text, which may end with a
  slash where it is that of a folder, or a ``pathlib.Path``. Item i is (picture, label): a
  ``PIL.Image.Image`` of mode RGB, whatever the mode of the file (grey, with a palette, with transparency:
  ``convert("RGB")``), and a Python int. Where there is a transform, ``transform(picture)`` takes the picture's place.
- Items are sorted by path, so that two computers agree on them. Folders list their files in no particular order.
- The constructor only lists files. A picture is opened when its item is asked for, and closed again; a million of them
  would not fit into memory, nor can so many files be open. It raises FileNotFoundError, ValueError or RuntimeError
  where there is not a single picture.
- A data set travels to the processes of a loader, so everything in it can be pickled: no lambda, no open file.
- Paths are joined and taken apart with ``os.path`` or ``pathlib``, so that they work on every system.
- Nothing is printed, nothing is fetched from a network.
"""


import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, default_collate


def split_indices(n, fractions, seed):
    """Deal the numbers 0, 1, ..., n - 1 out into parts at random, as for training, validation and test.

    fractions: numbers above 0 that add up to 1, one for each part. Returns a list (or tuple) with as many lists of
    integers. Every number is in exactly one part, and a part of fraction f has n·f members, give or take one: with
    n = 10 and fractions (0.8, 0.1, 0.1) the sizes are 8, 1, 1; with n = 7 and (0.5, 0.5) they are 3 and 4, or 4 and 3.

    The same seed gives the same parts each time, another seed gives others. The global random states (of torch, NumPy
    and Python's ``random``) are left as they are: who splits a set does not want to reseed a training.
    """
    # TODO: shuffle the numbers with a generator of your own, then cut the list.
    raise NotImplementedError


def load_cifar_batch(path):
    """Read one file of CIFAR-10, such as ``data_batch_1``.

    The file is a dict that Python 2 pickled; today's Python has to be told what its texts are: ``encoding="bytes"``
    leaves them byte strings. b"data" is a uint8 array (N, 3072), b"labels" a list of N integers. Each row is one
    picture of 32 x 32: first all 1024 values of red, row by row, then those of green, then those of blue. So value 1025
    of a row is the green of the second pixel in the top row.

    Returns (images, labels): uint8 (N, 3, 32, 32), and N integers, as arrays or tensors; the labels may be a list.
    Never unpickle a file of somebody whom you do not trust: it can run any code.
    """
    # TODO: unpickle, give the data its shape.
    raise NotImplementedError


def export_to_folders(images, labels, class_names, out_dir):
    """Write pictures as files, each in the folder of its class: ``out_dir/<class name>/<any name>.png``.

    images: uint8 (N, 3, H, W), red, green, blue, an array or a tensor. labels: N integers (array, tensor or list);
    label k belongs to ``class_names[k]``. ``out_dir`` and what lies above it is made where it does not exist; it
    and the folders of the classes may exist.

    Each picture is one PNG file, H high and W wide; who opens it sees exactly the colours of the array. (Some libraries
    write blue first.) The arguments are not changed, and nothing is returned.
    """
    # TODO: for each picture: bring the channels last, find the folder, save.
    raise NotImplementedError


class RMBDataset(Dataset):
    """Banknotes: the root holds two folders, "1" with notes of one yuan (label 0) and "100" with notes of a hundred
    (label 1).

    Pictures in folders further below count, too: ``root/100/old/a.png`` has label 1. Only the folder directly below the
    root decides; ``root/1/100.png`` has label 0, wherever the root itself lies.
    """

    def __init__(self, root, transform=None):
        # TODO: list the paths, and find out each one's label.
        raise NotImplementedError

    def __len__(self):
        """The number of pictures, not of folders."""
        # TODO: count.
        raise NotImplementedError

    def __getitem__(self, index):
        # TODO: open the picture, convert it, apply the transform; return it with its label.
        raise NotImplementedError


class DogCatDataset(Dataset):
    """Cats (label 0) and dogs (label 1) side by side in one folder: ``cat.0.jpg``, ``cat.10.jpg``, ``dog.12.jpg``.

    The beginning of a file's name says what it shows. Every picture lies directly in the root. The items are sorted by
    name as text, so cat.10.jpg comes before cat.2.jpg.
    """

    def __init__(self, root, transform=None):
        # TODO: list the files, and read the labels from their names.
        raise NotImplementedError

    def __len__(self):
        # TODO: count.
        raise NotImplementedError

    def __getitem__(self, index):
        # TODO: the same as above.
        raise NotImplementedError


class ImageFolderDataset(Dataset):
    """One folder for each class: the folder that directly holds a picture is the name of its class.

    ``classes`` is the list of names, sorted as texts, and ``class_to_idx`` a dict from each name to its place in that
    list, which is the label. With ``root/test/cat/a.png``, ``root/train/cat/b.png`` and ``root/train/ant/c.png`` the
    classes are ["ant", "cat"], and the labels in the order of the items 1, 0, 1: test/cat, train/ant, train/cat. A
    folder without a picture directly in it is no class. Every picture lies in some folder below the root.
    """

    def __init__(self, root, transform=None):
        # TODO: list the paths, gather the classes, look each label up.
        raise NotImplementedError

    def __len__(self):
        # TODO: count.
        raise NotImplementedError

    def __getitem__(self, index):
        # TODO: the same as above.
        raise NotImplementedError


def collate_pad(batch):
    """Put sequences of different lengths into one tensor, as a ``collate_fn`` of a loader does.

    batch: a list of B items (sequence, label). A sequence is a tensor with its length first, (length,) or
    (length, ...), all of one dtype and alike in their other axes; a length may be 0. A label is an int.

    Returns (padded, lengths, labels): ``padded`` is (B, longest, ...) in the dtype of the sequences, each sequence at
    the front of its row and zeros behind it; lengths and labels are int64 (B,). The items are not changed.

    Example: the items ([5, 6, 7], 1) and ([8], 0) become [[5, 6, 7], [8, 0, 0]], [3, 1] and [1, 0].
    """
    # TODO: make a tensor of zeros that is large enough, and copy each sequence into it.
    raise NotImplementedError


class MiniLoader:
    """A loader of your own: an object over which one can go any number of times, batch by batch.

    dataset: has ``len(dataset)`` and ``dataset[i]``.
    batch_size: items in a batch; the last one may be smaller, or is left out with ``drop_last``.
    shuffle: every pass has a new random order.
    sampler: an iterable with a length, such as a list (it may be empty), which says the indices of a pass, in its
    order; it is gone through anew for each pass, as its order may be another each time. Shuffling a sampler's order
    makes no sense: both together raise ValueError, in the constructor.
    collate_fn: makes a batch of a list of items; None stands for ``default_collate``, which is imported above.
    seed: what shuffling draws from. Two loaders with one seed give the same series of orders, whatever else draws
    random numbers in between; the orders within a series differ. None: every loader draws its own.

    An item is fetched when its batch is asked for, not before. Two passes at the same time do not disturb each other.
    Batches are put together without ``torch.utils.data.DataLoader``, which you are building; its samplers are allowed.
    """

    def __init__(self, dataset, batch_size=1, shuffle=False, drop_last=False, sampler=None, collate_fn=None, seed=None):
        # TODO: check the arguments and keep them.
        raise NotImplementedError

    def __len__(self):
        """The number of batches of a pass: 10 samples in batches of 4 are 3, and 2 with ``drop_last``."""
        # TODO: divide, and round up or down.
        raise NotImplementedError

    def __iter__(self):
        """A new pass: an iterator over batches."""
        # TODO: decide on the order, cut it into batches, fetch and collate each one.
        raise NotImplementedError


def qualified_name(frame):
    """Given: the name of the function that runs in a frame, with its class: ``DataLoader.__iter__``."""
    code = frame.f_code
    if hasattr(code, "co_qualname"):  # Python 3.11 and newer
        return code.co_qualname
    for kind in type(frame.f_locals.get("self")).__mro__:
        if getattr(vars(kind).get(code.co_name), "__code__", None) is code:
            return f"{kind.__name__}.{code.co_name}"
    return code.co_name


def trace_loader_calls(loader):
    """What is called when the first batch is asked for: ``next(iter(loader))``.

    Returns the qualified names of the Python functions in the order in which they are called, from ``iter`` until the
    first batch is there; a function that is called twice is there twice. For a ``DataLoader`` the list begins with
    "DataLoader.__iter__", and further on come "_MapDatasetFetcher.fetch", the data set's "__getitem__" once for each
    item of the batch, and "default_collate". Functions of C need not be listed.

    ``sys.setprofile(fn)`` has Python call ``fn(frame, event, arg)`` at each event; that of a call is "call".
    Afterwards nothing is traced any more, also where the loader raised an error, which is passed on, or somebody has
    interrupted it (KeyboardInterrupt).
    """
    # TODO: collect names while the first batch is made, and switch the tracing off whatever happens.
    raise NotImplementedError
