"""NumPy arrays, a plan of the blocks, a mean by einsum, and modes in a context manager."""

from contextlib import contextmanager

import numpy as np


def prepare_images(images) -> Tensor:
    device = images.device if isinstance(images, Tensor) else "cpu"
    if isinstance(images, Tensor):
        if images.dtype != torch.uint8:
            raise TypeError(images.dtype)
        images = images.cpu().numpy()
    a = np.asarray(images)
    if a.dtype != np.uint8:
        raise TypeError(a.dtype)
    a = {2: lambda: a[None, None], 3: lambda: a[:, None], 4: lambda: a}.get(a.ndim, lambda: np.empty((0, 0, 0, 0)))()
    if a.shape[1] != 1:
        raise ValueError("(N, H, W), (N, 1, H, W) or (H, W)")
    return torch.from_numpy(np.divide(a, np.float32(255), dtype=np.float32)).to(device)


def flat_features(input_size: int) -> int:
    left = max(0, ((input_size - 4) // 2 - 4) // 2)
    if not left:
        raise ValueError(input_size)
    return left * left * 16


class LeNet5(nn.Sequential):
    """At 28 the first convolution pads by 2."""

    def __init__(self, in_channels: int = 1, input_size: int = 32, num_classes: int = 10) -> None:
        pad = 2 if input_size == 28 else 0
        super().__init__(
            nn.Conv2d(in_channels, 6, 5, padding=pad),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(flat_features(input_size + 2 * pad), 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
        )


def shortcut_option_a(x: Tensor, out_channels: int, stride: int) -> Tensor:
    if out_channels < x.size(1):
        raise ValueError(out_channels)
    return F.pad(x[..., ::stride, ::stride], (0, 0, 0, 0, 0, out_channels - x.size(1)))


class ConvNorm(nn.Module):
    def __init__(self, i, o, k, stride=1, bias=False):
        super().__init__()
        self.c = nn.Conv2d(i, o, k, stride, k // 2, bias=bias)
        self.n = nn.BatchNorm2d(o)

    def forward(self, x):
        return self.n(self.c(x))


class BasicBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.a = ConvNorm(in_channels, out_channels, 3, stride)
        self.b = ConvNorm(out_channels, out_channels, 3)
        same = (in_channels, 1) == (out_channels, stride)
        self.p = None if same else ConvNorm(in_channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return (self.b(self.a(x).clamp(min=0)) + (self.p(x) if self.p else x)).clamp(min=0)


class MnistResNet(nn.Module):
    def __init__(self, block, num_blocks: list[int], num_classes: int = 10) -> None:
        super().__init__()
        try:
            one, two, three = num_blocks
        except ValueError:
            raise ValueError("three stages") from None
        self.stem = ConvNorm(1, 16, 3, bias=True)
        plan = (
            [(16, 16, 1)] * one
            + [(16, 32, 2)]
            + [(32, 32, 1)] * (two - 1)
            + [(32, 64, 2)]
            + [(64, 64, 1)] * (three - 1)
        )
        self.body = nn.Sequential(*(block(*p) for p in plan))
        self.head = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.body(F.relu(self.stem(x)))
        return self.head(torch.einsum("nchw->nc", maps) / maps[0, 0].numel() if len(maps) else maps.mean((2, 3)))


@contextmanager
def evaluating(model):
    training = [m for m in model.modules() if m.training]
    model.eval()
    try:
        with torch.no_grad():
            yield next(model.parameters()).device
    finally:
        for m in training:
            m.training = True


def classify(model: nn.Module, images, batch_size: int = 100) -> Tensor:
    x = prepare_images(images)
    if x.shape[0] == 0:
        return torch.zeros(0, dtype=torch.long)
    with evaluating(model) as device:
        return torch.cat([model(b.to(device)).argmax(-1) for b in x.split(batch_size)]).cpu()
