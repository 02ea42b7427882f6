"""glob and a pattern, a class to mix in, NumPy's seed sequences, BatchSampler and a generator expression."""

# It is appended to the solution, whose helpers it may use.

import glob
import itertools
import re

from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import BatchSampler, Dataset, SequentialSampler, default_collate

PICTURE = re.compile(r"[^.].*\.(png|jpe?g|bmp)", re.IGNORECASE | re.DOTALL)


def split_indices(n, fractions, seed):
    order = np.random.default_rng(seed % 2**63).permutation(n)
    cuts = np.rint(np.cumsum(fractions)[:-1] * n).astype(int)
    return tuple(part.tolist() for part in np.split(order, cuts))


def load_cifar_batch(path):
    with open(os.fspath(path), "rb") as f:
        d = pickle.load(f, encoding="bytes")
    return torch.tensor(d[b"data"]).unflatten(1, (3, 32, 32)), torch.tensor(d[b"labels"], dtype=torch.long)


def export_to_folders(images, labels, class_names, out_dir):
    images, labels = np.moveaxis(np.asarray(images), 1, -1), np.asarray(labels)
    os.makedirs(out_dir, exist_ok=True)
    for k, name in enumerate(class_names):
        chosen = np.flatnonzero(labels == k)
        if len(chosen):
            os.makedirs(os.path.join(out_dir, name), exist_ok=True)
        for i in chosen:
            Image.fromarray(images[i].copy()).save(os.path.join(out_dir, name, f"picture{i}.png"), "PNG")


class _Pictures:
    """Items (path, label) in self.items; paths are sorted as texts."""

    def _find(self, root, transform, deep=True):
        self.transform = transform
        root = os.fspath(root)
        pattern = os.path.join(glob.escape(root), *(["**"] if deep else []), "*")
        paths = sorted(p for p in glob.iglob(pattern, recursive=True) if PICTURE.fullmatch(os.path.basename(p)))
        if not paths:
            raise ValueError(f"{root}: no pictures")
        return [(p, os.path.relpath(p, root).split(os.sep)) for p in paths]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        path, label = self.items[index]
        with open(path, "rb") as f, Image.open(f) as image:
            rgb = image.convert("RGB")
        return (rgb if self.transform is None else self.transform(rgb)), label


class RMBDataset(_Pictures, Dataset):
    def __init__(self, root, transform=None):
        self.items = [(p, int(parts[0] == "100")) for p, parts in self._find(root, transform)]


class DogCatDataset(_Pictures, Dataset):
    def __init__(self, root, transform=None):
        found = self._find(root, transform, deep=False)
        self.items = [(p, ("cat", "dog").index(parts[-1][:3].lower())) for p, parts in found]


class ImageFolderDataset(_Pictures, Dataset):
    def __init__(self, root, transform=None):
        found = self._find(root, transform)
        self.classes = sorted({parts[-2] for _, parts in found})
        self.class_to_idx = dict(zip(self.classes, itertools.count()))
        self.items = [(p, self.class_to_idx[parts[-2]]) for p, parts in found]


def collate_pad(batch):
    sequences, labels = zip(*batch)
    return pad_sequence(sequences, batch_first=True), torch.tensor([*map(len, sequences)]), torch.tensor(labels)


class MiniLoader:
    def __init__(self, dataset, batch_size=1, shuffle=False, drop_last=False, sampler=None, collate_fn=None, seed=None):
        if shuffle and sampler is not None:
            raise ValueError("either shuffle or a sampler")
        self.dataset, self.collate_fn = dataset, collate_fn
        self.batch_size, self.drop_last = batch_size, drop_last
        self.shuffle, self.sampler = shuffle, sampler
        self.seeds = np.random.SeedSequence(None if seed is None else seed % 2**63)

    def __len__(self):
        n = len(self.dataset if self.sampler is None else self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self):
        order = self.sampler
        if order is None and self.shuffle:
            (child,) = self.seeds.spawn(1)
            order = np.random.default_rng(child).permutation(len(self.dataset)).tolist()
        elif order is None:
            order = SequentialSampler(self.dataset)
        batches = BatchSampler(order, self.batch_size, self.drop_last)
        collate = self.collate_fn if self.collate_fn is not None else default_collate
        return (collate([self.dataset[i] for i in indices]) for indices in batches)


def trace_loader_calls(loader):
    calls = []
    sys.setprofile(lambda frame, event, arg: calls.append(qualified_name(frame)) if event == "call" else None)
    try:
        first = iter(loader)
        next(first)
        return calls
    finally:
        sys.setprofile(None)
