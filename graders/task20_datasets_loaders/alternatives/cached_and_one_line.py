"""One-liners where they fit; pictures that were read once are kept as arrays; a generator of index batches."""

# It is appended to the solution, whose helpers it may use.

import itertools
from functools import lru_cache
from math import ceil


def split_indices(n, fractions, seed):
    order = np.random.default_rng(seed).permutation(n)
    return [part.tolist() for part in np.split(order, np.round(np.cumsum(fractions) * n).astype(int)[:-1])]


def load_cifar_batch(path):
    with open(path, "rb") as file:
        batch = {key.decode(): value for key, value in pickle.load(file, encoding="bytes").items()}
    return torch.stack([torch.tensor(row).view(3, 32, 32) for row in batch["data"]]), batch["labels"]


def export_to_folders(images, labels, class_names, out_dir):
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        target = os.path.join(out_dir, class_names[label], f"{place:04}.png")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        bands = [Image.fromarray(np.ascontiguousarray(plane)) for plane in image]
        Image.merge("RGB", bands).save(target)


@lru_cache(maxsize=64)
def read_once(path):
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


class Table(Dataset):
    """Rows of (path, label)."""

    rows, transform = (), None

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        path, label = self.rows[index]
        picture = Image.fromarray(read_once(path).copy())
        return (self.transform(picture) if self.transform is not None else picture), label

    @staticmethod
    def below(root):
        found = sorted(
            os.path.join(folder, name)
            for folder, _, names in os.walk(root)
            for name in names
            if os.path.splitext(name)[1].lower() in (".png", ".jpg", ".jpeg", ".bmp")
            and not any(
                part.startswith(".") for part in os.path.relpath(os.path.join(folder, name), root).split(os.sep)
            )
        )
        if not found:
            raise FileNotFoundError(f"{root}: nothing to see")
        return found


class RMBDataset(Table):
    def __init__(self, root, transform=None):
        self.transform = transform
        self.rows = [
            (path, ("1", "100").index(os.path.relpath(path, root).split(os.sep)[0])) for path in self.below(root)
        ]


class DogCatDataset(Table):
    def __init__(self, root, transform=None):
        self.transform = transform
        self.rows = [(path, int(os.path.basename(path).lower().startswith("dog."))) for path in self.below(root)]


class ImageFolderDataset(Table):
    def __init__(self, root, transform=None):
        self.transform = transform
        paths = self.below(root)
        self.classes = [name for name, _ in itertools.groupby(sorted(path.split(os.sep)[-2] for path in paths))]
        self.class_to_idx = {name: self.classes.index(name) for name in self.classes}
        self.rows = [(path, self.classes.index(path.split(os.sep)[-2])) for path in paths]


def collate_pad(batch):
    lengths = torch.as_tensor([len(sequence) for sequence, _ in batch])
    shape = batch[0][0].shape[1:]
    padded = torch.zeros(len(batch), int(lengths.max()), *shape, dtype=batch[0][0].dtype)
    padded[torch.arange(padded.shape[1]) < lengths[:, None]] = torch.cat([sequence for sequence, _ in batch])
    return [padded, lengths, torch.as_tensor([label for _, label in batch])]


class MiniLoader:
    def __init__(self, dataset, batch_size=1, shuffle=False, drop_last=False, sampler=None, collate_fn=None, seed=None):
        if shuffle and sampler is not None:
            raise ValueError("choose one")
        self.__dict__.update(locals())
        self.epoch = 0
        self.base = int(torch.randint(2**31, ())) if seed is None else seed

    def __len__(self):
        count = len(self.sampler if self.sampler is not None else self.dataset) / self.batch_size
        return int(count) if self.drop_last else ceil(count)

    def order(self):
        if self.sampler is not None:
            return list(self.sampler)
        if not self.shuffle:
            return list(range(len(self.dataset)))
        self.epoch += 1
        return np.random.default_rng([self.base, self.epoch]).permutation(len(self.dataset)).tolist()

    def __iter__(self):
        indices = iter(self.order())
        while (chosen := list(itertools.islice(indices, self.batch_size))) and (
            len(chosen) == self.batch_size or not self.drop_last
        ):
            yield (self.collate_fn or default_collate)([self.dataset[index] for index in chosen])
