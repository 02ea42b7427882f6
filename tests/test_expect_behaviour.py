"""Expectations about what code does: raising, arguments, histories, accuracy, graphs, registered state."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from torchgrade import expect
from torchgrade.errors import AuthoringError, Mismatch, SubmissionRaised, TimedOut

X = torch.tensor([[0.5, -1.25], [2.0, 0.125]])


def found(function, *args, **kwargs):
    """What the mismatch says that this call raises."""
    with pytest.raises(Mismatch) as caught:
        function(*args, **kwargs)
    return caught.value


def test_true():
    expect.true(X.sum() > 0, expected="a positive sum", got="another")
    mismatch = found(expect.true, False, "a sum", "none", likely={"a": False, "b": True, "c": True}, given="g")
    assert (mismatch.expected, mismatch.got, mismatch.likely, mismatch.given) == ("a sum", "none", "b", "g")


def test_between():
    expect.between(0.5, 0.5, 1)
    expect.between(torch.tensor(3), 1, 3)
    mismatch = found(expect.between, 9.25, 0, 5, unit="px", likely={"the scale is missing": 9.25})
    assert (mismatch.expected, mismatch.got) == ("0 to 5 px", "9.25 px")
    assert mismatch.likely == "the scale is missing"
    assert found(expect.between, math.nan, 0, 1).got == "nan"
    assert found(expect.between, None, 0, 1).got == "None: the call returned nothing"
    assert found(expect.between, X, 0, 1).got.endswith("not a number")
    assert found(expect.between, True, 0, 1).got == "True, not a number"
    with pytest.raises(AuthoringError):
        expect.between(1, 2, 1)


def fault(*names, text="bad mode"):
    def raising(*args, **kwargs):
        raise SubmissionRaised(names, text)

    return raising


def test_raises():
    expect.raises(("ValueError", "RuntimeError"), fault("MyError", "ValueError", "Exception"), 1, mode="x")
    expect.raises(ValueError, fault("ValueError", "Exception"))
    expect.raises("LookupError", lambda: [][0])
    mismatch = found(expect.raises, (ValueError, "TypeError"), lambda: X)
    assert mismatch.expected == "ValueError or TypeError"
    assert mismatch.got == "no error; the call returned a float32 tensor of shape [2, 2]"
    expect.raises("RuntimeError", fault("NotImplementedError", "RuntimeError", text="not implemented for 'Long'"))
    mismatch = found(expect.raises, "ValueError", fault("TypeError", "Exception", text="no\nsecond line"))
    assert mismatch.got == "TypeError: no"


def test_raises_passes_on_what_is_no_answer():
    with pytest.raises(SubmissionRaised):
        expect.raises("RuntimeError", fault("NotImplementedError", "RuntimeError", "Exception", text=""))
    with pytest.raises(ZeroDivisionError):
        expect.raises("ValueError", lambda: 1 / 0)

    def late():
        raise TimedOut(3)

    with pytest.raises(TimedOut):
        expect.raises("ValueError", late)


def test_converges():
    expect.converges([3.0, 1.0, 0.5])
    expect.converges([3.0, 0.1, 0.5], to=0.5, within=2, length=3)
    expect.converges((np.float32(2), 1), to=1)
    mismatch = found(expect.converges, [3.0, 1.0], to=0.5)
    assert (mismatch.expected, mismatch.got) == (
        "a last value of 0.5 or less",
        "1.0 after 2 values, 3.0 at first",
    )
    assert found(expect.converges, [3.0, 3.0]).expected == "a last value below the first, 3.0"
    assert found(expect.converges, [3.0]).message == "it does not come down far enough"
    assert found(expect.converges, [3.0, math.nan, 0.1], to=1).got == "nan at step 1"
    assert found(expect.converges, [3.0, math.inf, 0.1], to=1).got == "inf at step 1"
    assert found(expect.converges, [3.0, 2.0, 0.1], to=1, within=2).got == "only after 3"
    assert found(expect.converges, [3.0, 2.0], to=1, length=3).got == "2 values"
    assert found(expect.converges, [], to=1).got == "an empty list"
    assert found(expect.converges, None, to=1).got == "None: the call returned nothing"
    assert found(expect.converges, X[0], to=1).got.endswith("not a list")
    assert found(expect.converges, [1.0, X.sum()], to=1).got.startswith("a float32 tensor holding")
    with pytest.raises(AuthoringError, match="to="):
        expect.converges([1.0], within=3)


def test_accuracy():
    labels = torch.tensor([0, 1, 2, 1])
    logits = torch.eye(3)[labels] * 4
    expect.accuracy(logits, labels, 1.0)
    wrong = logits.clone()
    wrong[0] = torch.tensor([0.0, 9.0, 0.0])
    expect.accuracy(wrong, labels, 0.75)
    mismatch = found(expect.accuracy, wrong, labels, 0.8, likely={"shifted": torch.tensor([1, 1, 2, 1])})
    assert (mismatch.expected, mismatch.got) == ("an accuracy of 0.800 or more", "0.750 (3 of 4)")
    assert mismatch.likely == "shifted"
    assert "4 rows hold NaN" in found(expect.accuracy, logits * math.nan, labels, 0.2).got
    assert found(expect.accuracy, logits[:, :2], labels, 0.2).got == "a float32 tensor of shape [4, 2]"
    assert found(expect.accuracy, logits[:2], labels, 0.2).expected == (
        "a tensor of shape [4, classes], at least 3 of them"
    )
    assert found(expect.accuracy, labels, labels, 0.2).got == "an int64 tensor of shape [4]"
    assert found(expect.accuracy, None, labels, 0.2).got == "None: the call returned nothing"


def test_no_grad_leak():
    w = X.clone().requires_grad_()
    expect.no_grad_leak([0.5, {"loss": X}, None])
    assert found(expect.no_grad_leak, [0.5, w.sum()]).got == "a tensor that requires grad in [1]"
    assert found(expect.no_grad_leak, {"loss": [w]}).got == "a tensor that requires grad in ['loss'][0]"
    assert found(expect.no_grad_leak, w.sum()).got == "a tensor that requires grad"


def test_parameters():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4, 2))
    expect.parameters(net, total=50, shapes=[(2, 4), (4,), (2,), (4, 1, 3, 3)])
    mismatch = found(expect.parameters, net, 46, likely={"there is a bias too many": 50})
    assert (mismatch.expected, mismatch.got) == ("46 parameters", "50 parameters")
    assert mismatch.likely == "there is a bias too many"
    mismatch = found(expect.parameters, net, shapes=[(4, 2), (4,), (2,), (4, 1, 3, 3)])
    assert (mismatch.expected, mismatch.got) == ("parameters of shape [4, 2]", "[2, 4] in their place")
    assert found(expect.parameters, net, shapes=[(2, 4), (4,), (2,)]).got == "[4, 1, 3, 3] besides"
    mismatch = found(expect.parameters, net, shapes=[(2, 4), (4,), (2,), (4, 1, 3, 3), (2,), (2,)])
    assert (mismatch.expected, mismatch.got) == ("parameters of shape 2 × [2]", "none of that shape")
    mismatch = found(expect.parameters, net, 48, shapes=[(2, 4), (4,), (4, 1, 3, 3)])
    assert (mismatch.expected, mismatch.got) == ("48 parameters; no other parameters", "50 parameters; [2] besides")
    assert found(expect.parameters, None, 3).got == "None"
    assert found(expect.parameters, X, 3).expected == "a torch.nn.Module"


def started(change):
    """A maker of linear layers whose parameters ``change`` overwrites."""

    def make():
        layer = nn.Linear(64, 20)
        with torch.no_grad():
            change(layer)
        return layer

    return make


def test_starts_like():
    def right():
        return nn.Linear(64, 20)

    expect.starts_like(right, right)
    expect.starts_like(lambda: nn.LayerNorm(20), lambda: nn.LayerNorm(20))
    for change in (
        lambda layer: nn.init.xavier_uniform_(layer.weight),
        lambda layer: nn.init.normal_(layer.weight, std=0.02),
        lambda layer: layer.bias.zero_(),
        lambda layer: layer.weight.mul_(1.3),
        lambda layer: layer.weight.abs_(),
    ):
        found_one = found(expect.starts_like, started(change), right)
        assert "with a standard deviation of" in found_one.got
    fixed = right().state_dict()
    same = found(expect.starts_like, started(lambda layer: layer.load_state_dict(fixed)), right)
    assert same.got == "the same numbers in two of them"
    assert found(expect.starts_like, lambda: nn.Linear(64, 20, bias=False), right).got == "none of that shape"


def test_state_dict_keys():
    net = nn.BatchNorm2d(3)
    keys = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    expect.state_dict_keys(net, keys)
    mismatch = found(expect.state_dict_keys, net, [*keys, "gamma"])
    assert (mismatch.expected, mismatch.got) == ("the key 'gamma'", "without 'gamma'")
    assert found(expect.state_dict_keys, net, keys[:3]).got == "with 'running_var', 'num_batches_tracked' besides"
