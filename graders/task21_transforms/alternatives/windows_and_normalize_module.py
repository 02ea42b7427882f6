"""A base class for crops, Normalize as a module, antialiasing, sums of all batches stacked."""

from functools import reduce

from torch import nn

CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2023, 0.1994, 0.2010)


class ToTensor:
    def __call__(self, picture):
        a = np.atleast_3d(np.asarray(picture))
        scale = np.float32(255 if a.dtype == np.uint8 else 1)
        return torch.tensor(np.moveaxis(a, -1, 0).astype(np.float32) / scale)


def columns(values, x):
    return torch.as_tensor([float(v) for v in values], dtype=x.dtype, device=x.device)[:, None, None]


class Normalize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x):
        if not torch.is_tensor(x):
            raise TypeError(type(x))
        return x.sub(columns(self.mean, x)).div_(columns(self.std, x))


def denormalize(x, mean, std):
    return torch.addcmul(columns(mean, x), x, columns(std, x))


class Compose:
    def __init__(self, transforms):
        self.steps = tuple(transforms)

    def __call__(self, x):
        return reduce(lambda value, step: step(value), self.steps, x)


class Window:
    """A cut of a fixed size; a subclass says where."""

    def __init__(self, size):
        self.size = tuple(size) if hasattr(size, "__len__") else (size,) * 2

    def prepare(self, x):
        return x

    def __call__(self, image):
        x, back = planes(image)
        x = self.prepare(x)
        room = [n - m for n, m in zip(x.shape[-2:], self.size)]
        if min(room) < 0:
            raise ValueError(f"{tuple(x.shape[-2:])} is smaller than {self.size}")
        return back(x[(..., *(slice(c, c + m) for c, m in zip(map(self.corner, room), self.size)))].clone())


class CenterCrop(Window):
    def corner(self, room):
        return room // 2


class RandomCrop(Window):
    def __init__(self, size, padding=0, pad_if_needed=False):
        super().__init__(size)
        self.padding, self.pad_if_needed = padding, pad_if_needed

    def prepare(self, x):
        amounts = []
        for n, m in zip(reversed(x.shape[-2:]), reversed(self.size)):
            lack = max(m - n - 2 * self.padding, 0) if self.pad_if_needed else 0
            amounts += [self.padding + lack - lack // 2, self.padding + lack // 2]
        return F.pad(x, amounts)

    def corner(self, room):
        return int(torch.randint(0, room + 1, (1,)))


class RandomHorizontalFlip:
    def __init__(self, p=0.5, swap=None):
        self.p, self.swap = p, swap or ()

    def mirror_points(self, points, width):
        order = list(range(len(points)))
        for a, b in self.swap:
            order[a], order[b] = order[b], order[a]
        x, y = points.unbind(1)
        return torch.stack([width - 1 - x, y], 1)[order]

    def __call__(self, image, keypoints=None):
        if torch.rand(1) < self.p:
            x, back = planes(image)
            image = back(torch.fliplr(x.movedim(-1, 1)).movedim(1, -1) if x.ndim > 2 else x.flip(1))
            keypoints = None if keypoints is None else self.mirror_points(keypoints, x.shape[-1])
        return image if keypoints is None else (image, keypoints)


class Resize:
    def __init__(self, size):
        self.size = size

    def target(self, hw):
        if hasattr(self.size, "__len__"):
            return tuple(self.size)
        return tuple(self.size * n // min(hw) for n in hw)

    def __call__(self, image):
        x, back = planes(image)
        hw = self.target(tuple(x.shape[-2:]))
        y = x.flatten(0, -3)[None] if x.ndim > 2 else x[None, None]
        if y.shape[1] == 0:
            return x.new_zeros(x.shape[:-2] + hw)
        y = F.interpolate(y if x.is_floating_point() else y.double(), hw, mode="bilinear", antialias=True)
        y = y if x.is_floating_point() else y.round_().clamp_(0, 255).to(x.dtype)
        return back(y.reshape(*x.shape[:-2], *hw))


def channel_mean_std(loader):
    pieces = []
    for batch in loader:
        x = (batch[0] if isinstance(batch, (list, tuple)) else batch).to(torch.float64)
        pieces.append(
            torch.stack(
                [x.sum((0, 2, 3)), torch.einsum("nchw,nchw->c", x, x), x[:, :1].new_ones(x.shape).sum((0, 2, 3))]
            )
        )
    s1, s2, n = torch.stack(pieces).sum(0)
    return s1 / n, (s2 / n - (s1 / n) ** 2).relu().sqrt()


def build_transforms(train):
    middle = (RandomCrop(32, 4), RandomHorizontalFlip()) if train else (CenterCrop(32),)
    return Compose((Resize(32), *middle, ToTensor(), Normalize(CIFAR_MEAN, CIFAR_STD)))
