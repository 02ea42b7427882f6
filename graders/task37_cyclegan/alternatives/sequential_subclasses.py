"""Networks that are nn.Sequential themselves, torch.autograd.grad in the step, borders narrowed, flipped and joined."""

from functools import reduce
from pathlib import Path
from random import choice, getrandbits, randrange

import numpy as np

SUFFIXES = {".png", ".jpg", ".jpeg"}


def lambda_lr(epoch, start, total):
    return float(np.interp(epoch, [start, total], [1.0, 0.0]))


def gan_loss(pred, is_real):
    return (pred - float(bool(is_real))).square().mean()


def l1(x, y):
    return (x - y).abs().mean()


def cycle_loss(g_ab, g_ba, real_a, real_b):
    return l1(g_ba(g_ab(real_a)), real_a) + l1(g_ab(g_ba(real_b)), real_b)


def identity_loss(g_ab, g_ba, real_a, real_b):
    return sum(l1(g(x), x) for g, x in zip((g_ab, g_ba), (real_b, real_a)))


def _mirror(x, before, after, dim):
    size = x.shape[dim]
    if not (0 <= before < size and 0 <= after < size):
        raise ValueError(f"padding ({before}, {after}) does not fit a side of {size}")
    head = x.narrow(dim, 1, before).flip(dim) if before else x.narrow(dim, 0, 0)
    tail = x.narrow(dim, size - 1 - after, after).flip(dim) if after else x.narrow(dim, 0, 0)
    return torch.cat([head, x, tail], dim)


def reflection_pad2d(x, padding):
    left, right, top, bottom = padding if isinstance(padding, (tuple, list)) else [padding] * 4
    wide = _mirror(x, left, right, x.dim() - 1)
    return _mirror(wide, top, bottom, x.dim() - 2)


def conv_norm(conv, act):
    return [conv, nn.InstanceNorm2d(conv.out_channels), act]


class ResidualBlock(nn.Sequential):
    def __init__(self, channels):
        super().__init__(
            nn.ReflectionPad2d(1),
            *conv_norm(nn.Conv2d(channels, channels, 3), nn.ReLU(True)),
            nn.ReflectionPad2d(1),
            *conv_norm(nn.Conv2d(channels, channels, 3), nn.Identity()),
        )

    def forward(self, x):
        return super().forward(x).add_(x)


class Generator(nn.Sequential):
    def __init__(self, in_channels=3, out_channels=3, features=64, num_blocks=9):
        f1, f2, f4 = (features * k for k in (1, 2, 4))
        up = dict(kernel_size=3, stride=2, padding=1, output_padding=1)
        super().__init__(
            nn.ReflectionPad2d(3),
            *conv_norm(nn.Conv2d(in_channels, f1, 7), nn.ReLU(True)),
            *conv_norm(nn.Conv2d(f1, f2, 3, 2, 1), nn.ReLU(True)),
            *conv_norm(nn.Conv2d(f2, f4, 3, 2, 1), nn.ReLU(True)),
            *(ResidualBlock(f4) for _ in range(num_blocks)),
            *conv_norm(nn.ConvTranspose2d(f4, f2, **up), nn.ReLU(True)),
            *conv_norm(nn.ConvTranspose2d(f2, f1, **up), nn.ReLU(True)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(f1, out_channels, 7),
            nn.Tanh(),
        )


class PatchDiscriminator(nn.Module):
    def __init__(self, in_channels=3, features=64):
        super().__init__()
        self.c1 = nn.Conv2d(in_channels, features, 4, 2, 1)
        self.c2 = nn.Conv2d(features, features * 2, 4, 2, 1)
        self.c3 = nn.Conv2d(features * 2, features * 4, 4, 2, 1)
        self.c4 = nn.Conv2d(features * 4, features * 8, 4, 1, 1)
        self.c5 = nn.Conv2d(features * 8, 1, 4, 1, 1)

    def forward(self, x):
        x = F.leaky_relu(self.c1(x), 0.2)
        for conv in (self.c2, self.c3, self.c4):
            x = F.leaky_relu(F.instance_norm(conv(x)), 0.2)
        return self.c5(x)


def init_weights(net):
    def start(m):
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
            m.weight.data.copy_(torch.randn_like(m.weight) * 0.02)
            if m.bias is not None:
                m.bias.data.zero_()

    net.apply(start)


class ReplayBuffer:
    def __init__(self, max_size=50):
        self.max_size, self.store = max_size, {}

    def _one(self, image):
        if self.max_size > len(self.store):
            self.store[len(self.store)] = image
            return image
        if self.max_size and getrandbits(1):
            i = randrange(self.max_size)
            old, self.store[i] = self.store[i], image
            return old.to(device=image.device, dtype=image.dtype)
        return image

    @torch.no_grad()
    def push_and_pop(self, images):
        return torch.cat([self._one(image.detach()) for image in images.split(1)])


class UnpairedImageDataset(Dataset):
    def __init__(self, root, transform=None, mode="train", unaligned=True):
        self.a, self.b = (self._find(Path(root, mode, side)) for side in "AB")
        self.steps = [self._default] if transform is None else transform if isinstance(transform, list) else [transform]
        self.unaligned = unaligned

    @staticmethod
    def _find(folder):
        found = [p for p in folder.glob("*") if p.is_file() and p.name[p.name.rfind(".") :].lower() in SUFFIXES]
        if not found:
            raise ValueError(f"{folder} holds no picture")
        return sorted(found, key=lambda p: p.name)

    @staticmethod
    def _default(picture):
        array = np.asarray(picture.resize((256, 256), Image.Resampling.BILINEAR))
        return torch.from_numpy(array.transpose(2, 0, 1).copy()).float().div_(255)

    def _open(self, path):
        with Image.open(path) as picture:
            return reduce(lambda p, step: step(p), self.steps, picture.convert("RGB"))

    def __len__(self):
        return max(map(len, (self.a, self.b)))

    def __getitem__(self, index):
        b = choice(self.b) if self.unaligned else self.b[index % len(self.b)]
        return dict(A=self._open(self.a[index % len(self.a)]), B=self._open(b))


def generator_step(g_ab, g_ba, d_a, d_b, optimizer, real_a, real_b, weight_cycle=10.0, weight_identity=5.0):
    parts = {
        "gan": gan_loss(d_b(g_ab(real_a)), True) + gan_loss(d_a(g_ba(real_b)), True),
        "cycle": cycle_loss(g_ab, g_ba, real_a, real_b),
        "identity": identity_loss(g_ab, g_ba, real_a, real_b),
    }
    parts["loss"] = parts["gan"] + weight_cycle * parts["cycle"] + weight_identity * parts["identity"]
    result = {key: value.item() for key, value in parts.items()}
    optimizer.zero_grad()
    held = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    for p, grad in zip(held, torch.autograd.grad(parts["loss"], held, allow_unused=True)):
        p.grad = grad
    optimizer.step()
    return result
