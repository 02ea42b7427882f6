"""Expectations: what a check asks of a value. Each raises a Mismatch that says expected, got and likely."""

from torchgrade.expect.agreement import agrees
from torchgrade.expect.autograd import gradient_flow, gradients
from torchgrade.expect.behaviour import (
    accuracy,
    between,
    converges,
    no_grad_leak,
    not_mutated,
    one_device,
    raises,
    true,
)
from torchgrade.expect.compare import close, dtype, equal, shape
from torchgrade.expect.likely import Proof, proving
from torchgrade.expect.modules import parameters, state_dict_keys
from torchgrade.expect.rules import avoids

__all__ = [
    "Proof",
    "accuracy",
    "agrees",
    "avoids",
    "between",
    "close",
    "converges",
    "dtype",
    "equal",
    "gradient_flow",
    "gradients",
    "no_grad_leak",
    "not_mutated",
    "one_device",
    "parameters",
    "proving",
    "raises",
    "shape",
    "state_dict_keys",
    "true",
]
