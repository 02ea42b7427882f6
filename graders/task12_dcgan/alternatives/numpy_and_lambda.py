"""numpy where it is allowed, a discriminator that is a Sequential, initialisation by isinstance of a base."""

# It is appended to the solution, whose helpers it may use.

import numpy as np
from torch.nn.modules.conv import _ConvNd


class Discriminator(nn.Sequential):
    def __init__(self, nc=3, ndf=64):
        def block(inputs, outputs):
            return [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]

        super().__init__(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2),
            *block(ndf, 2 * ndf),
            *block(2 * ndf, 4 * ndf),
            *block(4 * ndf, 8 * ndf),
            nn.Conv2d(8 * ndf, 1, 4, bias=False),
            nn.Flatten(start_dim=0),
        )


def weights_init(module):
    if isinstance(module, _ConvNd):
        torch.nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        torch.nn.init.normal_(module.weight, mean=1.0, std=0.02)
        module.bias.data = torch.zeros_like(module.bias)


def resize_faces(images96):
    levels = np.array(images96).astype("float32")  # (N, 96, 96)
    scaled = torch.tensor(levels / 255 * 2 - 1)[:, None]
    return F.interpolate(scaled, size=64, mode="bilinear", antialias=True)


def sample(g, n, generator=None):
    device = next(g.parameters()).device
    nz = [p.shape[0] for p in g.parameters()][0]
    training = g.training
    with torch.no_grad():
        noise = torch.normal(0.0, 1.0, (n, nz, 1, 1), generator=generator)
        images = g.eval()(noise.to(device))
    return (g.train(), images)[1] if training else images
