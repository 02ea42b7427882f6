"""NumPy for the numbers, Pillow for the geometry of pictures, loops over channels."""

# It is appended to the solution, whose helpers it may use.

from functools import reduce


class ToTensor:
    def __call__(self, picture):
        array = np.asarray(picture)
        if array.ndim == 2:
            array = np.stack([array], axis=-1)
        scale = 255.0 if array.dtype == np.uint8 else 1.0
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0)).astype(np.float64) / scale).float()


class Normalize:
    def __init__(self, mean, std):
        self.pairs = list(zip(torch.as_tensor(mean).tolist(), torch.as_tensor(std).tolist(), strict=True))

    def __call__(self, x):
        if isinstance(x, Image.Image):
            raise TypeError("first ToTensor, then Normalize")
        channels = x.unbind(-3)
        done = [(channel - mean) / std for channel, (mean, std) in zip(channels, self.pairs, strict=True)]
        return torch.stack(done, dim=-3)


def denormalize(x, mean, std):
    return torch.stack([x.select(-3, c) * float(std[c]) + float(mean[c]) for c in range(x.shape[-3])], -3)


class Compose:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, x):
        return reduce(lambda value, transform: transform(value), self.transforms, x)


def extent(image):
    if isinstance(image, Image.Image):
        width, height = image.size
        return height, width
    return tuple(image.shape[-2:])


def part(image, top, left, height, width):
    """Whatever lies outside is black."""
    if isinstance(image, Image.Image):
        return image.crop((left, top, left + width, top + height))
    high, wide = extent(image)
    room = image.new_zeros(*image.shape[:-2], height, width)
    rows = range(max(top, 0), min(top + height, high))
    columns = range(max(left, 0), min(left + width, wide))
    if len(rows) and len(columns):
        room[..., rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = image[
            ..., rows.start : rows.stop, columns.start : columns.stop
        ]
    return room


class CenterCrop:
    def __init__(self, size):
        self.size = (size, size) if isinstance(size, int) else size

    def __call__(self, image):
        (high, wide), (height, width) = extent(image), self.size
        if height > high or width > wide:
            raise ValueError("the image is too small")
        return part(image, (high - height) // 2, (wide - width) // 2, height, width)


class RandomCrop:
    def __init__(self, size, padding=0, pad_if_needed=False):
        self.size = (size, size) if isinstance(size, int) else size
        self.padding, self.pad_if_needed = padding, pad_if_needed

    def __call__(self, image):
        (high, wide), (height, width), p = extent(image), self.size, self.padding
        corner = []
        for have, want in ((high, height), (wide, width)):
            first, last = -p, have + p - want
            if last < first:
                if not self.pad_if_needed:
                    raise ValueError("the image is too small")
                first, last = have - want, 0
            corner.append(int(torch.randint(first, last + 1, (1,)).item()))
        return part(image, corner[0], corner[1], height, width)


class RandomHorizontalFlip:
    def __init__(self, p=0.5, swap=None):
        self.p, self.swap = p, swap

    def __call__(self, image, keypoints=None):
        mirror = torch.rand(1).item() < self.p
        if mirror:
            width = extent(image)[1]
            if isinstance(image, Image.Image):
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            else:
                image = torch.flip(image, dims=(image.ndim - 1,))
        if keypoints is None:
            return image
        points = keypoints.clone()
        if mirror:
            points[:, 0] = width - 1 - points[:, 0]
            for one, other in self.swap or ():
                points[[one, other]] = points[[other, one]]
        return image, points


class Resize:
    def __init__(self, size):
        self.size = size

    def target(self, high, wide):
        if not isinstance(self.size, int):
            return tuple(self.size)
        if high <= wide:
            return self.size, int(self.size * wide / high)
        return int(self.size * high / wide), self.size

    def __call__(self, image):
        height, width = self.target(*extent(image))
        if isinstance(image, Image.Image):
            return image.resize((width, height), Image.Resampling.BILINEAR)
        flat = image.reshape(-1, 1, *extent(image))
        if not image.is_floating_point():
            flat = flat.double()
        flat = F.interpolate(flat, size=(height, width), mode="bilinear")
        if not image.is_floating_point():
            flat = (flat + 0.5).floor().to(image.dtype)
        return flat.reshape(*image.shape[:-2], height, width)


def channel_mean_std(loader):
    counts, means, spreads = [], [], []
    for batch in loader:
        images = np.asarray(batch if torch.is_tensor(batch) else batch[0], dtype=np.float64)
        counts.append(images.size // images.shape[1])
        means.append(images.mean(axis=(0, 2, 3)))
        spreads.append(images.var(axis=(0, 2, 3)))
    weights = np.array(counts) / sum(counts)
    mean = weights @ np.array(means)
    variance = weights @ (np.array(spreads) + (np.array(means) - mean) ** 2)
    return torch.from_numpy(mean), torch.from_numpy(np.sqrt(variance))


def build_transforms(train):
    steps = [Resize(32)]
    if train:
        steps.append(RandomCrop((32, 32), 4))
        steps.append(RandomHorizontalFlip(0.5))
    else:
        steps.append(CenterCrop((32, 32)))
    steps += [ToTensor(), Normalize(torch.tensor(CIFAR_MEAN), torch.tensor(CIFAR_STD))]
    return Compose(steps)
