"""Module lists walked by forward, logits of shape (N, 1, 1, 1), numpy on the way to the small images."""

# It is appended to the solution, whose helpers it may use.

import numpy as np


class Generator(nn.Module):
    def __init__(self, nz=100, ngf=64, nc=3):
        super().__init__()
        widths = [nz] + [ngf * factor for factor in (8, 4, 2, 1)] + [nc]
        self.ups = nn.ModuleList()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:-1])
        for number in range(5):
            stride, padding = (1, 0) if number == 0 else (2, 1)
            self.ups.append(nn.ConvTranspose2d(widths[number], widths[number + 1], 4, stride, padding, bias=False))

    def forward(self, z):
        for up, norm in zip(self.ups, self.norms, strict=False):
            z = F.relu(norm(up(z)), inplace=True)
        return torch.tanh(self.ups[-1](z))


class Discriminator(nn.Module):
    def __init__(self, nc=3, ndf=64):
        super().__init__()
        self.first = nn.Conv2d(nc, ndf, (4, 4), (2, 2), (1, 1), bias=False)
        self.second = nn.Conv2d(ndf, 2 * ndf, 4, 2, 1, bias=False)
        self.third = nn.Conv2d(2 * ndf, 4 * ndf, 4, 2, 1, bias=False)
        self.fourth = nn.Conv2d(4 * ndf, 8 * ndf, 4, 2, 1, bias=False)
        self.last = nn.Conv2d(8 * ndf, 1, 4, bias=False)
        self.norm2, self.norm3, self.norm4 = (nn.BatchNorm2d(factor * ndf) for factor in (2, 4, 8))

    def forward(self, x):
        x = leak(self.first(x))
        x = leak(self.norm2(self.second(x)))
        x = leak(self.norm3(self.third(x)))
        return self.last(leak(self.norm4(self.fourth(x))))


def leak(x):
    return torch.where(x > 0, x, 0.2 * x)


def weights_init(module):
    kind = type(module).__name__
    if "Conv" in kind:
        module.weight.data.normal_(0.0, 0.02)
    elif "BatchNorm" in kind:
        module.weight.data.normal_(1.0, 0.02)
        module.bias.data.fill_(0)


def resize_faces(images96):
    array = np.asarray(images96, dtype=np.float32)[:, None] / 255
    small = F.interpolate(torch.from_numpy(array), scale_factor=2 / 3, mode="bilinear", antialias=True)
    return small.clamp(0, 1).sub(0.5).div(0.5)


def sample(g, n, generator=None):
    parameters = list(g.parameters())
    noise = torch.randn((n, parameters[0].size(0), 1, 1), generator=generator).to(parameters[0].device)
    mode = g.training
    try:
        with torch.inference_mode():
            return g.train(False)(noise).clone()
    finally:
        g.train(mode)
