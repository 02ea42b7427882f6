"""Checks for task 01: tensors and NumPy arrays.

Memory is watched by writing into it, in ``probes.py``; values are compared with tensors built from
Python lists, which cannot share anything with the arrays that they came from.
"""

import numpy as np
import torch

from torchgrade.authoring import LAYOUTS, check, expect, grid, kit

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
}


SHARED = ("uint8", "int8", "bool", "float16", "complex64")


def random_array(dtype="float64", shape=(3, 4)):
    """Numbers of that dtype, 0 and 1 among them."""
    numbers = (torch.rand(shape, dtype=torch.float64) * 100).numpy()
    if dtype == "bool":
        numbers = numbers > 50
    numbers.flat[:2] = (0, 1)
    return numbers.astype(dtype)


def other_values(array, way=1):
    """Other values of the same dtype; those of two ways differ, too."""
    if array.dtype == bool:
        return array ^ (np.arange(array.size).reshape(array.shape) % (way + 1) == 0)
    return array + array.dtype.type(way + 1)


def random_image(*shape):
    """uint8 pixels, black and white among them."""
    image = torch.randint(0, 256, shape, dtype=torch.uint8).numpy()
    image.flat[:2] = (0, 255)
    return image


def copied(array, dtype=None):
    """A tensor with the values of the array, made of Python numbers."""
    return torch.tensor(array.tolist(), dtype=dtype or DTYPES[array.dtype.newbyteorder("=").name])


def planes(image):
    """The oracle of to_model_input, float64: (H, W, C) -> (1, C, H, W), one channel after the other."""
    pixels = copied(image, torch.float64)
    return torch.stack([pixels[:, :, channel] for channel in range(image.shape[2])])[None]


@check("numpy_to_tensor turns np.ones((3, 3)) into float64 ones", points=1, category="values")
def test_ones(submission):
    expect.close(
        submission.numpy_to_tensor(np.ones((3, 3))),
        torch.ones(3, 3, dtype=torch.float64),
        trivial="the task names exactly this array; test_dtypes compares random ones",
        likely={"torch.Tensor(array) casts to float32": torch.ones(3, 3)},
        given="np.ones((3, 3))",
    )


@check("numpy_to_tensor keeps values, dtype and shape", points=2, category="values", after=test_ones)
def test_dtypes(submission):
    for dtype in DTYPES:
        array = random_array(dtype)
        narrow = {"int64 is narrowed to int32": copied(array, torch.int32)} if dtype == "int64" else None
        given = f"a {dtype} array of shape (3, 4)"
        expect.close(submission.numpy_to_tensor(array), copied(array), likely=narrow, given=given)

    for shape in [(), (0, 3), (2, 1, 3)]:
        array = random_array(shape=(6,))[: np.prod(shape, dtype=int)].reshape(shape)
        tensor = submission.numpy_to_tensor(array)
        expect.shape(tensor, shape, given=f"a float64 array of shape {shape}")
        expect.dtype(tensor, torch.float64, given=f"a float64 array of shape {shape}")
        expect.equal(tensor.tolist(), array.tolist(), trivial="a shape without axes, or without values")


@check("numpy_to_tensor shares the memory of the array", points=2, category="values", after=test_ones)
def test_sharing(submission):
    layouts = {
        "a plain (3, 4) array": random_array(),
        "a transposed (4, 3) array": random_array(shape=(3, 4)).T,
        "every second row of an array": random_array("int32", (6, 4))[::2],
        "two columns of an array": random_array("float32", (3, 4))[:, 1:3],
        "an array without axes": random_array()[1, 2, ...],
        **{f"a {dtype} array of shape (3, 4)": random_array(dtype) for dtype in SHARED},
    }
    for given, array in layouts.items():
        before = copied(array)
        first = np.asarray(other_values(array))  # without axes, a sum is no array
        second = np.asarray(other_values(array, 2))
        shown = submission.probes.writes_seen(submission.numpy_to_tensor, array, first, copied(second))
        expect.close(
            shown["result"],
            copied(first),
            likely={"the tensor is a copy, not a view of the array": before},
            given=f"{given}, written to after the call",
        )
        expect.close(shown["source"], second, given=f"{given}; the tensor is written to")
    array = np.lib.stride_tricks.as_strided(random_array(), (3,), (0,))
    first = array + 2
    shown = submission.probes.writes_seen(submission.numpy_to_tensor, array, first, None)
    expect.close(
        shown["result"],
        copied(first),
        likely={"the tensor is a copy, not a view of the array": copied(array)},
        given="one number that stands for three, strides (0,), written to after the call",
        trivial="it is the same number three times",
    )


@check(
    "numpy_to_tensor copies what torch cannot describe", points=1, category="robustness", after=test_dtypes, hidden=True
)
def test_awkward_arrays(submission):
    for given, array in awkward_arrays().items():
        expect.close(submission.numpy_to_tensor(array), copied(array), given=given)
    for given, array in empty_arrays().items():
        expect_empty(submission.numpy_to_tensor(array), array, given)
    bare = random_array()[1, 2, ...]
    bare.flags.writeable = False
    expect.close(submission.numpy_to_tensor(bare), copied(bare), given="a read-only array without axes")


def awkward_arrays():
    return {
        "a reversed array, a[::-1]": random_array()[::-1],
        "a mirrored array, a[:, ::-1]": random_array("int32")[:, ::-1],
        "a big-endian float64 array": random_array(">f8"),
        "a big-endian int32 array": random_array(">i4", (5,)),
        "a big-endian int64 array of numbers beyond 2**53": beyond_floats().astype(">i8"),
        "a big-endian complex128 array": (random_array() + 2j * random_array()).astype(">c16"),
        "a reversed array of True and False": random_array("bool")[::-1],
        "a reversed big-endian float32 array": random_array(">f4")[:, ::-1],
    }


def beyond_floats():
    """Odd int64 numbers of both signs, which float64 cannot hold."""
    return 2 * torch.randint(2**53, 2**61, (3, 4)).numpy() * np.array([1, -1, 1, -1]) + 1


def empty_arrays():
    read_only = np.zeros((3, 0, 2), np.float32)
    read_only.flags.writeable = False
    return {
        "an empty big-endian array of shape (0, 3)": np.zeros((0, 3), ">f8"),
        "an empty read-only array of shape (3, 0, 2)": read_only,
    }


def expect_empty(tensor, array, given, dtype=None):
    expect.shape(tensor, array.shape, given=given)
    expect.dtype(tensor, dtype or DTYPES[array.dtype.newbyteorder("=").name], given=given)


@check(
    "numpy_to_tensor keeps writes away from a read-only array",
    points=1,
    category="robustness",
    after=test_sharing,
    hidden=True,
)
def test_read_only(submission):
    array = random_array()
    array.flags.writeable = False
    other = array + 1
    shown = submission.probes.writes_seen(submission.numpy_to_tensor, array, None, copied(other))
    expect.close(
        shown["source"],
        array,
        likely={"the tensor shares the memory of a read-only array": other},
        given="a read-only (3, 4) array; the tensor is written to",
    )


@check(
    "tensor_to_numpy keeps values, dtype and shape on any device",
    points=2,
    category="values",
    devices="all",
)
def test_to_numpy(submission, device):
    for dtype in DTYPES:
        array = random_array(dtype)
        tensor = copied(array).to(device)
        expect.close(submission.tensor_to_numpy(tensor), array, given=f"a {dtype} tensor of shape (3, 4)")
        expect.close(submission.tensor_to_numpy(tensor.T), array.T, given=f"a transposed {dtype} tensor")

    for shape in ((), (0, 3), (1, 3), (2, 1, 3), (2, 3, 0)):
        tensor = torch.randn(shape, dtype=torch.float64, device=device)
        array = submission.tensor_to_numpy(tensor)
        expect.shape(array, shape, given=f"a float64 tensor of shape {shape}")
        expect.dtype(array, np.float64, given=f"a float64 tensor of shape {shape}")
        expect.equal(array.tolist(), tensor.tolist(), trivial="few values, or none", given=f"shape {shape}")
    odd = torch.tensor([float("nan"), float("inf"), -0.0, -3.5], device=device)
    expect.close(submission.tensor_to_numpy(odd), odd.cpu().numpy(), equal_nan=True, given="NaN, infinity, -0.0, -3.5")


@check("tensor_to_numpy shares the memory of a CPU tensor", points=1, category="values", after=test_to_numpy)
def test_to_numpy_sharing(submission):
    array = random_array("float32")
    wide = torch.cat([copied(array)] * 2, 1)
    layouts = {
        "a float32 tensor": copied(array),
        "a transposed float32 tensor": copied(array.T).T,
        "a slice of a wider tensor": wide[:, :4],
        "every second column of a tensor": torch.stack([copied(array)] * 2, -1).flatten(1)[:, ::2],
    }
    layouts = {given: (array, tensor) for given, tensor in layouts.items()}
    for dtype in SHARED:
        numbers = random_array(dtype)
        layouts[f"a {dtype} tensor of shape (3, 4)"] = numbers, copied(numbers)
    for given, (array, tensor) in layouts.items():
        first = other_values(array)
        second = other_values(array, 2)
        shown = submission.probes.writes_seen(submission.tensor_to_numpy, tensor, copied(first), second)
        expect.close(
            shown["result"],
            first,
            likely={"the array is a copy of the tensor": array},
            given=f"{given}, written to after the call",
        )
        expect.close(shown["source"], copied(second), given=f"{given}; the array is written to")
    wide = torch.tensor([[0.5], [1.5]]).expand(2, 3)
    shown = submission.probes.writes_seen(submission.tensor_to_numpy, wide, None, 2.5)
    expect.close(
        shown["source"],
        torch.full((2, 3), 2.5),
        likely={"the array is a copy of the tensor": wide.contiguous()},
        given="an expanded tensor, (2, 1) to (2, 3); the array is written to",
        trivial="one number is written everywhere",
    )
    bare = torch.tensor(0.5)
    shown = submission.probes.writes_seen(submission.tensor_to_numpy, bare, torch.tensor(1.5), 2.5)
    expect.equal(
        [float(shown["result"]), float(shown["source"])], [1.5, 2.5], given="a tensor without axes, written to twice"
    )


@check("tensor_to_numpy copies a tensor of another device to the host", points=0.5, category="devices",
       after=test_to_numpy)  # fmt: skip
def test_to_numpy_device(submission):
    expect.portable(submission.tensor_to_numpy, torch.randn(2, 3), expected="values on the host before NumPy has them")


@check("tensor_to_numpy leaves the autograd graph usable", points=2, category="gradients", after=test_to_numpy)
def test_to_numpy_graph(submission):
    x, weight, cotangent = torch.randn(3, 2, 3, dtype=torch.float64)
    found = submission.probes.backward_after(submission.tensor_to_numpy, x, weight, cotangent)
    expect.close(found["leaf"], np.array(x.tolist()), given="a leaf with requires_grad=True")
    expect.close(found["product"], np.array((x * weight).tolist()), given="a result of the autograd graph")
    expect.true(
        found["attached"],
        expected="tensors that require gradients after the call, as before it",
        got="tensors that were cut from the graph",
    )
    expect.close(found["gradient"], weight * cotangent, given="backward() after the call")
    leaf, first, second = x.clone().requires_grad_(), x + 2, (x + 3).numpy()
    shown = submission.probes.writes_seen(submission.tensor_to_numpy, leaf, first, second)
    likely = {"the array is a copy of the tensor": np.array(x.tolist())}
    given = "a tensor with requires_grad=True, which shares its memory, too; it is written to after the call"
    expect.close(shown["result"], np.array(first.tolist()), likely=likely, given=given)
    product = np.array((x * weight).tolist())
    results = (product, "a result of the autograd graph"), (
        np.array(x[1:].tolist()), "the second row of a leaf with requires_grad=True")  # fmt: skip
    for shown, (before, given) in zip(submission.probes.writes_in_graph(submission.tensor_to_numpy, x, weight), results,
                                      strict=True):  # fmt: skip
        likely = {"the array is a copy of the tensor": before}
        expect.close(shown, before + 2, likely=likely, given=f"{given}, written to after the call")


@check("copy_to_tensor keeps the dtype, or converts to the one asked for", points=1, category="values")
def test_copy_dtype(submission):
    for dtype in DTYPES:
        array = random_array(dtype)
        expect.close(submission.copy_to_tensor(array), copied(array), given=f"a {dtype} array, dtype=None")
    for shape in ((), (0, 3), (1, 3), (2, 1, 3)):
        array = random_array(shape=(6,))[: np.prod(shape, dtype=int)].reshape(shape)
        tensor = submission.copy_to_tensor(array)
        expect.shape(tensor, shape, given=f"a float64 array of shape {shape}")
        expect.dtype(tensor, torch.float64, given=f"a float64 array of shape {shape}")
        expect.equal(tensor.tolist(), array.tolist(), trivial="few values, or none", given=f"shape {shape}")
    odd = np.array([np.nan, np.inf, -np.inf, -3.5])
    expect.close(submission.copy_to_tensor(odd), copied(odd), equal_nan=True, given="NaN, ±infinity, -3.5")

    pixels = random_array("uint8")
    converted = submission.copy_to_tensor(pixels, dtype=torch.float32)
    expect.close(converted, copied(pixels, torch.float32), given="a uint8 array, dtype=torch.float32")

    whole = torch.from_numpy(random_array("int64")) + 1
    for values, given, likely in (
        (whole + 0.75, "numbers such as 3.75", {"the fraction is rounded, not dropped": whole + 1}),
        (
            -whole - 0.25,
            "numbers such as -3.25",
            {"negative numbers go down to the next integer; a fraction is dropped towards 0": -whole - 1},
        ),
    ):
        expect.close(
            submission.copy_to_tensor(values.double().numpy(), dtype=torch.int64),
            whole * values.sign().long(),
            likely=likely,
            given=f"a float64 array of {given}, dtype=torch.int64",
        )

    for dtype in (None, torch.int64):
        numbers = beyond_floats()
        given = f"an int64 array of numbers beyond 2**53, dtype={dtype}"
        expect.close(submission.copy_to_tensor(numbers, dtype=dtype), copied(numbers), given=given)
    numbers = random_array() + 2j * random_array()
    given = "a complex128 array, dtype=torch.complex64"
    narrow = submission.copy_to_tensor(numbers, dtype=torch.complex64)
    expect.close(narrow, copied(numbers, torch.complex64), given=given)

    for dtype in (torch.bfloat16, torch.float16, torch.int16, torch.bool, torch.complex64):
        numbers = random_array("int32") // 4 - 0.5 * (dtype is torch.bool)
        given = f"a {numbers.dtype.name} array, dtype={dtype}"
        expect.close(submission.copy_to_tensor(numbers, dtype=dtype), copied(numbers, dtype), given=given,
                     trivial="what is not 0 is true" if dtype is torch.bool else None)  # fmt: skip


@check("copy_to_tensor never shares memory", points=2, category="values", after=test_copy_dtype)
def test_copy_owns(submission):
    cases = {
        "dtype=None": (random_array(), {}),
        "the dtype of the array": (random_array(), {"dtype": torch.float64}),
        "a transposed array": (random_array("float32").T, {"dtype": torch.float32}),
        "two columns of an array": (random_array("float32")[:, 1:3], {}),
        "an array without axes": (random_array()[1, 2, ...], {}),
    }
    for array in map(random_array, SHARED):
        for dtype in (None, DTYPES[array.dtype.name]):
            cases[f"a {array.dtype.name} array, dtype={dtype}"] = array.copy(), {"dtype": dtype}
    for given, (array, options) in cases.items():
        before, first = copied(array), np.asarray(other_values(array))
        second = np.asarray(other_values(array, 2))
        shown = submission.probes.writes_seen(submission.copy_to_tensor, array, first, copied(second), **options)
        expect.close(
            shown["result"],
            before,
            likely={"the tensor sees writes to the array: nothing was copied": copied(first)},
            given=f"{given}; the array is written to after the call",
        )
        expect.close(shown["source"], first, given=f"{given}; the tensor is written to")
    array = random_array()
    array.flags.writeable = False
    shown = submission.probes.writes_seen(submission.copy_to_tensor, array, None, copied(array + 1))
    expect.close(shown["source"], array, given="a read-only (3, 4) array; the tensor is written to")


@check(
    "copy_to_tensor takes reversed and big-endian arrays",
    points=1,
    category="robustness",
    after=test_copy_dtype,
    hidden=True,
)
def test_copy_awkward(submission):
    for given, array in awkward_arrays().items():
        expect.close(submission.copy_to_tensor(array), copied(array), given=given)
        dtype = torch.complex64 if array.dtype.kind == "c" else torch.float32
        single = submission.copy_to_tensor(array, dtype=dtype)
        expect.close(single, copied(array, dtype), given=f"{given}, dtype={dtype}")
    for given, array in empty_arrays().items():
        expect_empty(submission.copy_to_tensor(array), array, given)
        single = submission.copy_to_tensor(array, dtype=torch.int32)
        expect_empty(single, array, f"{given}, dtype=torch.int32", torch.int32)


@check("the conversions leave their arguments as they were", points=0.5, category="robustness",
       after=[test_awkward_arrays, test_copy_awkward, test_to_numpy], hidden=True)  # fmt: skip
def test_arguments(submission):
    for array in (random_array(), random_array("int32")[::-1], random_array(">f8")):
        expect.not_mutated(submission, submission.numpy_to_tensor, array)
        expect.not_mutated(submission, submission.copy_to_tensor, array)
        expect.not_mutated(submission, submission.copy_to_tensor, array, torch.int64)
    for tensor in (copied(random_array()), copied(random_array("uint8")).T):
        expect.not_mutated(submission, submission.tensor_to_numpy, tensor)


@check("shares_memory tells a view from an equal copy", points=2, category="values", devices="all")
def test_shares(submission, device):
    layouts = {
        "a plain (3, 4) array": random_array(),
        "a transposed int32 array": random_array("int32").T,
        "two columns of an array": random_array("float32", (3, 4))[:, 1:3],
        "an array (1, 3) of negative numbers": -random_array("float64", (1, 3)),
        "an array without axes": random_array()[1, 2, ...],
        "an array of True and False": ~random_array("bool"),
        "an array of numbers beyond 1e20, where one more is no other": 1e20 * (1 + random_array()),
        **{f"a {dtype} array of shape (3, 4)": random_array(dtype) for dtype in ("float16", "uint8", "complex64")},
    }

    def answers(arrays):
        return {
            (given, tensor): answer
            for given, array in arrays.items()
            for tensor, answer in submission.probes.sharing_answers(submission.shares_memory, array, device)[
                "answers"
            ].items()
        }

    found = answers(layouts)
    views = [answer for (_, tensor), answer in found.items() if tensor.startswith("view of")]
    equal = [answer for (_, tensor), answer in found.items() if "equal copy" in tensor]
    other = [answer for (_, tensor), answer in found.items() if tensor == "other values"]
    likely = {
        "nothing counts as shared: id() and == say nothing of the memory": not any(map(bool, found.values())),
        "equal values are taken for shared memory": all(views) and all(equal) and not any(other),
    }
    alike = {"an array of NaN": np.full((2, 3), np.nan), "an array of infinities": np.full((3,), np.inf)}
    for (given, tensor), answer in {**found, **answers(alike)}.items():
        expect.equal(
            answer,
            tensor.startswith("view of"),
            trivial="asked about views and about copies: no constant passes",
            likely={sentence: answer for sentence, holds in likely.items() if holds},
            given=f"{given}; tensor: {tensor}",
        )
    expect.equal(
        submission.probes.sharing_of_parts(submission.shares_memory, torch.rand(4, 3)),
        [True, False],
        given="tensor[1:, 1:] with the array that tensor.numpy() made of it, then with a copy of that array",
    )


@check(
    "shares_memory returns a bool and leaves both its arguments as they were",
    points=1,
    category="robustness",
    after=test_shares,
    hidden=True,
)
def test_shares_intact(submission):
    array = random_array()
    found = submission.probes.sharing_answers(submission.shares_memory, array, "cpu")
    expect.close(found["array"], array, given="the array after the calls")
    expect.close(found["tensors"]["view of it"], copied(array), given="a view of the array after the calls")
    expect.close(found["tensors"]["equal copy"], copied(array), given="an equal copy after the calls")
    expect.equal(found["kinds"], ["bool"], because="the answer is a Python bool")


@check("to_model_input arranges a picture as (1, C, H, W)", points=1, category="shapes")
def test_input_shape(submission):
    expect.shape(
        submission.to_model_input(random_image(5, 7, 3)),
        (1, 3, 5, 7),
        likely={
            "the channels stay the last axis": (1, 5, 7, 3),
            "image.T swaps rows and columns": (1, 3, 7, 5),
            "the batch axis is missing": (3, 5, 7),
        },
        given="a picture (5, 7, 3)",
    )
    for channels in (2, 1):
        given = f"a picture (4, 3, {channels})"
        expect.shape(submission.to_model_input(random_image(4, 3, channels)), (1, channels, 4, 3), given=given)
    expect.shape(
        submission.to_model_input(random_image(5, 7)),
        (1, 1, 5, 7),
        likely={"a grey picture gets one axis too few": (1, 5, 7)},
        given="a grey picture (5, 7)",
    )


@check(
    "to_model_input scales every pixel to [0, 1] and keeps its place",
    points=3,
    category="values",
    after=test_input_shape,
    devices="all",
)
def test_input_values(submission, device):
    image = random_image(5, 7, 3)
    truth = planes(image)  # float64, 0..255
    wrong = {
        "reshape and view keep the order of the numbers: the axes must be moved": copied(image) / 255,
        "the values are not divided by 255": truth,
        "the values are divided as integers": truth // 255,
        "the values are divided by 256": truth / 256,
    }
    expect.close(
        submission.to_model_input(image, device=device),
        (truth / 255).float().to(device),
        likely={sentence: value.float().reshape(1, 3, 5, 7).to(device) for sentence, value in wrong.items()},
        given="a random uint8 picture (5, 7, 3)",
    )
    grey = random_image(4, 6)
    expect.close(
        submission.to_model_input(grey, device=device),
        (planes(grey[:, :, None]) / 255).float().to(device),
        given="a grey picture (4, 6)",
    )


@check(
    "to_model_input takes mirrored, cropped and read-only pictures",
    points=1,
    category="robustness",
    after=test_input_values,
    hidden=True,
)
def test_input_views(submission):
    image = random_image(6, 8, 3)
    frozen = image.copy()
    frozen.flags.writeable = False
    views = {
        "a mirrored picture, image[:, ::-1]": image[:, ::-1],
        "the colours in reverse, image[:, :, ::-1]": image[:, :, ::-1],
        "a crop, image[1:5, 2:4]": image[1:5, 2:4],
        "a read-only picture": frozen,
    }
    for given, view in views.items():
        expect.close(submission.to_model_input(view), (planes(view) / 255).float(), given=given)


@check("to_model_input scales by 255, whatever levels the picture has", points=1, category="values",
       after=test_input_values, hidden=True)  # fmt: skip
def test_input_levels(submission):
    image = random_image(5, 7, 3)
    pictures = {
        "a dark picture, levels from 20 to 83": 20 + image // 4,
        "a bright picture, no level below 170": 170 + image // 3,
        "one pixel in four channels": random_image(2, 1, 4)[:1],
        "three rows in five channels": random_image(3, 7, 5),
        "a grey picture of three columns": random_image(5, 3),
        "a picture of one row": random_image(1, 7, 3),
        "a grey column": random_image(6, 1),
        "a grey row": random_image(1, 6),
        "a picture of level 1 only": np.ones((3, 4, 3), np.uint8),
    }
    for given, picture in pictures.items():
        truth = (planes(picture if picture.ndim == 3 else picture[:, :, None]) / 255).float()
        low, high = float(truth.min()), float(truth.max())
        mistakes = {
            "the levels are divided by the largest one that is there": (0.01 < high < 1, truth / high),
            "the levels are spread from the lowest to the highest": (
                0 < low < high,
                (truth - low) / (high - low + 1e-9),
            ),
            "a picture without large levels is taken for one in 0..1": (high < 0.01, 255 * truth),
        }
        expect.close(
            submission.to_model_input(picture),
            truth,
            likely={sentence: value for sentence, (when, value) in mistakes.items() if when},
            trivial="one level, and it is the point" if low == high else None,
            given=given,
        )


@check("to_model_input leaves the picture as it was", points=1, category="robustness", after=test_input_shape)
def test_input_intact(submission):
    for image in (random_image(5, 7, 3), random_image(5, 7)):
        expect.not_mutated(submission, submission.to_model_input, image)


@check(
    "to_model_input puts the result on the device asked for",
    points=1,
    category="devices",
    after=test_input_shape,
)
def test_input_device(submission):
    # "meta" is a device that every machine has: tensors on it have a shape and no values.
    for device in ("cpu", "meta"):
        expect.equal(
            submission.probes.landing_place(submission.to_model_input, random_image(5, 7, 3), device),
            device,
            likely={"the device is ignored": "cpu"} if device == "meta" else None,
            given=f"device={device!r}",
        )
    place = submission.probes.landing_place(submission.to_model_input, random_image(5, 7), "meta", as_object=True)
    expect.equal(place, "meta", given='device=torch.device("meta")')


@check(
    "to_model_input makes no more torch calls for a larger picture",
    points=1,
    category="efficiency",
    after=test_input_shape,
    hidden=True,
)
def test_input_growth(submission):
    small, large = (random_image(4, 3, 3),), (random_image(16, 12, 3),)
    expect.vectorised(submission.to_model_input, small, large, given="16 times the pixels")
    small, large = (random_image(4, 3),), (random_image(16, 12),)
    expect.vectorised(submission.to_model_input, small, large, given="a grey picture of 16 times the pixels")


@check(
    "batch_matmul multiplies the matrices in the last two axes",
    points=2,
    category="values",
    devices="all",
)
def test_matmul(submission, device):
    expect.agrees(
        submission.batch_matmul,
        products,
        FACTORS,
        device=device,
        likely={
            "a * b multiplies number by number": lambda a, b: a * b,
            "the two factors are swapped": lambda a, b: b @ a,
            "the second factor is transposed": lambda a, b: a @ b.mT,
        },
    )


@check("batch_matmul takes any layout and size, in float32 and float64", points=1, category="robustness",
       after=test_matmul, hidden=True)  # fmt: skip
def test_matmul_inputs(submission):
    cases = FACTORS.vary(dtype=[torch.float32, torch.float64], layout=LAYOUTS, values=[kit.normal, kit.thousands])
    expect.agrees(submission.batch_matmul, products, cases, unchanged=True)
    without = ((2, 0), (0, 3)), ((4, 2, 0), (0, 3)), ((0, 3), (3, 2)), ((2, 3, 4), (4, 0))
    for one, other in (((0, 2, 3), (3, 4)), ((0, 2, 3), (0, 3, 4)), ((2, 0, 1, 3), (1, 3, 4)), *without):
        a, b = torch.randn(one), torch.randn(other)
        given = f"a {one}, b {other}"
        expect.close(submission.batch_matmul(a, b), products(a, b), trivial="no matrix, or zeros", given=given)


def products(a, b):
    """The definition: (..., n, k, 1) * (..., 1, k, m), summed over k."""
    return (a.unsqueeze(-1) * b.unsqueeze(-3)).sum(-2)


def matrices(draw, shapes):
    return {"a": draw(*shapes[0]), "b": draw(*shapes[1])}


FACTORS = grid(
    matrices,
    shapes=[
        ((2, 3, 3), (2, 3, 3)),
        ((3, 4), (4, 2)),
        ((2, 3, 4, 5), (2, 3, 5, 2)),
        ((3, 1, 2, 4), (5, 4, 3)),
        ((1, 3, 4), (1, 4, 1)),
        ((4, 1), (1, 4)),
        ((5, 3), (3, 3)),
        ((2, 3, 4), (4, 4)),
        ((3, 4), (2, 4, 2)),
        ((1, 3, 4), (5, 4, 2)),
        ((2, 1, 3, 4), (1, 5, 4, 2)),
        ((2, 1, 3, 4), (4, 2)),
        ((3, 4), (2, 1, 4, 2)),
    ],
    dtype=[torch.float64, torch.float32],
)


@check("batch_matmul passes gradients to both factors", points=1, category="gradients", after=test_matmul)
def test_matmul_gradients(submission):
    expect.agrees(submission.batch_matmul, products, FACTORS, gradients=True)
