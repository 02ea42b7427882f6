"""Task 12: a DCGAN that draws faces of 64x64.

A generator turns noise into images, a discriminator says how real an image looks, and each learns against the
other. You write both networks, their initialisation, the two losses, one correct training step, and the preparation
and sampling of images.

Conventions
- Images are (N, nc, 64, 64) float32 with values in [-1, 1]; noise is (N, nz, 1, 1) from a standard normal.
- The discriminator returns one *logit* per image, (N,) or (N, 1) or (N, 1, 1, 1), with no sigmoid at its end. A
  large logit means "real".
- Real images have label 1, drawn ones label 0. Losses are means over the batch.
- Kernels are 4x4, and no convolution has a bias.
- Nothing is printed.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Generator(nn.Module):
    """(N, nz, 1, 1) -> (N, nc, 64, 64) in [-1, 1].

    Five transposed convolutions: the first makes a map of 8*ngf channels and 4x4 cells, each of the others doubles
    height and width: 4*ngf, 2*ngf, ngf and at last nc channels. Batch normalisation and ReLU follow each but the
    last, Tanh follows the last.
    With nz=100, ngf=64, nc=3 it has 3,576,704 parameters.
    """

    def __init__(self, nz=100, ngf=64, nc=3):
        super().__init__()
        # TODO: make the layers.
        raise NotImplementedError

    def forward(self, z):
        # TODO: draw.
        raise NotImplementedError


class Discriminator(nn.Module):
    """(N, nc, 64, 64) -> one logit per image.

    Five convolutions: the first four halve height and width and have ndf, 2*ndf, 4*ndf and 8*ndf channels, the last
    makes one number of the 4x4 map. LeakyReLU with slope 0.2 follows each but the last; batch normalisation stands
    before it, but not after the first convolution.
    With nc=3, ndf=64 it has 2,765,568 parameters. An image smaller than 64x64 raises an error.
    """

    def __init__(self, nc=3, ndf=64):
        super().__init__()
        # TODO: make the layers.
        raise NotImplementedError

    def forward(self, x):
        # TODO: judge.
        raise NotImplementedError


def weights_init(module):
    """Initialise one module in place; used as ``net.apply(weights_init)``. Its parameters stay the same objects.

    Weights of nn.Conv2d and nn.ConvTranspose2d: normal with mean 0 and standard deviation 0.02. nn.BatchNorm2d:
    weight normal with mean 1 and standard deviation 0.02, bias 0. Fully connected layers stay as they are.
    """
    # TODO: tell the kinds apart and fill their parameters.
    raise NotImplementedError


def discriminator_loss(d_real, d_fake):
    """Binary cross entropy of the logits of real images against 1 plus that of drawn images against 0.

    The *sum* of the two means, a scalar. The logits come in any of the shapes that a discriminator may return, and
    there may be more of one kind than of the other. It stays finite for logits of any size, and has the gradient of
    the formula everywhere, at 0 too.
    """
    # TODO: two cross entropies.
    raise NotImplementedError


def generator_loss(d_fake):
    """The non-saturating loss: binary cross entropy of the logits of drawn images against 1, -log D(G(z)).

    A scalar, the mean over the batch, for logits in any of the shapes that a discriminator may return. It stays
    finite for logits of any size, and has the gradient of the formula everywhere, at 0 too.
    """
    # TODO: the generator wants its images to be taken for real.
    raise NotImplementedError


def train_step(g, d, opt_g, opt_d, real, noise):
    """One step of the discriminator, then one step of the generator against the discriminator just improved.

    g, d: the networks; opt_g, opt_d: an optimiser for the parameters of each. Both networks are put into training
    mode. real: images (N, nc, 64, 64), noise: (N, nz, 1, 1), on the device of the networks. Both steps use the images
    that are drawn from this noise. The discriminator judges the real images and the drawn ones in two calls, because
    its normalisation mixes what is in one batch. Gradients that something else left behind must not count in either
    step. The first step changes no parameter of the generator, the second none of the discriminator. A further call
    goes on with the same objects, so nothing may be left frozen; real and noise keep their values.

    Returns a dict of floats: loss_d and loss_g, the two losses; d_real and d_fake_before, the mean *probability*
    (sigmoid of the logit) that the discriminator gave to real and to drawn images in its step; d_fake_after, the mean
    probability of the drawn images in the generator's step, before that step is taken. Further keys do no harm.
    """
    # TODO: draw; judge and improve d on real and drawn images; judge the drawn ones again and improve g.
    raise NotImplementedError


def resize_faces(images96):
    """Grey faces for the GAN: uint8 (N, 96, 96), array or tensor, to float32 tensor (N, 1, 64, 64) in [-1, 1].

    Bilinear interpolation with antialiasing, corners not aligned; level 0 becomes -1, level 255 becomes 1. An error
    of one grey level is allowed, so the small images may be rounded to whole levels. The images keep their values.
    """
    # TODO: to float, resize, rescale.
    raise NotImplementedError


def sample(g, n, generator=None):
    """Draw n images (n, nc, 64, 64) in evaluation mode, without gradients; g is left in the mode in which it came.

    The noise is torch.randn of shape (n, nz, 1, 1) with ``generator`` as its source of chance (None: the global one);
    equal generators give equal images, and a further call draws other noise. nz is found from the first weight of g,
    which has shape (nz, ...). The noise is drawn on the CPU and moved to the device of g.
    """
    # TODO: noise, evaluation mode, draw, give the mode back.
    raise NotImplementedError
