"""Every check draws from its own seed, derived from the run's: alone, last or twice, it sees the same inputs."""

from __future__ import annotations

import hashlib
import hmac
import secrets

LEARNER_SEED = 7


def derive(seed: int, *names: object) -> int:
    """A 63-bit seed for what ``names`` name: HMAC-SHA256 (RFC 2104) of the names, with ``seed`` as its key.

    Who sees some of these numbers, as a submission sees those that seed its worker, learns nothing of any other one:
    to tell them from chance is to break the hash, and to find the key is to try all of them.
    """
    text = "\0".join(str(name) for name in names)
    return int.from_bytes(hmac.digest(str(seed).encode(), text.encode(), hashlib.sha256)[:8], "big") >> 1


def secret() -> int:
    """A seed of 128 bits, recorded in the result so that the verdict can be replayed; nobody can foresee or find it."""
    return secrets.randbits(128)
