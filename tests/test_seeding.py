"""One call seeds every generator, as their own functions do."""

import random

import numpy as np
import pytest
import torch

from torchgrade.seeding import seed_everything


@pytest.mark.parametrize("seed", [0, 7, (1 << 63) - 1])
def test_streams_are_those_of_each_librarys_own_seed(seed):
    def draw():
        return random.random(), np.random.rand(), torch.rand(3).tolist()

    seed_everything(seed)
    together = draw()
    random.seed(seed)
    np.random.seed(seed % (1 << 32))
    torch.manual_seed(seed)
    assert draw() == together
