"""Flipped slices, index_select, autograd.grad, functional calls with detached judges, a deque of pairs, pathlib."""

from collections import deque
from functools import partial, reduce
from pathlib import Path

import numpy as np
from torch.func import functional_call


def lambda_lr(epoch, start, total):
    return float(np.interp(epoch, [start, total], [1.0, 0.0]))


def gan_loss(pred, is_real):
    return F.mse_loss(pred, pred.new_full(pred.shape, float(is_real)))


def cycle_loss(g_ab, g_ba, real_a, real_b):
    return sum((back(there(x)) - x).abs().sum() / x.numel()
               for there, back, x in ((g_ab, g_ba, real_a), (g_ba, g_ab, real_b)))  # fmt: skip


def identity_loss(g_ab, g_ba, real_a, real_b):
    return sum(map(lambda g, x: nn.L1Loss()(g(x), x), (g_ab, g_ba), (real_b, real_a)))


def _mirrored(x, axis, before, after):
    size = x.shape[axis]
    if not (0 <= before < size and 0 <= after < size):
        raise ValueError("the mirror is too short")
    head = x.narrow(axis, 1, before).flip(axis) if before else x.narrow(axis, 0, 0)
    tail = x.narrow(axis, size - 1 - after, after).flip(axis)
    return torch.cat((head, x, tail), axis)


def reflection_pad2d(x, padding):
    left, right, top, bottom = [padding] * 4 if not hasattr(padding, "__len__") else padding
    return _mirrored(_mirrored(x, -1, left, right), -2, top, bottom)


class ResidualBlock(nn.Sequential):
    def __init__(self, channels):
        def half():
            return [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]

        super().__init__(*half(), nn.ReLU(), *half())

    def forward(self, x):
        return super().forward(x).add(x)


class PatchDiscriminator(nn.Sequential):
    def __init__(self, in_channels=3, features=64):
        widths = [in_channels] + [features * 2**k for k in range(4)] + [1]
        for k, (a, b) in enumerate(zip(widths[:-1], widths[1:])):
            pass
        layers = []
        for k in range(5):
            layers.append(nn.Conv2d(widths[k], widths[k + 1], 4, 2 if k < 3 else 1, 1))
            if 0 < k < 4:
                layers.append(nn.GroupNorm(widths[k + 1], widths[k + 1], affine=False))
            if k < 4:
                layers.append(nn.LeakyReLU(0.2))
        super().__init__(*layers)


def init_weights(net):
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    for layer in filter(lambda m: isinstance(m, kinds), net.modules()):
        layer.weight.data = torch.normal(0.0, 0.02, layer.weight.shape).to(layer.weight)
        if layer.bias is not None:
            layer.bias.data.zero_()


class ReplayBuffer:
    def __init__(self, max_size=50):
        self.max_size, self.kept = max_size, deque()

    def _answer(self, image):
        if not self.max_size:
            return image
        if len(self.kept) < self.max_size:
            self.kept.append(image)
            return image
        if random.getrandbits(1):
            return image
        self.kept.rotate(random.randrange(self.max_size))
        old = self.kept.popleft()
        self.kept.append(image)
        return old

    @torch.no_grad()
    def push_and_pop(self, images):
        return torch.cat([self._answer(part.detach()) for part in images.split(1)])


class UnpairedImageDataset(Dataset):
    ENDINGS = {".png", ".jpg", ".jpeg"}

    def __init__(self, root, transform=None, mode="train", unaligned=True):
        self.sides = {}
        for side in ("A", "B"):
            folder = Path(root) / mode / side
            self.sides[side] = sorted(
                (path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in self.ENDINGS),
                key=lambda path: path.name,
            )
            if not self.sides[side]:
                raise FileNotFoundError(folder)
        self.transform, self.unaligned = transform, unaligned

    def __len__(self):
        return max(map(len, self.sides.values()))

    def __getitem__(self, index):
        a, b = self.sides["A"], self.sides["B"]
        path = random.choice(b) if self.unaligned else b[index % len(b)]
        return {"A": self._image(a[index % len(a)]), "B": self._image(path)}

    def _image(self, path):
        with Image.open(path) as picture:
            picture = picture.convert("RGB")
        if self.transform is None:
            array = np.asarray(picture).astype(np.float32) / 255
            x = torch.from_numpy(array).permute(2, 0, 1)[None]
            return F.interpolate(x, (256, 256), mode="bilinear", align_corners=False)[0]
        steps = self.transform if isinstance(self.transform, list) else [self.transform]
        return reduce(lambda value, step: step(value), steps, picture)


def generator_step(g_ab, g_ba, d_a, d_b, optimizer, real_a, real_b, weight_cycle=10.0, weight_identity=5.0):
    frozen = [partial(functional_call, d, {name: p.detach() for name, p in d.named_parameters()}) for d in (d_a, d_b)]
    gan = gan_loss(frozen[1]((g_ab(real_a),)), True) + gan_loss(frozen[0]((g_ba(real_b),)), True)
    parts = gan, cycle_loss(g_ab, g_ba, real_a, real_b), identity_loss(g_ab, g_ba, real_a, real_b)
    loss = sum(w * part for w, part in zip((1.0, weight_cycle, weight_identity), parts))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for p, slope in zip(parameters, torch.autograd.grad(loss, parameters)):
        p.grad = slope
    optimizer.step()
    return dict(zip(("loss", "gan", "cycle", "identity"), map(float, (loss, *parts))))
