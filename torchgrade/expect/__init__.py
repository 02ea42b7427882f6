"""Expectations: what a check asks of a value. Each raises a Mismatch that says expected, got and likely."""

from torchgrade.expect.agreement import agrees
from torchgrade.expect.autograd import gradient_flow, gradients
from torchgrade.expect.behaviour import (
    accuracy,
    between,
    converges,
    no_grad_leak,
    not_mutated,
    raises,
    true,
)
from torchgrade.expect.compare import close, dtype, equal, shape
from torchgrade.expect.execution import follows_device, portable, vectorised
from torchgrade.expect.likely import Proving, proving
from torchgrade.expect.modules import instance, parameters, starts_like, state_dict_keys
from torchgrade.expect.records import record
from torchgrade.expect.rules import avoids
from torchgrade.expect.training import moves_only, restores_mode

__all__ = [
    "Proving",
    "accuracy",
    "agrees",
    "avoids",
    "between",
    "close",
    "converges",
    "dtype",
    "equal",
    "follows_device",
    "gradient_flow",
    "gradients",
    "instance",
    "moves_only",
    "no_grad_leak",
    "not_mutated",
    "parameters",
    "portable",
    "proving",
    "raises",
    "record",
    "restores_mode",
    "shape",
    "starts_like",
    "state_dict_keys",
    "true",
    "vectorised",
]
