"""One call seeds every generator, as their own functions do."""

import random

import numpy as np
import pytest
import torch

from torchgrade.grading.seeds import derive, secret
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


def test_what_seeds_a_worker_tells_nothing_of_what_makes_its_inputs():
    """Another name, another number, and no way from one to the other but the whole key of 128 bits."""
    key = secret()
    assert key.bit_length() <= 128
    assert max(secret().bit_length() for _ in range(64)) > 120
    names = [
        ("task10", "test_a", 0),
        ("worker", "task10", "test_a", 0),
        ("task10", "test_a", 1),
        ("task1", "0test_a", 0),
    ]
    drawn = [derive(key, *name) for name in names]
    assert len(set(drawn)) == len(names)
    assert all(0 <= seed < 1 << 63 for seed in drawn)
    assert derive(key, *names[0]) == drawn[0]
    changed = [bin(derive(key ^ (1 << bit), *names[0]) ^ drawn[0]).count("1") for bit in range(128)]
    assert 28 < sum(changed) / len(changed) < 35  # half of 63 bits: any bit of the key changes all of them
