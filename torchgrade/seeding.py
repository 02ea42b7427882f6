"""Seeding of every generator that a check or a submission draws from."""

from __future__ import annotations

import random

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed ``random``, NumPy (with the lower 32 bits) and torch.

    ``torch.manual_seed`` formats a stack for every kind of device that this torch lacks, which takes longer than many
    a check; without CUDA and MPS its CPU generator is all that a check draws from.
    """
    random.seed(seed)
    np.random.seed(seed % (1 << 32))
    if torch.backends.cuda.is_built() or torch.backends.mps.is_built():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
