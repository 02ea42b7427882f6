"""scandir that calls itself, pictures that pass through arrays, lists of batches, stacks of flipped sequences."""

# It is appended to the solution, whose helpers it may use.

import math
from collections import defaultdict


def split_indices(n, fractions, seed):
    keys = np.random.Generator(np.random.PCG64(seed)).random(n)
    ranked = np.argsort(keys, kind="stable")
    ends = [math.floor(n * math.fsum(fractions[: k + 1]) + 1e-9) for k in range(len(fractions) - 1)]
    return [[int(index) for index in part] for part in np.array_split(ranked, ends)]


def load_cifar_batch(path):
    with open(path, "rb") as file:
        batch = pickle.Unpickler(file, encoding="bytes").load()
    planes = np.stack(np.hsplit(batch[b"data"], 3), axis=1)  # (N, 3, 1024)
    return np.stack(np.split(planes, 32, axis=2), axis=2), torch.LongTensor(batch[b"labels"])


def export_to_folders(images, labels, class_names, out_dir):
    of_class = defaultdict(list)
    for place, label in enumerate(np.asarray(labels).tolist()):
        of_class[class_names[label]].append(place)
    for name, places in of_class.items():
        folder = os.path.join(out_dir, name)
        os.makedirs(folder, exist_ok=True)
        for number, place in enumerate(places):
            image = torch.as_tensor(images[place])
            channels_last = torch.stack([image[0], image[1], image[2]], dim=-1)
            Image.fromarray(channels_last.numpy()).save(os.path.join(folder, f"{name}-{number}.png"))


def entries(folder, parts=()):
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from entries(entry.path, (*parts, entry.name))
        elif entry.name.rpartition(".")[2].casefold() in {"png", "jpg", "jpeg", "bmp"}:
            yield (*parts, entry.name), entry.path


class Listed(Dataset):
    def __init__(self, root, transform=None):
        self.rows = sorted(entries(root))
        self.transform = transform
        if not self.rows:
            raise ValueError("nothing found in " + os.fspath(root))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        parts, path = self.rows[index]
        with open(path, "rb") as file, Image.open(file) as picture:
            pixels = np.array(picture.convert("RGB"))
        picture = Image.fromarray(pixels)
        if self.transform is not None:
            picture = self.transform(picture)
        return picture, self.label_of(parts)


class RMBDataset(Listed):
    def label_of(self, parts):
        return {"1": 0, "100": 1}.get(parts[0])


class DogCatDataset(Listed):
    def label_of(self, parts):
        kind, _, _ = parts[-1].partition(".")
        return int(kind.upper() == "DOG")


class ImageFolderDataset(Listed):
    @property
    def classes(self):
        return sorted({parts[-2] for parts, _ in self.rows})

    @property
    def class_to_idx(self):
        return {name: place for place, name in enumerate(self.classes)}

    def label_of(self, parts):
        return self.class_to_idx[parts[-2]]


def collate_pad(batch):
    backwards = [sequence.flip(0) for sequence, _ in batch]
    longest = max(sequence.size(0) for sequence in backwards)
    rows = []
    for sequence in backwards:
        missing = sequence.new_zeros(longest - sequence.size(0), *sequence.shape[1:])
        rows.append(torch.cat((missing, sequence)).flip(0))
    lengths = np.array([len(sequence) for sequence, _ in batch])
    return torch.stack(rows, 0), torch.from_numpy(lengths), torch.tensor([int(label) for _, label in batch])


class MiniLoader:
    def __init__(self, dataset, batch_size=1, shuffle=False, drop_last=False, sampler=None, collate_fn=None, seed=None):
        if shuffle and sampler is not None:
            raise ValueError("a sampler brings its own order")
        self.dataset, self.size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.sampler, self.collate = sampler, collate_fn
        self.generator = torch.Generator()
        if seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(seed)

    def total(self):
        return len(self.dataset) if self.sampler is None else len(self.sampler)

    def __len__(self):
        whole, rest = divmod(self.total(), self.size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        if self.sampler is not None:
            order = torch.tensor([*self.sampler], dtype=torch.int64)
        elif self.shuffle:
            order = torch.rand(self.total(), generator=self.generator).argsort()
        else:
            order = torch.arange(self.total())
        batches = [part.tolist() for part in order.split(self.size) if len(part)][: len(self)]
        return map(self.batch, batches)

    def batch(self, indices):
        items = [self.dataset[index] for index in indices]
        if self.collate is not None:
            return self.collate(items)
        return [default_collate(column) for column in zip(*items, strict=True)]


def trace_loader_calls(loader):
    class Tracer:
        def __init__(self):
            self.names = []

        def __enter__(self):
            sys.setprofile(self.note)
            return self

        def __exit__(self, *error):
            sys.setprofile(None)

        def note(self, frame, event, arg):
            if event == "call":
                self.names.append(qualified_name(frame))

    with Tracer() as tracer:
        next(loader.__iter__())
    return [name for name in tracer.names if "Tracer" not in name]
