"""Modules of torch.nn, index tables in place of slices, sampling on a grid, running statistics."""

# It is appended to the solution, whose helpers it may use.

from torch import nn


class ToTensor(nn.Module):
    def forward(self, picture):
        if isinstance(picture, Image.Image):
            channels = len(picture.getbands())
            flat = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
            x = flat.view(picture.height, picture.width, channels)
        else:
            x = torch.tensor(picture)
            x = x.unsqueeze(-1) if x.dim() == 2 else x
        x = torch.einsum("hwc->chw", x)
        return x.float().div(255) if x.dtype is torch.uint8 else x.float()


class Normalize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = torch.as_tensor(mean, dtype=torch.float64).view(-1, 1, 1)
        self.std = torch.as_tensor(std, dtype=torch.float64).view(-1, 1, 1)

    def forward(self, x):
        if not torch.is_tensor(x):
            raise TypeError("a tensor is needed")
        exact = x.double().sub(self.mean.to(x.device))
        return exact.div(self.std.to(x.device)).type_as(x)


def denormalize(x, mean, std):
    mean, std = (torch.as_tensor(v, dtype=torch.float64, device=x.device) for v in (mean, std))
    return torch.addcmul(mean.view(-1, 1, 1), x.double(), std.view(-1, 1, 1)).type_as(x)


class Compose(nn.Module):
    def __init__(self, transforms):
        super().__init__()
        self.transforms = tuple(transforms)

    def forward(self, x, first=0):
        if first == len(self.transforms):
            return x
        return self.forward(self.transforms[first](x), first + 1)


class Crop(nn.Module):
    """Takes rows and columns by their numbers."""

    def __init__(self, size):
        super().__init__()
        self.size = [size] * 2 if isinstance(size, int) else list(size)

    def take(self, x, corner):
        for axis, start, length in zip((-2, -1), corner, self.size, strict=True):
            x = x.index_select(axis, torch.arange(start, start + length))
        return x

    def room(self, x):
        left = [have - want for have, want in zip(x.shape[-2:], self.size, strict=True)]
        if min(left) < 0:
            raise ValueError(f"{tuple(x.shape[-2:])} is smaller than {tuple(self.size)}")
        return left


class CenterCrop(Crop):
    def forward(self, image):
        x, back = planes(image)
        return back(self.take(x, [left // 2 for left in self.room(x)]))


class RandomCrop(Crop):
    def __init__(self, size, padding=0, pad_if_needed=False):
        super().__init__(size)
        self.padding, self.pad_if_needed = padding, pad_if_needed

    def frame(self, x, rows, columns):
        wider = x.new_zeros((*x.shape[:-2], x.shape[-2] + 2 * rows, x.shape[-1] + 2 * columns))
        wider[..., rows : rows + x.shape[-2], columns : columns + x.shape[-1]] = x
        return wider

    def forward(self, image):
        x, back = planes(image)
        x = self.frame(x, self.padding, self.padding)
        while self.pad_if_needed and (x.shape[-2] < self.size[0] or x.shape[-1] < self.size[1]):
            x = self.frame(x, int(x.shape[-2] < self.size[0]), int(x.shape[-1] < self.size[1]))
        corner = [int(torch.rand(()) * (left + 1)) for left in self.room(x)]
        return back(self.take(x, corner))


class RandomHorizontalFlip(nn.Module):
    def __init__(self, p=0.5, swap=None):
        super().__init__()
        self.p = p
        self.swap = dict(swap or ())

    def forward(self, image, keypoints=None):
        turned = bool(torch.bernoulli(torch.tensor(float(self.p))))
        if not turned:
            return image if keypoints is None else (image, keypoints)
        x, back = planes(image)
        width = x.shape[-1]
        mirrored = back(x[..., torch.arange(width - 1, -1, -1)])
        if keypoints is None:
            return mirrored
        partner = {**self.swap, **{other: one for one, other in self.swap.items()}}
        rows = [keypoints[partner.get(k, k)] for k in range(len(keypoints))]
        return mirrored, torch.stack([torch.stack([width - 1 - x, y]) for x, y in rows])


class Resize(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    @staticmethod
    def along(length, count):
        """Matrix (count, length) that interpolates a row."""
        places = ((torch.arange(count, dtype=torch.float64) + 0.5) * length / count - 0.5).clamp(0, length - 1)
        return (1 - (places[:, None] - torch.arange(length)).abs()).clamp(min=0)

    def forward(self, image):
        x, back = planes(image)
        high, wide = x.shape[-2:]
        size = self.size
        if isinstance(size, int):
            size = (size, size * wide // high) if high <= wide else (size * high // wide, size)
        exact = self.along(high, size[0]) @ x.double() @ self.along(wide, size[1]).T
        return back((exact if x.is_floating_point() else exact.round()).to(x.dtype))


def channel_mean_std(loader):
    count, mean, scatter = 0, None, None
    for batch in loader:
        images = batch if isinstance(batch, torch.Tensor) else batch[0]
        for values in images.double().permute(0, 2, 3, 1).flatten(0, 2).split(1000):  # (pixels, C)
            here, n = values.mean(0), len(values)
            inner = (values - here).square().sum(0)
            if mean is None:
                count, mean, scatter = n, here, inner
            else:
                apart = here - mean
                scatter = scatter + inner + apart.square() * count * n / (count + n)
                mean = mean + apart * n / (count + n)
                count += n
    return mean, torch.sqrt(scatter / count)


def build_transforms(train):
    geometry = (RandomCrop(32, padding=4), RandomHorizontalFlip()) if train else (CenterCrop(32),)
    return nn.Sequential(Resize(32), *geometry, ToTensor(), Normalize(CIFAR_MEAN, CIFAR_STD))
