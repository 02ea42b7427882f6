"""Expectations: what a check asks of a value. Each raises a Mismatch that says expected, got and likely."""

from torchgrade.expect.compare import close, dtype, equal, shape
from torchgrade.expect.likely import Proof, proving

__all__ = ["Proof", "close", "dtype", "equal", "proving", "shape"]
