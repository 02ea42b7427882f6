"""While a suite is proven, expectations refuse what could not fail; otherwise they do not look."""

import numpy as np
import pytest
import torch

from torchgrade import expect
from torchgrade.errors import AuthoringError, Mismatch
from torchgrade.expect import proving

X = torch.tensor([[0.5, -1.25, 3.0], [2.0, 0.125, -4.0]])


@pytest.fixture
def proof():
    with proving(lambda: [X]) as proof:
        yield proof


@pytest.mark.parametrize(
    ("value", "junk"),
    [
        (torch.zeros(2, 2), "zeros"),
        (torch.full((3,), 1e-7), "zeros"),
        (torch.ones(2, 2), "ones"),
        (torch.ones(4, dtype=torch.bool), "ones"),
        (torch.full((5,), 0.37), "a constant"),
        (torch.full((5,), 7), "a constant"),
        (X.clone(), "an input of the call"),
        (np.zeros(4), "zeros"),
        (np.full(4, 2.5), "a constant"),
        (torch.tensor(0.0), "zeros"),
        (torch.tensor([1.0]), "ones"),
        (0.0, "zeros"),
        (1.0, "ones"),
        ((torch.zeros(3), {"b": 0.0}), "zeros"),
        ([X, X.clone()], "an input of the call"),
    ],
    ids=range(15),
)
def test_an_expected_value_that_junk_satisfies_is_refused(proof, value, junk):
    with pytest.raises(AuthoringError, match=junk):
        expect.close(value, value)
    with pytest.raises(AuthoringError, match="trivial"):
        expect.close(None, value)
    expect.close(value, value, trivial="a ReLU of negative numbers")


@pytest.mark.parametrize(
    "value",
    [
        X + 1,
        X.double(),
        torch.tensor(0.37),
        0.37,
        0,
        1,
        True,
        "text",
        (torch.zeros(3), 0.5),
        (torch.zeros(3), torch.ones(3)),
        torch.empty(0),
        [0, 1],
    ],
    ids=range(12),
)
def test_other_values_pass(proof, value):
    expect.close(value, value)


def test_equal_refuses_as_well(proof):
    with pytest.raises(AuthoringError, match="zeros"):
        expect.equal(torch.zeros(3), torch.zeros(3))
    expect.equal(torch.zeros(3), torch.zeros(3), trivial="padding")


def test_a_reason_is_not_blank(proof):
    with pytest.raises(AuthoringError, match="says nothing"):
        expect.close(X + 1, X + 1, trivial=" ")


def test_likely_values_differ_from_the_truth_and_from_each_other(proof):
    with pytest.raises(AuthoringError, match="passes as the truth"):
        expect.close(X + 1, X + 1, likely={"off by little": X + 1 + 1e-7})
    with pytest.raises(AuthoringError, match="the same value"):
        expect.close(X + 1, X + 1, likely={"one": X + 2, "other": X + 2})
    with pytest.raises(AuthoringError, match="passes as the truth"):
        expect.shape(X, (2, 3), likely={"the same": (2, 3)})
    with pytest.raises(AuthoringError, match="full stop"):
        expect.close(X + 1, X + 1, likely={"a sentence.": X})
    with pytest.raises(AuthoringError, match="blank"):
        expect.true(True, "a", "b", likely={" ": False})


def test_sentences_are_gathered(proof):
    expect.close(X + 1, X + 1, likely={"one": X + 2, "two": X + 3})
    expect.between(0.5, 0.1, 0.9, likely={"three": 0.95})
    assert proof.sentences == ["one", "two", "three"]


def test_nothing_is_refused_outside():
    expect.close(torch.zeros(3), torch.zeros(3), likely={"same.": torch.zeros(3)})
    with proving(list):
        pass
    expect.close(torch.zeros(3), torch.zeros(3))
    with pytest.raises(Mismatch):
        expect.close(torch.ones(3), torch.zeros(3))
