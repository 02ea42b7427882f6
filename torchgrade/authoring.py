"""The one module that a suite imports: the check decorator, the expectations and the probes."""

from torchgrade import expect
from torchgrade.checks import CheckSpec, check
from torchgrade.isolation.probes import (
    buffers,
    feature_maps,
    modes_seen,
    parameter_count,
    registered_parameters,
)

__all__ = [
    "CheckSpec",
    "buffers",
    "check",
    "expect",
    "feature_maps",
    "modes_seen",
    "parameter_count",
    "registered_parameters",
]
