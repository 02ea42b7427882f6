"""Right functions that take the place of wrong ones where a step is graded."""

from torch import nn


def discriminator_loss(d_real, d_fake):
    return nn.functional.softplus(-d_real).mean() + nn.functional.softplus(d_fake).mean()


def generator_loss(d_fake):
    return nn.functional.softplus(-d_fake).mean()
