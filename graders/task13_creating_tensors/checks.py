"""Checks for task 13: creating tensors, drawing at random, environment.

What is drawn is compared with its distribution, never with a certain stream: a statistic of 20,000 draws may be off
by six of its standard errors, which happens to one in 500 million of right ones.
"""

import math

import torch

from torchgrade.authoring import FLOATS, INTEGERS, LEFT_OUT, check, expect, grid, kit

MANY = 20_000
ERRORS = 6  # standard errors
REFUSED = ("Exception",)  # any error will do
DENSE_LAYOUTS = ("contiguous", "transposed", "gaps", "offset")
MODES = ("mean_t with std_t", "mean with std_t", "mean_t with std", "mean with std")


# --- rank_name ---------------------------------------------------------------------------------------------


def named(x):
    return ("scalar", "vector", "matrix", "tensor")[min(x.ndim, 3)]


@check("rank_name tells scalars, vectors, matrices and tensors apart", points=1, category="values")
def test_rank(submission):
    cases = grid(shape=[(3,), (), (2, 3), (2, 3, 4), (2, 5, 2, 3), (2,) * 6], dtype=[torch.float32, torch.int64])
    expect.agrees(submission.rank_name, named, cases, unchanged=True)


@check("rank_name looks at the axes, not at their lengths", points=0.5, category="values", after=test_rank, hidden=True)
def test_rank_lengths(submission):
    cases = grid(
        shape=[(1, 1), (1,), (0,), (0, 3), (1, 1, 1), (3, 1), (2, 3), (1, 0, 1, 1)],
        dtype=[torch.float32, torch.int64, torch.bool, torch.float16],
        layout=["contiguous", "transposed"],
        grad=["plain", "requires_grad"],
    )
    expect.agrees(
        submission.rank_name,
        named,
        cases,
        likely={
            "a tensor of one number is taken for a scalar": lambda x: "scalar" if x.numel() == 1 else named(x),
            "axes of length 1 are not counted": lambda x: named(x.squeeze()),
        },
    )


# --- environment_report ------------------------------------------------------------------------------------


def compare_reports(found, keys, given=None):
    report = expect.record(found["report"], dict.fromkeys(keys), given=given)
    for key in keys:
        wanted, got = found["truth"][key], report[key]
        expect.equal(
            got,
            wanted,
            likely={} if wanted is not None else {"None is written out as text": "None"},
            given=f'the key "{key}"' + (f" where {given}" if given else ""),
        )


@check("environment_report tells the versions and the CUDA devices", points=1, category="values")
def test_report(submission):
    found = submission.probes.report_beside_truth(submission.environment_report)
    compare_reports(found, ("torch", "cuda_available", "cuda_version", "device_count"))


@check("environment_report names the accelerator", points=0.5, category="values")
def test_accelerator(submission):
    compare_reports(submission.probes.report_beside_truth(submission.environment_report), ("accelerator",))


@check("environment_report asks torch when it is called", points=0.5, category="robustness",
       after=[test_report, test_accelerator], hidden=True)  # fmt: skip
def test_report_elsewhere(submission):
    keys = ("torch", "cuda_available", "cuda_version", "device_count", "accelerator")
    places = {"torch sees two CUDA devices": 2, "torch was built with CUDA and sees no device": 0}
    for given, devices in places.items():
        found = submission.probes.report_beside_truth(submission.environment_report, pretend=devices)
        compare_reports(found, keys, given=given)


# --- memory_address ----------------------------------------------------------------------------------------


def compare_addresses(submission, views, sentence, mistake):
    found = submission.probes.address_verdicts(submission.memory_address, views)
    for name, verdict in found.items():
        expect.true(
            verdict == "right",
            "the address of the first number",
            verdict,
            likely={sentence: verdict == mistake},
            given=f"memory_address of {name}",
        )


@check("memory_address tells where tensors and arrays begin", points=1, category="values")
def test_address(submission):
    compare_addresses(
        submission,
        False,
        "id() tells of the Python object, not of the numbers",
        "the address of the Python object",
    )


@check("memory_address tells where views begin", points=1, category="values", after=test_address)
def test_address_of_views(submission):
    compare_addresses(
        submission,
        True,
        "a view starts where its own first number is",
        "the address of the memory that it is a view of",
    )


# --- arange_like_python ------------------------------------------------------------------------------------


def are_whole(*numbers):
    return all(isinstance(number, int) for number in numbers)


def length(start, end, step=1):
    step = 1 if step is LEFT_OUT else step
    return max(0, math.ceil((end - start) / step))


def counted(start, end, step=1):
    numbers = [start + number * step for number in range(length(start, end, step))]
    return torch.tensor(numbers, dtype=torch.int64 if are_whole(start, end, step) else torch.float32)


def with_end(start, end, step=1):
    return counted(start, end + step, step)


def numbers_left(start, end, step):
    return length(start, end, step) > 0


@check("arange_like_python counts integers up to the end, without it", points=1, category="values")
def test_arange(submission):
    cases = grid(
        start=[0, 3, -7, 10, 10**12, 2**60 + 1],
        end=[10, 9, -20, 1, 10**12 + 7, 2**60 + 9],
        step=[3, LEFT_OUT, 2, -4, 1, -1],
        where=lambda start, end, step: abs(end - start) < 100 and numbers_left(start, end, step),
    )
    expect.agrees(
        submission.arange_like_python,
        counted,
        cases,
        likely={
            "the end is counted, too": with_end,
            "integers become floating numbers": lambda start, end, step=1: counted(start, end, step).float(),
            "the last number is missing where the step does not meet the end": lambda start, end, step=1: counted(
                start, end, step
            )[: int((end - start) / step)],
        },
    )


@check("arange_like_python counts in fractions, as float32", points=1, category="values")
def test_arange_floats(submission):
    cases = grid(
        start=[0.0, 0, 0.5, -2.0, 3],
        end=[2, 2.0, 1.25, -3.5, 4.5],
        step=[0.25, LEFT_OUT, 1, 1.5, -0.5, 1.0],
        where=lambda start, end, step: (
            not are_whole(start, end, 1 if step is LEFT_OUT else step) and numbers_left(start, end, step)
        ),
    )
    expect.agrees(
        submission.arange_like_python,
        counted,
        cases,
        likely={
            "the end is counted, too": with_end,
            "whole numbers become int64 although a float is among the arguments": lambda start, end, step=1: counted(
                start, end, step
            ).to(torch.int64 if (end - start) % 1 == 0 == step % 1 == start % 1 else torch.float32),
        },
    )


@check("arange_like_python is empty where range() is", points=1, category="robustness",
       after=[test_arange, test_arange_floats])  # fmt: skip
def test_arange_empty(submission):
    cases = grid(
        start=[5, 0, 5.0, 12.5, -3],
        end=[5, 0, 5.0, -3, 12.5],
        step=[LEFT_OUT, 2, -2, 0.5, -0.5],
        where=lambda start, end, step: not numbers_left(start, end, step),
    )
    expect.agrees(submission.arange_like_python, counted, cases, trivial="an empty tensor holds no numbers")


@check("arange_like_python refuses a step of 0", points=0.5, category="robustness",
       after=[test_arange, test_arange_floats], hidden=True)  # fmt: skip
def test_arange_zero_step(submission):
    for numbers in ((0, 10, 0), (10, 0, 0), (0.5, 2.0, 0.0), (3, 3, 0)):
        expect.raises(REFUSED, submission.arange_like_python, *numbers, given=f"start, end, step = {numbers}")


# --- linspace ----------------------------------------------------------------------------------------------


def divided(start, end, steps):
    gaps = max(steps - 1, 1)
    return torch.tensor([start + (end - start) * number / gaps for number in range(steps)], dtype=torch.float32)


def numbers_of(draw, start, end, count):
    """``steps`` is an axis of the kit, of another meaning, so it is an operand here."""
    return {"start": start, "end": end, "steps": count}


DIVISIONS = grid(numbers_of, start=[2, 10, 0.5, -3.25, -1000], end=[10, 2, 7.5, -20, 1000], count=[4, 2, 3, 5, 50])


@check("linspace divides the way evenly, both ends included", points=1.5, category="values")
def test_linspace(submission):
    expect.agrees(
        submission.linspace,
        divided,
        DIVISIONS,
        likely={
            "the end is left out: n numbers have n - 1 gaps": lambda start, end, steps: divided(
                start, start + (end - start) * (steps - 1) / steps, steps
            ),
            "steps counts the gaps here, so there is one number too many": lambda start, end, steps: divided(
                start, end, steps + 1
            ),
            "the numbers are rounded to integers": lambda start, end, steps: divided(start, end, steps).long(),
        },
    )


@check("linspace takes one step, none, and a way of length 0", points=1, category="robustness", after=test_linspace)
def test_linspace_short(submission):
    few = DIVISIONS.vary(count=[1, 0])
    expect.agrees(
        submission.linspace,
        divided,
        few,
        likely={
            "a single step is the start, not the end": lambda start, end, steps: divided(end, start, steps),
            "0 divided by 0 is not a number": lambda start, end, steps: divided(math.nan, end, steps),
        },
        trivial="one number, or none",
    )
    still = grid(numbers_of, start=[3, -2.5], end=[3, -2.5], count=[4, 1, 2], where=lambda start, end: start == end)
    expect.agrees(submission.linspace, divided, still, trivial="from a number to itself there is one number only")


@check("linspace refuses a negative number of steps", points=0.5, category="robustness", after=test_linspace,
       hidden=True)  # fmt: skip
def test_linspace_negative(submission):
    for steps in (-1, -4):
        expect.raises(REFUSED, submission.linspace, 2, 10, steps, given=f"steps={steps}")


# --- coo_to_dense ------------------------------------------------------------------------------------------


def places_in(size):
    def places(shape, dtype, generator):
        found = torch.stack([torch.randint(max(length, 1), shape[1:], generator=generator) for length in size])
        if shape[1] > 1:
            found[:, -1] = found[:, 0]
        return found.double()

    return places


def large(shape, dtype, generator):
    """large integers, sixteen of which their dtype still holds the sum of"""
    info = torch.iinfo(dtype)
    return torch.randint(info.min // 16, info.max // 16, tuple(shape), generator=generator)


def entries(draw, count, *, size):
    """Places, of which the first and the last are the same, and values."""
    return {
        "indices": draw(len(size), count, values=places_in(size), dtype=torch.int64),
        "values": draw(count),
    }


def written_out(indices, values, size):
    dense = torch.zeros(size, dtype=values.dtype, device=values.device)
    for number in range(indices.shape[1]):
        dense[tuple(indices[:, number].tolist())] += values[number]
    return dense


def last_wins(indices, values, size):
    dense = torch.zeros(size, dtype=values.dtype, device=values.device)
    for number in range(indices.shape[1]):
        dense[tuple(indices[:, number].tolist())] = values[number]
    return dense


def axes_reversed(indices, values, size):
    return written_out(indices.flip(0), values, size[::-1])


ENTRIES = grid(
    entries,
    count=[4, 2, 9],
    size=[(2, 3), (3, 3), (5,), (2, 3, 4), (1, 4)],
    dtype=[torch.float32, torch.float64, torch.int64],
)


@check("coo_to_dense writes every entry to its place and adds up", points=2, category="values", devices="all")
def test_coo(submission, device):
    expect.agrees(
        submission.coo_to_dense,
        written_out,
        ENTRIES,
        likely={
            "of several entries for one place only the last counts": last_wins,
            "rows and columns are swapped": axes_reversed,
        },
        device=device,
    )


@check("coo_to_dense takes every dtype, layout and size", points=1, category="robustness", after=test_coo, hidden=True)
def test_coo_inputs(submission):
    cases = ENTRIES.vary(
        count=[4, 1, 0, 9],
        size=[(2, 3), (1,), (4, 1), (2, 3, 1, 2)],
        dtype=[*FLOATS, *INTEGERS],
        layout=DENSE_LAYOUTS,
    )
    expect.agrees(submission.coo_to_dense, written_out, cases, unchanged=True)
    far = ENTRIES.vary(values=[kit.normal, kit.infinite, kit.not_a_number, large], dtype=[*FLOATS, *INTEGERS])
    far = far.only(lambda dtype, values: dtype.is_floating_point != (values is large) or values is kit.normal)
    expect.agrees(submission.coo_to_dense, written_out, far)
    empty = ENTRIES.vary(count=[0], size=[(0, 3), (2, 0)])
    expect.agrees(submission.coo_to_dense, torch_zeros, empty, trivial="a tensor without numbers")


def torch_zeros(indices, values, size):
    return torch.zeros(size, dtype=values.dtype)


@check("coo_to_dense sets all memory, also where no entry is", points=0.5, category="robustness", after=test_coo,
       hidden=True)  # fmt: skip
def test_coo_memory(submission):
    for dtype in (torch.float32, torch.int64):
        indices, values = torch.tensor([[0, 2, 2, 0], [1, 3, 3, 1]]), torch.tensor([2, 3, 4, 5], dtype=dtype)
        expect.close(
            submission.probes.on_dirty_memory(submission.coo_to_dense, indices, values, (3, 4)),
            written_out(indices, values, (3, 4)),
            given=f"{dtype} values, and memory that nobody has set holds NaN or the largest integer",
        )


# --- statistics --------------------------------------------------------------------------------------------


def near(value, wanted, error, what, given, likely=None):
    """A statistic lies within ERRORS standard errors of what is wanted."""
    expect.true(
        abs(value - wanted) <= ERRORS * error,
        f"{what} near {wanted:.4g}",
        f"{value:.4g}",
        likely=likely,
        given=given,
    )


def independent(one, other, what, given):
    """Two samples are not correlated, and neither of them is one number repeated."""
    is_still = bool(one.std() == 0) or bool(other.std() == 0)
    together = math.nan if is_still else float(torch.corrcoef(torch.stack([one, other]))[0, 1])
    expect.true(
        abs(together) <= ERRORS / math.sqrt(one.numel()),
        f"{what} drawn independently",
        "one number, repeated" if is_still else f"a correlation of {together:.2f}",
        likely={"the same random numbers are used twice": is_still or abs(together) > 0.95},
        given=given,
    )


def same(one, other):
    return one.shape == other.shape and bool((one == other).all())


def parts_of(results, names):
    """Of several results the tensors of each part, by its name; a result that is no tuple is one part."""
    rows = [found if isinstance(found, (list, tuple)) else [found] for found in results]
    return zip(names, zip(*rows, strict=False), strict=False)


def follows_generator(submission, function, args, names):
    """All of a result comes from the generator, which goes on; nothing comes from the global state."""
    runs = [submission.probes.drawn(function, args, state=state, times=2) for state in (3, 3, 4)]
    for name, (first, second, again, later, other, _) in parts_of([r for run in runs for r in run["results"]], names):
        given = f"a generator; {name}"
        expect.true(
            same(first, again) and same(second, later),
            "the same numbers from generators in the same state",
            "other numbers: they do not come from the generator alone",
            given=given,
        )
        expect.true(
            not same(first, other), "other numbers from a generator in another state", "the same numbers", given=given
        )
        expect.true(
            not same(first, second),
            "other numbers from the second call with the same generator",
            "the numbers of the first call: the generator starts again",
            given=given,
        )
    expect.true(
        all(run["global kept"] for run in runs),
        "torch's global state as it was before the call",
        "another global state",
        given="a generator",
    )


def follows_global_state(submission, function, args, names):
    """Without a generator the global state decides, and moves on."""
    runs = [submission.probes.drawn_globally(function, args, seed, times=2) for seed in (5, 5, 6)]
    for name, (first, second, again, later, other, _) in parts_of([result for run in runs for result in run], names):
        given = f"generator=None; {name}"
        expect.true(
            same(first, again) and same(second, later),
            "the same numbers after torch.manual_seed with the same seed",
            "other numbers: they do not come from torch's global state",
            given=given,
        )
        expect.true(
            not same(first, other) and not same(first, second),
            "other numbers after another seed, and from a second call",
            "the same numbers again",
            given=given,
        )


# --- uniform -----------------------------------------------------------------------------------------------

RANGES = ((2.0, 5.0), (-1, 1), (-40, -10), (0, 1), (0.5, 0.75))
BRINGS_ZERO = 146  # a seed from which torch.rand draws 0 among its first MANY numbers


def drawn_between(submission, low, high, size, device="cpu", state=7):
    """One draw, float32, of that size and on that device; on the CPU."""
    given = f"uniform({low}, {high}, {size}, generator)"
    found = submission.probes.drawn(submission.uniform, (low, high, size), state=state, device=device)["results"][0]
    expect.shape(found, size, given=given)
    expect.dtype(found, torch.float32, given=given)
    expect.equal(found.device.type, device, because="that is where the generator is", given=given)
    return found.cpu()


@check("uniform draws float32 numbers of that size between low and high", points=1, category="shapes", devices="all")
def test_uniform_range(submission, device):
    for low, high in RANGES:
        for size in ((50,), (3, 4, 5), (1, 7), (), (0, 3)):
            found = drawn_between(submission, low, high, size, torch.device(device).type).double()
            given = f"uniform({low}, {high}, {size})"
            if found.numel():
                lowest, highest = float(found.min()), float(found.max())
                expect.true(
                    low <= lowest and highest <= high,
                    f"numbers from {low} to {high}",
                    f"numbers from {lowest:.4g} to {highest:.4g}",
                    given=given,
                )


@check("uniform is equally likely everywhere", points=1.5, category="values", after=test_uniform_range)
def test_uniform_even(submission):
    for low, high in RANGES:
        given = f"uniform({low}, {high}, ({MANY},))"
        found = drawn_between(submission, low, high, (MANY,)).double()
        unit = (found - low) / (high - low)
        near(float(unit.mean() * (high - low) + low), (low + high) / 2, (high - low) / math.sqrt(12 * MANY), "a mean",
             given)  # fmt: skip
        for number in range(10):
            share = float(((unit >= number / 10) & (unit < (number + 1) / 10)).double().mean())
            inside = f"{low + (high - low) * number / 10:.4g} to {low + (high - low) * (number + 1) / 10:.4g}"
            near(share, 0.1, math.sqrt(0.09 / MANY), f"a share of numbers from {inside}", given)
    found = drawn_between(submission, 0, 1, (MANY,))
    likely = {"only some numbers can be drawn, such as whole ones or hundredths": True}
    different = len(torch.unique(found))  # of 2 ** 20 possible numbers some 190 would come twice
    expect.true(different >= 0.99 * MANY, f"nearly {MANY} different ones", f"{different} different ones", likely=likely,
                given=f"uniform(0, 1, ({MANY},)), the numbers that are drawn")  # fmt: skip
    highest = float(drawn_between(submission, 0, 1, (MANY,), state=BRINGS_ZERO).max())
    expect.true(highest < 1, "numbers below 1", f"{highest}", likely={"low itself can be drawn, and high cannot": True},
                given=f"uniform(0, 1, ({MANY},)) with another generator")  # fmt: skip


@check("uniform draws every number by itself", points=1, category="values", after=test_uniform_range, hidden=True)
def test_uniform_independent(submission):
    grid_of = drawn_between(submission, -2, 4, (2, 2, MANY)).double()
    rows = grid_of.reshape(4, MANY)
    for number in range(1, 4):
        independent(rows[0], rows[number], "rows", f"uniform(-2, 4, (2, 2, {MANY})), rows 0 and {number}")
    independent(rows[0][1:], rows[0][:-1], "neighbours", f"uniform(-2, 4, (2, 2, {MANY})), numbers side by side")
    for low in (3, -0.5):
        same_ends = submission.probes.drawn(submission.uniform, (low, low, (4,)))["results"][0]
        expect.close(same_ends, torch.full((4,), float(low)), trivial="there is one number only",
                     given=f"uniform({low}, {low}, (4,))")  # fmt: skip


@check("uniform draws from its generator alone", points=1, category="values", after=test_uniform_range)
def test_uniform_generator(submission):
    for size in ((3, 4), (), (1, 1)):
        follows_generator(submission, submission.uniform, (2.0, 5.0, size), [f"uniform(2.0, 5.0, {size})"])


@check("uniform without a generator draws from the global state", points=0.5, category="values",
       after=test_uniform_range, hidden=True)  # fmt: skip
def test_uniform_global(submission):
    for size in ((3, 4), (), (1, 1)):
        follows_global_state(submission, submission.uniform, (-1, 1, size), [f"uniform(-1, 1, {size})"])


@check("uniform needs no loop over its numbers", points=0.5, category="efficiency", after=test_uniform_range)
def test_uniform_loops(submission):
    expect.vectorised(submission.uniform, (0, 1, (4, 2)), (0, 1, (40, 30)))


# --- normal_four_modes -------------------------------------------------------------------------------------


def four_drawn(submission, args, device="cpu", given=None):
    found = submission.probes.drawn(submission.normal_four_modes, args, state=11, device=device)["results"][0]
    is_row = isinstance(found, (list, tuple))
    count = len(found) if is_row else 0
    expect.true(
        count == 4,
        "a tuple of four tensors",
        f"{count} of them" if is_row else f"a {type(found).__name__}",
        given=given,
    )
    return found


FOUR_CASES = [  # shape of mean_t, of std_t, of both, size
    ((2, 1), (3,), (2, 3), (4, 5)),
    ((3,), (3,), (3,), (7,)),
    ((), (2, 2), (2, 2), ()),
    ((3, 1), (1, 1), (3, 1), (1, 2, 3)),
    ((0, 3), (3,), (0, 3), (2, 0)),
    ((1,), (2, 0), (2, 0), (3,)),
]


@check("normal_four_modes draws four tensors of the right shapes", points=1, category="shapes", devices="all")
def test_normal_shapes(submission, device):
    device = torch.device(device).type
    for of_mean, of_std, of_both, size in FOUR_CASES:
        mean_t, std_t = torch.randn(of_mean, device=device), torch.rand(of_std, device=device) + 0.5
        given = f"mean_t {of_mean}, std_t {of_std}, size {size}"
        found = four_drawn(submission, (mean_t, std_t, 2, 3.5, size), device, given)
        for name, tensor, shape in zip(MODES, found, (of_both, of_std, of_mean, size), strict=True):
            expect.shape(tensor, shape, given=f"{name}; {given}")
            expect.equal(tensor.device.type, device, because="the tensors and the generator are there", given=given)


def standardised(submission, mean_t, std_t, mean, std):
    """The four samples of MANY numbers, each with its name, its means and its deviations."""
    found = four_drawn(submission, (mean_t, std_t, mean, std, (MANY,)))
    means, deviations = (mean_t, mean, mean_t, mean), (std_t, std_t, std, std)
    for name, tensor, m, s in zip(MODES, found, means, deviations, strict=True):
        expect.shape(tensor, (MANY,), given=name)
        yield name, tensor.cpu().double(), torch.as_tensor(m).double(), torch.as_tensor(s).double()


@check("normal_four_modes has the right means and deviations in each mode", points=2, category="values",
       after=test_normal_shapes)  # fmt: skip
def test_normal_values(submission):
    halves = torch.arange(MANY) % 2 == 0
    for mean, std, means, stds in ((5, 4, (-3.0, 8.0), (4.0, 0.25)), (-2.5, 0.25, (1.0, -20.0), (0.5, 9.0))):
        mean_t, std_t = torch.where(halves, *means), torch.where(halves, *stds)
        for name, sample, m, s in standardised(submission, mean_t, std_t, mean, std):
            for places in (halves, ~halves):
                these, at, by = sample[places], m.expand(MANY)[places][0].item(), s.expand(MANY)[places][0].item()
                given = f"{name}: {these.numel()} numbers of mean {at:g} and deviation {by:g}"
                centre, width = float(these.mean()), float(these.std())
                count = these.numel()
                near(
                    centre,
                    at,
                    by / math.sqrt(count),
                    "a mean",
                    given,
                    likely={
                        "one random number is drawn where many are needed": width < 1e-6,
                        "the mean is not added": width > 1e-6 and abs(centre) <= ERRORS * by / math.sqrt(count),
                    },
                )
                near(
                    width,
                    by,
                    by / math.sqrt(2 * count),
                    "a deviation",
                    given,
                    likely={
                        "std is the deviation itself; its root belongs to a variance": abs(width / by**0.5 - 1) < 0.05,
                        "std is the deviation itself, and is not squared": abs(width / by**2 - 1) < 0.05,
                    },
                )
                share = float(((these - at).abs() < by).double().mean())
                near(share, 0.6827, math.sqrt(0.2166 / count), "a share within one deviation of the mean", given)


@check("normal_four_modes draws every number by itself", points=1, category="values", after=test_normal_shapes,
       hidden=True)  # fmt: skip
def test_normal_independent(submission):
    mean_t, std_t = torch.randn(MANY), torch.rand(MANY) + 0.5
    samples = [(name, (x - m) / s) for name, x, m, s in standardised(submission, mean_t, std_t, -1.0, 2.0)]
    for number, (name, one) in enumerate(samples):
        for other_name, other in samples[number + 1 :]:
            independent(one, other, "two of the four", f"{name}, beside {other_name}")
        independent(one[1:], one[:-1], "neighbours", name)
    column, row = torch.tensor([[-3.0], [5.0]]), torch.rand(MANY) + 0.5
    for mean_t, std_t in ((column, row), (row, column.abs())):
        both = four_drawn(submission, (mean_t, std_t, 0.0, 1.0, (2,)))[0]
        shapes = f"mean_t {tuple(mean_t.shape)}, std_t {tuple(std_t.shape)}"
        expect.shape(both, (2, MANY), given=shapes)
        z = (both.double() - mean_t) / std_t
        independent(z[0], z[1], "rows", shapes)


def four_calls(mean, std):
    """Arguments of normal_four_modes, a row of several numbers and single ones, and what each tensor is called."""
    for of_mean, of_std, size in (((2, 3), (3,), (3,)), ((), (), ())):
        names = [f"{name}; mean_t {of_mean}, std_t {of_std}, size {size}" for name in MODES]
        yield (torch.randn(of_mean), torch.rand(of_std) + 0.5, mean, std, size), names


@check("normal_four_modes draws from its generator alone", points=1, category="values")
def test_normal_generator(submission):
    for args, names in four_calls(1.0, 2.0):
        follows_generator(submission, submission.normal_four_modes, args, names)


@check("normal_four_modes without a generator draws from the global state", points=0.5, category="values",
       hidden=True)  # fmt: skip
def test_normal_global(submission):
    for args, names in four_calls(1, 2):
        follows_global_state(submission, submission.normal_four_modes, args, names)


def means_and_zeros(draw, shapes, *, size):
    return {"mean_t": draw(*shapes[0]), "std_t": draw(*shapes[1], values=kit.zeros).abs()}


def only_means(mean_t, std_t, mean, std, size):
    both = mean_t.expand(torch.broadcast_shapes(mean_t.shape, std_t.shape))
    return both, torch.full_like(std_t, mean), mean_t, torch.full(size, float(mean))


@check("normal_four_modes gives the means where the deviation is 0", points=0.5, category="robustness",
       after=[test_normal_shapes, test_normal_values], hidden=True)  # fmt: skip
def test_normal_still(submission):
    cases = grid(
        means_and_zeros,
        shapes=[((2, 3), (3,)), ((2, 1), (3,)), ((1,), (2, 2)), ((), (3, 1)), ((0, 3), (1, 3)), ((1,), (0,))],
        mean=[-1.5, 4],
        std=[0, 0.0],
        size=[(2, 2), (), (3,), (0,)],
        dtype=FLOATS,
        layout=DENSE_LAYOUTS,
    )
    expect.agrees(submission.normal_four_modes, only_means, cases, unchanged=True)


@check("normal_four_modes refuses negative deviations and shapes that clash", points=0.5, category="robustness",
       after=[test_normal_shapes, test_normal_values], hidden=True)  # fmt: skip
def test_normal_refusals(submission):
    mean_t, std_t, below = torch.zeros(3), torch.ones(3), torch.tensor([1.0, 0.5, -0.1])
    for given, args in {
        "std=-1": (mean_t, std_t, 0.0, -1, (2,)),
        "std_t with one negative number": (mean_t, below, 0.0, 1.0, (2,)),
        "mean_t (2, 3) and std_t (6,)": (torch.zeros(2, 3), torch.ones(6), 0.0, 1.0, (2,)),
    }.items():
        expect.raises(REFUSED, submission.normal_four_modes, *args, given=given)


@check("normal_four_modes never rounds, also where mean_t holds integers", points=0.5, category="robustness",
       after=[test_normal_shapes, test_normal_values], hidden=True)  # fmt: skip
def test_normal_integers(submission):
    args = (torch.tensor([3, -2, 7, 0]), torch.full((4,), 0.5), 1, 2, (6,))
    found = submission.probes.answer_or_refusal(submission.normal_four_modes, *args)
    for name, tensor in zip(MODES, found or [], strict=False):
        expect.dtype(tensor, torch.float32, given=f"{name}, mean_t int64")
        expect.true(bool((tensor % 1 != 0).any()), "numbers with fractions", "whole numbers", given=name)


@check("normal_four_modes needs no loop over its numbers", points=0.5, category="efficiency", after=test_normal_shapes)
def test_normal_loops(submission):
    small, large = (
        (torch.zeros(rows, 1), torch.ones(columns), 0.0, 1.0, (rows, columns)) for rows, columns in ((4, 2), (30, 40))
    )
    expect.vectorised(submission.normal_four_modes, small, large)


# --- seeded_sample -----------------------------------------------------------------------------------------


def stages(seed):
    """Means, deviations and standard numbers, drawn one after the other."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.rand(2, generator=generator)
    std = torch.rand(2, generator=generator)
    return mean, std, torch.randn(2, generator=generator)


def recipe(seed):
    mean, std, noise = stages(seed)
    return mean + std * noise


def deviations_first(seed):
    std, mean, noise = stages(seed)
    return mean + std * noise


def begun_again(seed):
    """Each draw comes from a generator that starts with the seed."""
    mean = std = stages(seed)[0]
    return mean + std * torch.randn(2, generator=torch.Generator().manual_seed(seed))


@check("seeded_sample follows its recipe and repeats itself", points=1, category="values")
def test_sample(submission):
    expect.agrees(
        submission.seeded_sample,
        recipe,
        grid(seed=[1, 7, 0, 123456]),
        likely={
            "the deviations are drawn before the means": deviations_first,
            "each of the three draws starts with the seed again": begun_again,
            "the sample is that of seed 1, whatever the seed": lambda seed: recipe(1),
        },
    )
    expect.close(
        submission.probes.drawn_again(submission.seeded_sample, 5),
        recipe(5),
        likely={"the tensor of the first call comes back": torch.full((2,), 99.0)},
        given="seed 5 for the second time, after 99 was written into the first result",
    )


@check("seeded_sample leaves torch's global state as it was", points=1, category="values", after=test_sample)
def test_sample_global(submission):
    for seed in (1, 8):
        found = submission.probes.sampled(submission.seeded_sample, seed)
        expect.close(found["result"], recipe(seed), given=f"seed {seed}, after other draws")
        expect.true(
            found["global kept"],
            "torch's global state as it was before the call",
            "another global state",
            likely={"torch.manual_seed seeds the whole program": not found["global kept"]},
            given=f"seed {seed}",
        )
