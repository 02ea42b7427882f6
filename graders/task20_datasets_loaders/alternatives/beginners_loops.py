"""Loops and lists, os.path, a flag for each thing, an iterator class with a counter."""

# It is appended to the solution, whose helpers it may use.


def split_indices(n, fractions, seed):
    rng = np.random.RandomState(seed)
    numbers = []
    for i in range(n):
        numbers.append(i)
    rng.shuffle(numbers)
    result = []
    start = 0
    so_far = 0.0
    for k in range(len(fractions)):
        so_far = so_far + fractions[k]
        end = int(so_far * n + 0.5)
        if k == len(fractions) - 1:
            end = n
        result.append(numbers[start:end])
        start = end
    return result


def load_cifar_batch(path):
    file = open(path, "rb")
    d = pickle.load(file, encoding="bytes")
    file.close()
    images = np.zeros((len(d[b"labels"]), 3, 32, 32), dtype=np.uint8)
    for i in range(len(images)):
        images[i, 0] = d[b"data"][i][:1024].reshape(32, 32)
        images[i, 1] = d[b"data"][i][1024:2048].reshape(32, 32)
        images[i, 2] = d[b"data"][i][2048:].reshape(32, 32)
    return images, d[b"labels"]


def export_to_folders(images, labels, class_names, out_dir):
    counts = {}
    for i in range(len(images)):
        image = np.array(images[i])
        name = class_names[labels[i]]
        if not os.path.exists(os.path.join(out_dir, name)):
            os.makedirs(os.path.join(out_dir, name))
        counts[name] = counts.get(name, 0) + 1
        picture = Image.new("RGB", (image.shape[2], image.shape[1]))
        for y in range(image.shape[1]):
            for x in range(image.shape[2]):
                picture.putpixel((x, y), (int(image[0, y, x]), int(image[1, y, x]), int(image[2, y, x])))
        picture.save(os.path.join(out_dir, name, str(counts[name]) + ".png"))


def ends_like_a_picture(name):
    ending = os.path.splitext(name)[1].lower()
    return ending == ".png" or ending == ".jpg" or ending == ".jpeg" or ending == ".bmp"


def walk_sorted(folder):
    files = []
    for name in sorted(os.listdir(folder)):
        if name[0] == ".":
            continue
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            for deeper in walk_sorted(path):
                files.append(deeper)
        elif ends_like_a_picture(name):
            files.append(path)
    return files


def read_picture(path, transform):
    picture = Image.open(path)
    rgb = picture.convert("RGB")
    picture.close()
    if transform is not None:
        rgb = transform(rgb)
    return rgb


class RMBDataset(Dataset):
    def __init__(self, root, transform=None):
        self.data_info = []
        for note, label in [("1", 0), ("100", 1)]:
            if os.path.isdir(os.path.join(root, note)):
                for path in walk_sorted(os.path.join(root, note)):
                    self.data_info.append((path, label))
        if len(self.data_info) == 0:
            raise RuntimeError("no pictures in " + str(root))
        self.transform = transform

    def __len__(self):
        return len(self.data_info)

    def __getitem__(self, index):
        path, label = self.data_info[index]
        return read_picture(path, self.transform), label


class DogCatDataset(Dataset):
    def __init__(self, root, transform=None):
        self.root = root
        self.names = []
        for name in os.listdir(root):
            if ends_like_a_picture(name) and name[0] != ".":
                self.names.append(name)
        self.names.sort()
        if len(self.names) == 0:
            raise RuntimeError("no pictures in " + str(root))
        self.transform = transform

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        name = self.names[index]
        label = 0
        if name[:3] == "dog":
            label = 1
        return read_picture(os.path.join(self.root, name), self.transform), label


class ImageFolderDataset(Dataset):
    def __init__(self, root, transform=None):
        self.paths = walk_sorted(root)
        if self.paths == []:
            raise RuntimeError("no pictures in " + str(root))
        self.classes = []
        for path in self.paths:
            name = os.path.basename(os.path.dirname(path))
            if name not in self.classes:
                self.classes.append(name)
        self.classes.sort()
        self.class_to_idx = {}
        for i in range(len(self.classes)):
            self.class_to_idx[self.classes[i]] = i
        self.transform = transform

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        path = self.paths[index]
        label = self.class_to_idx[os.path.basename(os.path.dirname(path))]
        return read_picture(path, self.transform), label


def collate_pad(batch):
    longest = 0
    for sequence, _ in batch:
        if len(sequence) > longest:
            longest = len(sequence)
    rows = []
    lengths = []
    labels = []
    for sequence, label in batch:
        zeros = torch.zeros((longest - len(sequence),) + tuple(sequence.shape[1:]), dtype=sequence.dtype)
        rows.append(torch.cat([sequence, zeros], dim=0))
        lengths.append(len(sequence))
        labels.append(label)
    return torch.stack(rows), torch.LongTensor(lengths), torch.LongTensor(labels)


class MiniLoader:
    def __init__(self, dataset, batch_size=1, shuffle=False, drop_last=False, sampler=None, collate_fn=None, seed=None):
        if shuffle and sampler is not None:
            raise ValueError("shuffle and sampler together")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.sampler = sampler
        self.collate_fn = collate_fn
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        total = len(self.dataset) if self.sampler is None else len(self.sampler)
        full = total // self.batch_size
        if total % self.batch_size != 0 and not self.drop_last:
            full = full + 1
        return full

    def __iter__(self):
        if self.sampler is not None:
            indices = []
            for i in self.sampler:
                indices.append(i)
        else:
            indices = list(range(len(self.dataset)))
            if self.shuffle:
                self.rng.shuffle(indices)
        return OnePass(self, indices)


class OnePass:
    def __init__(self, loader, indices):
        self.loader = loader
        self.indices = indices
        self.position = 0

    def __iter__(self):
        return self

    def __next__(self):
        chosen = self.indices[self.position : self.position + self.loader.batch_size]
        if len(chosen) == 0 or (self.loader.drop_last and len(chosen) < self.loader.batch_size):
            raise StopIteration
        self.position += self.loader.batch_size
        items = []
        for i in chosen:
            items.append(self.loader.dataset[i])
        if self.loader.collate_fn is None:
            return default_collate(items)
        return self.loader.collate_fn(items)


def trace_loader_calls(loader):
    calls = []

    def my_profiler(frame, event, arg):
        if event == "call":
            calls.append(qualified_name(frame))

    iterator = None
    sys.setprofile(my_profiler)
    try:
        iterator = iter(loader)
        iterator.__next__()
    except BaseException:
        sys.setprofile(None)
        raise
    sys.setprofile(None)
    return calls
