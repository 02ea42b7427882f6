"""close, equal, shape, dtype: what passes, and the sentence that each kind of junk gets."""

import math

import numpy as np
import pytest
import torch

from torchgrade import expect
from torchgrade.errors import AuthoringError, Mismatch

X = torch.tensor([[0.5, -1.25, 3.0], [2.0, 0.125, -4.0]])
NAN = float("nan")


def mismatch(function, *args, **kwargs):
    with pytest.raises(Mismatch) as caught:
        function(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    "value",
    [
        X,
        X.double(),
        X.bfloat16(),
        X.half(),
        X.to(torch.complex64) * (1 + 2j),
        X > 0,
        X.to(torch.int64),
        torch.tensor([2**62, 2**62 + 1]),
        torch.tensor([1, 255], dtype=torch.uint8),
        torch.empty(0, 3),
        torch.tensor(2.5),
        torch.tensor([math.inf, -math.inf, 1.0]),
        torch.nn.Parameter(X),
        X.numpy(),
        X.numpy()[::-1, ::-1],
        X.numpy().astype(">f4"),
        np.array(["a", "b"]),
        np.array(3.5),
        np.zeros((0, 2)),
        0.25,
        7,
        True,
        "text",
        None,
        torch.float32,
        1 + 2j,
        [X, (0.5, {"a": X.numpy()})],
    ],
    ids=str,
)
def test_a_copy_passes(value):
    copy = value.clone() if isinstance(value, torch.Tensor) else value
    expect.close(copy, value)
    expect.equal(copy, value)


def test_the_report_names_both_values_the_place_and_the_tolerance():
    got = X.clone()
    got[1, 2] = -4.5
    got[0, 0] += 0.001

    found = mismatch(expect.close, got, X)

    assert found.expected == "-4.0 at [1, 2]  (rtol 1.3e-06, atol 1e-05)"
    assert found.got == "-4.5 at [1, 2]; 2 of 6 values differ, this one most"
    assert found.message == "2 of 6 values differ, by 0.5 at most"


def test_close_numbers_are_printed_with_the_digits_that_tell_them_apart():
    found = mismatch(expect.close, torch.tensor([1.0, 2.00001], dtype=torch.float64), torch.tensor([1.0, 2.0]).double())

    assert found.expected.startswith("2.0 at [1]")
    assert found.got.startswith("2.00001 at [1]")


@pytest.mark.parametrize(
    ("dtype", "inside", "outside"),
    [
        (torch.float64, 1e-7, 4e-7),
        (torch.float32, 1e-5, 4e-5),
        (torch.float16, 1e-3, 4e-3),
        (torch.bfloat16, 1.5e-2, 4e-2),
    ],
)
def test_the_tolerance_follows_the_dtype(dtype, inside, outside):
    truth = torch.ones(3, dtype=dtype) * 1.0
    expect.close((truth.double() + inside).to(dtype), truth)
    mismatch(expect.close, (truth.double() + outside).to(dtype), truth)


def test_integers_and_booleans_are_never_close():
    mismatch(expect.close, torch.tensor([1_000_000]), torch.tensor([1_000_001]))
    mismatch(expect.close, torch.tensor([2**62]), torch.tensor([2**62 + 1]))
    found = mismatch(expect.close, torch.tensor([True, False]), torch.tensor([True, True]))
    assert found.expected == "1 at [1]" or found.expected == "True at [1]"


def test_one_tolerance_alone_is_the_authors_mistake():
    with pytest.raises(AuthoringError, match="together"):
        expect.close(X, X, rtol=1e-3)
    with pytest.raises(AuthoringError, match="together"):
        expect.close(X, X, atol=1e-3)
    with pytest.raises(AuthoringError, match="0 or more"):
        expect.close(X, X, rtol=-1.0, atol=0.0)
    expect.close(X + 0.01, X, rtol=0.0, atol=0.02)


def test_nan_never_passes_unless_it_is_asked_for():
    holes = X.clone()
    holes[0, 1] = NAN
    found = mismatch(expect.close, holes, X)
    assert found.got == "nan at [0, 1]; 1 of 6 values are not a number (NaN)"
    mismatch(expect.close, holes, holes)
    mismatch(expect.equal, holes, holes)
    mismatch(expect.close, NAN, NAN)
    expect.close(holes, holes, equal_nan=True)
    expect.close(NAN, NAN, equal_nan=True)
    mismatch(expect.close, X, holes, equal_nan=True)


def test_infinities_pass_only_for_the_same_infinity():
    mismatch(expect.close, torch.tensor([math.inf]), torch.tensor([-math.inf]))
    mismatch(expect.close, torch.tensor([1e30]), torch.tensor([math.inf]))
    mismatch(expect.close, torch.tensor([math.inf]), torch.tensor([1e30]))
    mismatch(expect.close, 1e300, math.inf)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.int64])
def test_large_tensors_are_compared_to_the_last_value(dtype):
    expected = (torch.arange(100_000) % 7).to(dtype)
    got = expected.clone()
    got[-1] += 1
    for compare in (expect.close, expect.equal):
        assert "at [99999]; 1 of 100000 values differ" in mismatch(compare, got, expected).got
    if dtype is torch.int64:
        return
    expect.close(expected * (1 + 1e-7), expected, rtol=1e-6, atol=1e-6)
    for value in (math.nan, math.inf):
        got[-1] = value
        assert "at [99999]" in mismatch(expect.close, got, expected).got
    expected[-1] = math.inf
    expect.close(got, expected)
    got[-1] = 1.0
    assert "at [99999]" in mismatch(expect.close, got, expected).got


@pytest.mark.parametrize(
    ("got", "sentence"),
    [
        (None, "None: the call returned nothing"),
        (0.5, "0.5, not a tensor"),
        ([1.0, 2.0], "[1.0, 2.0], not a tensor"),
        ([X] * 20, "a list of length 20, not a tensor"),
        (X.numpy(), "a float32 array of shape [2, 3], not a tensor"),
        ("x" * 500, "not a tensor"),
        (object(), "an object object, not a tensor"),
        (X.double(), "a float64 tensor of shape [2, 3]"),
        (X.T, "a float32 tensor of shape [3, 2]"),
        (X[:0], "a float32 tensor of shape [0, 3]"),
        (torch.tensor(1.5), "a float32 tensor holding 1.5"),
        (X.to("meta"), "a tensor on meta"),
        (X.to_sparse(), "a tensor of layout sparse_coo"),
    ],
    ids=range(13),
)
def test_other_things_than_the_tensor_asked_for(got, sentence):
    found = mismatch(expect.close, got, X)

    assert sentence in found.got
    assert len(found.got) < 120
    assert found.message


def test_arrays_meet_arrays():
    array = X.numpy()
    assert "not a numpy array" in mismatch(expect.close, X, array).got
    assert mismatch(expect.close, array.astype("f8"), array).got == "a float64 array of shape [2, 3]"
    assert mismatch(expect.close, array[:1], array).got == "a float32 array of shape [1, 3]"
    assert mismatch(expect.close, array + 1, array).got.endswith("6 of 6 values differ, this one most")
    mismatch(expect.equal, array.astype(">f4"), array)
    assert mismatch(expect.equal, np.array(["a"]), np.array(["b"])).got == "an array with other values"
    mismatch(expect.equal, np.array([None, 1]), np.array([None, 2]))


def test_a_float_is_a_number_and_no_tensor():
    expect.close(np.float32(0.5), 0.5)
    expect.close(1, 1.0)
    assert "not a Python number" in mismatch(expect.close, torch.tensor(0.5), 0.5).got
    assert mismatch(expect.close, None, 0.5).got == "None: the call returned nothing"
    assert mismatch(expect.close, True, 1.0).got == "True (a bool)"
    assert mismatch(expect.close, 1 + 0j, 1.0).got == "1+0j (a complex)"
    assert mismatch(expect.close, 0.75, 0.5).expected == "0.5  (rtol 1e-07, atol 1e-07)"
    mismatch(expect.close, 10**400, 0.5)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (832.0, 832),
        (True, 1),
        (1, True),
        (0, False),
        ((1, 2), [1, 2]),
        ([1, 2], (1, 2)),
        ("832", 832),
        (torch.tensor(832), 832),
        (831, 832),
        (None, 832),
        (10**5000, 832),
        ({"a": 1}, {"a": 1.0}),
        (torch.float64, torch.float32),
        ("abc", "abd"),
        (None, "abd"),
        (0.1 + 0.2, 0.3),
    ],
    ids=range(16),
)
def test_equal_is_exact(got, expected):
    found = mismatch(expect.equal, got, expected)
    assert found.expected != found.got
    assert len(found.got) < 120


def test_equal_takes_numpys_numbers_and_torch_sizes():
    expect.equal(np.int64(832), 832)
    expect.equal(X.shape, (2, 3))
    expect.equal(np.bool_(True), True)


def test_because_explains_the_expected_value():
    found = mismatch(expect.equal, 800, 832, because="32 filters × (25 weights + 1 bias)")
    assert found.expected == "832: 32 filters × (25 weights + 1 bias)"


def test_nested_values_are_named_by_their_place():
    truth = {"w": X, "history": [0.5, 0.25]}
    found = mismatch(expect.close, {"w": X, "history": [0.5, 0.75]}, truth)
    assert found.got == "key 'history': item [1]: 0.75"
    assert mismatch(expect.close, {"w": X, "history": [0.5]}, truth).got == "key 'history': a list of length 1: 0.5"
    found = mismatch(expect.close, {"w": X, "hist": 1}, truth)
    assert (found.expected, found.got) == ("the key 'history'", "without 'history' and with 'hist' besides")
    assert mismatch(expect.close, [X], truth).got.endswith("not a dict")
    assert mismatch(expect.close, truth | {"b": 1}, truth).expected == "no other keys"
    assert mismatch(expect.close, X, [X]).got.endswith("not a list")
    expect.close([X, 0.5], (X, 0.5))


def test_the_first_likely_value_that_fits_is_named():
    likely = {"the sum is not divided": X.sum(), "the sign is turned": -X.mean()}
    assert mismatch(expect.close, -X.mean(), X.mean(), likely=likely).likely == "the sign is turned"
    assert mismatch(expect.close, X.mean() + 1, X.mean(), likely=likely).likely is None
    assert mismatch(expect.close, None, X, likely={"nothing is returned": None}).likely == "nothing is returned"
    assert mismatch(expect.equal, 800, 832, likely={"no bias": 800}).likely == "no bias"
    assert mismatch(expect.close, X.double(), X, likely={"it is float64": X.double()}).likely == "it is float64"


def test_given_is_passed_on():
    assert mismatch(expect.close, 1.5, 2.5, given="x = 3").given == "x = 3"


def test_shape():
    expect.shape(X, (2, 3))
    expect.shape(X.numpy(), (2, 3))
    expect.shape(X, (2, None))
    expect.shape(torch.tensor(1.0), ())
    found = mismatch(expect.shape, X, (3, None), likely={"rows and columns are swapped": (2, 3)})
    assert (found.expected, found.got, found.likely) == ("[3, *]", "[2, 3]", "rows and columns are swapped")
    mismatch(expect.shape, X, (2, 3, 1))
    assert mismatch(expect.shape, [1], (1,)).got == "[1], not a tensor"
    assert mismatch(expect.shape, None, (1,)).got == "None: the call returned nothing"


def test_dtype():
    expect.dtype(X, torch.float32)
    expect.dtype(X.numpy(), np.float32)
    expect.dtype(X.numpy(), np.dtype("float32"))
    found = mismatch(expect.dtype, X, torch.float64, likely={"it stays float32": torch.float32})
    assert (found.expected, found.got, found.likely) == ("float64", "float32", "it stays float32")
    assert mismatch(expect.dtype, X.numpy(), torch.float32).expected == "a tensor of dtype float32"
    assert mismatch(expect.dtype, X, np.float32).expected == "an array of dtype float32"
    assert mismatch(expect.dtype, X.numpy(), np.float64).got == "float32"
    assert mismatch(expect.dtype, 1.0, torch.float32).got == "1.0, which has no dtype"


def test_an_expected_tensor_on_meta_is_the_authors_mistake():
    with pytest.raises(AuthoringError, match=r"expect\.shape"):
        expect.close(X.to("meta"), X.to("meta"))


def test_no_whole_tensor_is_ever_printed():
    big = torch.arange(1000.0)
    found = mismatch(expect.close, big + 1, big, likely={"a": big})
    assert len(found.expected) + len(found.got) < 200


def test_a_sequence_of_another_length_shows_what_it_holds():
    """Both lengths, the first items of both, and where they part."""
    with pytest.raises(Mismatch) as caught:
        expect.equal([3, 4, 5, 6, 7, 8], [3, 4])
    assert caught.value.expected == "a list of length 2: 3, 4"
    assert caught.value.got == "a list of length 6: 3, 4, 5, 6, …"
    assert caught.value.message == "the length is another"
    with pytest.raises(Mismatch) as caught:
        expect.equal(["weight"], [])
    assert (caught.value.expected, caught.value.got) == ("an empty list", "a list of length 1: 'weight'")
    with pytest.raises(Mismatch) as caught:
        expect.equal((1, 2, 4), (1, 3))
    assert caught.value.expected == "a tuple of length 2: 1, 3; item [1] is 3"


def test_integers_beyond_what_a_float_holds_are_told_apart():
    large = torch.tensor([2**53 + 1, 5])
    found = mismatch(expect.close, torch.tensor([2**53, 5]), large, rtol=0, atol=0)
    assert found.message == "1 of 2 values differ, by 1 at most"
    assert found.expected == "9007199254740993 at [0]"


def test_an_expected_nan_is_not_counted_as_wrong():
    truth = torch.tensor([float("nan"), 1.0, 2.0])
    with pytest.raises(Mismatch) as caught:
        expect.close(torch.tensor([float("nan"), 1.0, 3.0]), truth, equal_nan=True)
    assert caught.value.message == "1 of 3 values differ, by 1 at most"
    with pytest.raises(Mismatch) as caught:
        expect.close(torch.tensor([float("nan"), float("nan"), 2.0]), truth, equal_nan=True)
    assert caught.value.message == "1 of 3 values are not a number (NaN)"


def test_a_difference_of_rounding_has_the_word_for_it():
    truth = torch.randn(50, dtype=torch.float64) + 3
    with pytest.raises(Mismatch, match="a matter of precision") as caught:
        expect.close(truth.float().double(), truth, rtol=1e-12, atol=1e-12)
    assert "precision" in caught.value.message
    with pytest.raises(Mismatch) as caught:
        expect.close(truth * (1 + 1e-5), truth, rtol=1e-12, atol=1e-12)
    assert "precision" not in caught.value.message


@pytest.mark.parametrize("shape", [(9, 2), (2, 9), (1, 1), (4,), (2, 2, 2)])
def test_only_small_matrices_are_shown_whole(shape):
    with pytest.raises(Mismatch) as caught:
        expect.close(torch.ones(shape), torch.zeros(shape))
    assert caught.value.table == ""


def test_a_small_matrix_is_shown_beside_the_expected_one_with_its_marks():
    """Also where it is an array, holds integers, or lies in float16."""
    for kind in (torch.float16, torch.int64):
        with pytest.raises(Mismatch) as caught:
            expect.equal(torch.tensor([[1, 5], [3, 4]], dtype=kind), torch.tensor([[1, 2], [3, 4]], dtype=kind))
        lines = [line.split() for line in caught.value.table.splitlines()]
        assert lines[0] == ["expected", "got", "(*", "differs)"]
        assert [[cell.removesuffix(".0") for cell in line] for line in lines[2:]] == [["3", "4", "3", "4"]]
        assert [cell for line in lines[1:] for cell in line if "*" in cell] == [
            "5.0*" if kind is torch.float16 else "5*"
        ]
    with pytest.raises(Mismatch) as caught:
        expect.close(np.eye(2), np.zeros((2, 2)))
    assert caught.value.table.count("1.0*") == 2
    with pytest.raises(Mismatch) as caught:
        expect.close([torch.ones(2), torch.eye(2), torch.ones(2, 2)], [torch.ones(2), *torch.zeros(2, 2, 2)])
    assert caught.value.expected.startswith("item [1]: 0.0")
    assert caught.value.table.count("1.0*") == 2, "of a list the first item that differs"
