"""Checks for task 25: a table of houses, read, split, standardised, fitted, and tested fold by fold.

Nothing but one fit depends on how a run goes: in cross_validate a net that is known stands in the place
of the trained one, so that its rounds, their statistics and their scores can be told exactly.
"""

import math

import torch
from torch.nn import functional as F

from torchgrade.authoring import RECORDING, Rule, any_seed, check, expect, grid, registered_parameters

SINGLE, DOUBLE = torch.float32, torch.float64
AS_GIVEN = ["contiguous", "transposed", "gaps", "offset"]


# --- the table -------------------------------------------------------------------------------------------


def expect_table(submission, text, rows, likely=None):
    found = submission.probes.table(submission.parse_table, text)
    given = f"parse_table({text if len(text) < 60 else text[:57] + '...'!r})"
    truth = torch.tensor(rows, dtype=DOUBLE)
    expect.shape(found, truth.shape, given=given)
    expect.dtype(found, DOUBLE, given=given)
    expect.close(found, truth, rtol=1e-12, atol=0, given=given, likely=likely)


@check("parse_table reads numbers that white space separates", points=1.5, category="values")
def test_parse(submission):
    expect_table(submission, "0.5 2\n\n 1\t3\n", [[0.5, 2.0], [1.0, 3.0]])
    expect_table(submission, "3 -0.5 .25\n1.5e-3 0 7", [[3, -0.5, 0.25], [0.0015, 0, 7]])


@check("parse_table takes blanks, tabs and empty lines anywhere", points=1, category="robustness", after=test_parse,
       hidden=True)  # fmt: skip
def test_layouts(submission):
    expect_table(
        submission,
        "\n   \n\t1.25   -2\t \t 3e2 \n  4 5.5 6  \n\t\n7\t8\t9\n\n",
        [[1.25, -2, 300], [4, 5.5, 6], [7, 8, 9]],
    )
    expect_table(submission, "0.00632", [[0.00632]])
    expect_table(submission, "1 2 3\n", [[1, 2, 3]])
    expect_table(submission, "396.90\r\n4.98\r\n", [[396.9], [4.98]])


@check("parse_table reads all 506 rows of 14 numbers", points=0.5, category="shapes", after=test_parse, hidden=True)
def test_district_table(submission, dataset):
    text = dataset("housing").generate(any_seed() % 10**6)
    rows = [[float(word) for word in line.split()] for line in text.splitlines()]
    found = submission.probes.table(submission.parse_table, text)
    expect.shape(found, (506, 14), given="the table of districts")
    expect.close(found, torch.tensor(rows, dtype=DOUBLE), rtol=1e-12, atol=0, given="the table of districts")


@check("parse_table refuses rows of two lengths, and words", points=0.5, category="robustness", after=test_parse)
def test_refuse_table(submission):
    ragged = ("1 2 3\n4 5\n", "1 2\n3 4 5 6\n", "1 2\n3 4 5\n6 7\n", "1 2\n3\n4 5 6\n")
    for text in (*ragged, "1 2\n3 x\n", "a 1 2\nb 3 4\n", "1 2\n3 4x\n"):
        expect.raises(["ValueError"], submission.parse_table, text, given=f"parse_table({text!r})")


# --- splitting -------------------------------------------------------------------------------------------


def districts(n, column=False, dtype=SINGLE):
    """Rows that can be told apart: x (n, 13), whose first column rises from row to row, and y, 1000 and on."""
    x = torch.randn(n, 13, dtype=dtype)
    x[:, 0] = torch.arange(n) * 0.5 - 3
    y = 1000.0 + torch.arange(n, dtype=dtype)
    return x, y[:, None] if column else y


def in_one_table(x, y):
    """The same x and y as views of one table, the usual way to have them: neither is contiguous."""
    table = torch.cat([x, y.reshape(-1, 1)], dim=1)
    return table[:, :-1], table[:, -1] if y.ndim == 1 else table[:, -1:]


def parts_of(submission, x, y, given, **options):
    parts = submission.train_test_split(x, y, **options)
    expect.true(
        isinstance(parts, (tuple, list)) and len(parts) == 4,
        expected="four parts: x_train, x_test, y_train, y_test",
        got=f"{len(parts)} items" if isinstance(parts, (tuple, list)) else type(parts).__name__,
        given=given,
    )
    for part, whole in zip(parts, (x, x, y, y), strict=True):
        expect.shape(part, (None, *whole.shape[1:]), given=f"the order x_train, x_test, y_train, y_test; {given}")
    return parts


@check("train_test_split puts each row into one part, with its y", points=2, category="values")
def test_split(submission):
    for n, size in ((10, 0.3), (40, 0.25), (7, 3)):
        x, y = districts(n)
        given = f"train_test_split(x, y, {size}, seed), {n} rows"
        x_train, x_test, y_train, y_test = parts_of(submission, x, y, given, test_size=size, seed=any_seed() % 1000)
        exact = size if isinstance(size, int) else n * size
        expect.true(
            math.floor(exact) <= len(x_test) <= math.ceil(exact),
            expected=f"{exact:g} rows in x_test, rounded up or down",
            got=f"{len(x_test)} rows",
            given=given,
            likely={"test_size is the share of the test rows: x_train and x_test are exchanged": (
                math.floor(exact) <= n - len(x_test) <= math.ceil(exact)
            )},
        )  # fmt: skip
        expect.equal(
            (len(y_train), len(y_test)), (len(x_train), len(x_test)), because="each row has its y", given=given
        )
        numbers = [int(value) - 1000 for part in (y_train, y_test) for value in part]
        expect.equal(sorted(numbers), list(range(n)), given=f"the rows of both parts; {given}")
        together = torch.cat([x_train, x_test])
        expect.close(
            together, x[numbers], rtol=0, atol=0, given=f"the x that belong to the y of both parts; {given}",
            likely={"x keeps its order while y is shuffled": x},
        )  # fmt: skip


@check("train_test_split draws the rows, and the seed decides", points=1, category="values", after=test_split)
def test_split_seed(submission):
    x, y = districts(60)

    def tested(seed):
        return sorted(map(int, parts_of(submission, x, y, "60 rows", test_size=0.5, seed=seed)[3]))

    blocks = (list(range(1030, 1060)), list(range(1000, 1030)))
    for seed in (any_seed() % 1000 + 1, 0):
        given = f"train_test_split(x, y, 0.5, seed={seed}), 60 rows"
        first, again, other = tested(seed), tested(seed), tested(seed + 1)
        expect.equal(again, first, given=f"y_test, the same seed twice; {given}")
        expect.true(
            first not in blocks, expected="test rows from everywhere", got="the last or the first rows of the table",
            given=given,
        )  # fmt: skip
        taken = {number - 1000 for number in first}
        starts = sum((number - 1) % 60 not in taken for number in taken)  # of about 15 runs of neighbours
        expect.true(starts > 3, expected="test rows from everywhere", got=f"{starts} runs of neighbouring rows",
                    given=given)  # fmt: skip
        expect.true(other != first, expected="other test rows for another seed", got="the same rows for two seeds",
                    given=given)  # fmt: skip


@check("train_test_split takes shares and numbers, rows and columns", points=1, category="robustness", after=test_split,
       hidden=True)  # fmt: skip
def test_split_inputs(submission):
    for n, size, column, dtype in (
        (506, 0.1, True, SINGLE),
        (9, 1, False, DOUBLE),
        (5, 0.5, True, DOUBLE),
        (2, 1, False, SINGLE),
    ):
        x, y = districts(n, column, dtype)
        given = f"{n} rows, test_size={size}, y {list(y.shape)}"
        parts = expect.not_mutated(submission, submission.train_test_split, x, y, test_size=size, seed=3, given=given)
        x_train, x_test, y_train, y_test = parts
        exact = size if isinstance(size, int) else n * size
        expect.between(len(x_test), math.floor(exact), math.ceil(exact), unit="test rows", given=given)
        for part, whole in zip((x_train, x_test, y_train, y_test), (x, x, y, y), strict=True):
            expect.dtype(part, dtype, given=given)
            expect.shape(part, (None, *whole.shape[1:]), given=given)
        numbers = sorted(int(value) - 1000 for part in (y_train, y_test) for value in part.flatten())
        expect.equal(numbers, list(range(n)), given=f"the rows of both parts; {given}")
    for shape, dtype, prices in (((8, 3), DOUBLE, SINGLE), ((8, 3), SINGLE, torch.int64), ((9, 2, 3), SINGLE, SINGLE)):
        x, y = torch.randn(shape, dtype=dtype), torch.arange(-shape[0], 0).to(prices)  # -1 is the last row
        given = f"x of {str(dtype)[6:]} {shape}, y of {str(prices)[6:]}"
        x_train, x_test, y_train, y_test = submission.train_test_split(x, y, test_size=3, seed=1)
        for part, rows in ((x_train, y_train), (x_test, y_test)):
            expect.dtype(rows, prices, given=given)
            expect.close(part, x[rows.long()], rtol=0, atol=0, given=given)
    x, y = in_one_table(*districts(22))
    given = "22 rows, x and y columns of one table, test_size and seed left out"
    parts = parts_of(submission, x, y, given)
    expect.between(len(parts[1]), 6, 7, unit="test rows", given=given)
    for part, rows in zip(parts[:2], parts[2:], strict=True):
        expect.close(part, x[rows.long() - 1000], rtol=0, atol=0, given=given)
    written = parts_of(submission, x, y, "22 rows", test_size=0.3, seed=0)
    expect.close(tuple(parts), tuple(written), rtol=0, atol=0, given=f"{given}, and written as 0.3 and 0")


# --- standardising ---------------------------------------------------------------------------------------


def halves(draw, rows, tests, columns, scale):
    """Training and test rows from two places, so that their statistics differ."""
    factors = torch.tensor([scale, 1.0, 1 / scale], dtype=DOUBLE)[:columns]
    train, test = draw(rows, columns), draw(tests, columns)
    return {"train": train * factors.to(train) + 2, "test": test * factors.to(test) - 3}


PARTS = grid(
    halves, rows=[9, 2, 40], tests=[4, 1, 0, 9], columns=[3, 1], scale=[1.0, 200.0], dtype=[DOUBLE, SINGLE],
    layout=AS_GIVEN,
)  # fmt: skip


def standardized(train, test, statistics=None, axis=0, power=1):
    source = train if statistics is None else statistics(train, test)
    mean, scale = source.mean(axis), source.std(axis, correction=0) ** power
    return (train - mean) / scale, (test - mean) / scale


@check("standardize shifts and scales by the training rows", points=2.5, category="values", devices="all")
def test_standardize(submission, device):
    for dtype, slack in ((DOUBLE, 1e3), (SINGLE, 1.0)):  # a small number may be added to the deviation
        expect.agrees(
            submission.probes.scaled,
            standardized,
            PARTS.vary(dtype=[dtype]),
            bound=(submission.standardize,),
            name="standardize",
            device=device,
            slack=slack,
            likely={
                "mean and standard deviation are those of all rows: test rows leak in": lambda train, test: (
                    standardized(train, test, lambda train, test: torch.cat([train, test]))
                ),
                "the test rows are standardised by themselves": lambda train, test: (
                    standardized(train, test)[0],
                    standardized(test, test)[1] if len(test) else test,
                ),
                "one mean and one standard deviation are taken for all columns": lambda train, test: standardized(
                    train, test, axis=(0, 1)
                ),
                "the variance divides, not the standard deviation": lambda train, test: standardized(
                    train, test, power=2
                ),
                "the test rows come back as they were": lambda train, test: (standardized(train, test)[0], test),
            },
        )
    train, test = torch.tensor([[1.0], [3.0], [8.0]]), torch.tensor([[5.0]])
    expect.close(
        submission.probes.scaled(submission.standardize, train, test),
        standardized(train, test),
        given="train = (1, 3, 8), test = (5)",
    )


@check("test rows have no influence on the training rows", points=1, category="robustness", after=test_standardize)
def test_influence(submission):
    train, test = 3 * torch.randn(20, 13) + 5, torch.randn(6, 13)
    first, _ = submission.standardize(train, test)
    second, far = submission.standardize(train, test + 1e6)
    expect.close(second, first, rtol=0, atol=0, given="train after the test rows have moved by 1e6")
    expect.true(float(far.abs().min()) > 1e4, expected="test rows that are far away stay far away",
                got=f"values down to {float(far.abs().min()):.3g}")  # fmt: skip
    wide = train.double() / 3
    rows, again = submission.standardize(wide, wide)
    expect.close(again, rows, rtol=0, atol=1e-10, given="the same float64 rows as train and as test")


@check("a constant column becomes 0, and standardize changes nothing", points=1, category="robustness",
       after=test_standardize, hidden=True)  # fmt: skip
def test_constant(submission):
    train, test = torch.randn(8, 4, dtype=DOUBLE), torch.randn(3, 4, dtype=DOUBLE)
    train[:, 1], train[:, 3] = 2.0, 0.0
    test[:, 2] = 7.0  # constant in test alone
    rows, others = expect.not_mutated(submission, submission.standardize, train, test)
    expect.close(rows[:, [1, 3]], torch.zeros(8, 2, dtype=DOUBLE), rtol=0, atol=1e-9, given="columns of twos and zeros",
                 trivial="zeros are what the task asks for")  # fmt: skip
    expect.true(bool(torch.isfinite(others).all()), expected="finite test rows", got="NaN or infinity",
                given="columns that are constant in train, and not in test")  # fmt: skip
    plain = submission.standardize(train[:, [0, 2]].contiguous(), test[:, [0, 2]].contiguous())
    expect.close((rows[:, [0, 2]], others[:, [0, 2]]), plain, given="the other columns, beside the constant ones")
    wanted = standardized(train[:, [0, 2]], test[:, [0, 2]])
    found = submission.probes.scaled(submission.standardize, train[:, [0, 2]], test[:, [0, 2]])
    expect.close(found, wanted, rtol=1e-6, atol=1e-6, given="a column that is constant in test and not in train")


# --- the score -------------------------------------------------------------------------------------------


def pairs(draw, count, near, level, truth, said):
    y = draw(count) * 3 + level
    shapes = {"row": (count,), "column": (count, 1)}
    return {"y_true": y.reshape(shapes[truth]), "y_pred": (y + near * draw(count)).reshape(shapes[said])}


SCORES = grid(
    pairs, count=[9, 2, 40], near=[1.0, 0.0, 30.0], level=[20.0, 0.0], truth=["row"], said=["row"],
    dtype=[SINGLE, DOUBLE],
)  # fmt: skip


def r2(y_true, y_pred):
    y_true, y_pred = y_true.double().flatten(), y_pred.double().flatten()
    return float(1 - (y_true - y_pred).square().sum() / (y_true - y_true.mean()).square().sum())


@check("r2_score is 1 minus squared errors over squared deviations", points=1.5, category="values")
def test_r2(submission):
    def around(mean):
        def score(y_true, y_pred):
            return float(1 - (y_true - y_pred).square().sum() / (y_true - mean(y_true, y_pred)).square().sum())

        return score

    expect.agrees(
        submission.r2_score,
        r2,
        SCORES.vary(near=[1.0, 30.0]),
        slack=1e3,
        unchanged=True,
        likely={
            "the deviations are those from the mean of the predictions": around(lambda y_true, y_pred: y_pred.mean()),
            "y_true and y_pred are exchanged": lambda y_true, y_pred: r2(y_pred, y_true),
            "the deviations are squared, but not from the mean": around(lambda y_true, y_pred: 0.0),
            "this is the share that is not explained: 1 minus it is asked for": lambda y_true, y_pred: (
                1 - r2(y_true, y_pred)
            ),
        },
    )
    y_true, y_pred = torch.tensor([1.0, 2.0, 3.0, 6.0]), torch.tensor([1.0, 2.0, 4.0, 5.0])
    expect.close(submission.r2_score(y_true, y_pred), 1 - 2 / 14, rtol=0, atol=1e-5,
                 given="prices (1, 2, 3, 6), predicted as (1, 2, 4, 5)")  # fmt: skip


@check("r2_score takes rows and columns, and knows a perfect answer", points=1, category="robustness", after=test_r2,
       hidden=True)  # fmt: skip
def test_r2_shapes(submission):
    expect.agrees(
        submission.r2_score, r2, SCORES.vary(truth=["row", "column"], said=["row", "column"]), slack=1e3,
        likely={
            "each price is compared with each prediction: (N, 1) against (N,)": lambda y_true, y_pred: float(
                1 - (y_true - y_pred).square().sum() / (y_true - y_true.mean()).square().sum()
            )
        },
    )  # fmt: skip
    expect.agrees(submission.r2_score, r2, SCORES.vary(near=[1.0, 30.0], grad=RECORDING), slack=1e3)
    y = 10_000 + 2 * torch.randn(60)
    said = y + torch.randn(60)
    expect.close(submission.r2_score(y, said), r2(y, said), rtol=0, atol=0.01,
                 given="60 prices near 10,000 that deviate by 2")  # fmt: skip
    both = torch.stack([y, said], dim=1)
    for one, other in ((both[:, 0], both[:, 1]), (both[:, :1], both[:, 1]), (both[:, 0], both[:, 1:])):
        given = f"the columns {list(one.shape)} and {list(other.shape)} of one table"
        expect.close(submission.r2_score(one, other), r2(y, said), rtol=0, atol=0.01, given=given)


# --- the net ---------------------------------------------------------------------------------------------


@check("HousingNet has 1,501 trainable numbers", points=0.5, category="parameters")
def test_parameters(submission):
    net = submission.HousingNet()
    expect.parameters(net, 1501)
    frozen = [row["name"] for row in registered_parameters(net) if not row["requires_grad"]]
    expect.equal(frozen, [], because="all of them are trained", given="the parameters that want no gradient")


def layers(draw, count):
    return {"x": draw(count, 13), "w1": draw(100, 13), "b1": draw(100), "w2": draw(1, 100), "b2": draw(1)}


NETS = grid(layers, count=[9, 1, 2, 0], dtype=[SINGLE, DOUBLE], layout=AS_GIVEN)


def network(x, w1, b1, w2, b2, between=F.relu):
    return F.linear(between(F.linear(x, w1, b1)), w2, b2).reshape(-1)


@check("HousingNet is linear, ReLU, linear, for any number of rows", points=2, category="values",
       after=test_parameters, devices="all")  # fmt: skip
def test_net(submission, device):
    expect.agrees(
        submission.probes.answers,
        network,
        NETS,
        bound=(submission.HousingNet,),
        name="HousingNet",
        device=device,
        unchanged=True,
        likely={
            "there is no activation between the layers": lambda *given: network(*given, between=lambda z: z),
            "sigmoid stands in place of ReLU": lambda *given: network(*given, between=torch.sigmoid),
            "tanh stands in place of ReLU": lambda *given: network(*given, between=torch.tanh),
            "ReLU is applied to the price, too": lambda *given: F.relu(network(*given)),
        },
    )
    found = submission.probes.axes_of_answers(submission.HousingNet, [9, 2, 1, 0])
    expect.equal(found, [found[0]] * 4, because="in the same way for each N",
                 given="the number of axes of net(x) for 9 rows, 2, 1 and none")  # fmt: skip


@check(
    "gradients reach all parameters and x of HousingNet", points=0.5, category="gradients", after=test_net, hidden=True
)
def test_net_gradients(submission):
    expect.agrees(submission.probes.answers, network, NETS.vary(count=[9, 1]), bound=(submission.HousingNet,),
                  name="HousingNet", gradients=True)  # fmt: skip


# --- training --------------------------------------------------------------------------------------------


def houses(dataset, tests=101):
    """Standardised rows of a new table, and its prices: x, y, unseen x, unseen y, float32."""
    table = torch.from_numpy(dataset("housing").numbers(any_seed() % 10**6))[torch.randperm(506)]
    x, y = standardized(table[tests:, :13], table[:tests, :13]), table[:, 13]
    return x[0].float(), y[tests:].float(), x[1].float(), y[:tests].float()


@check("train_regressor predicts prices that it has not seen", points=2.5, category="convergence", after=test_net)
def test_fit(submission, dataset, calibration):
    x, y, unseen, prices = houses(dataset)
    said = submission.probes.predictions(submission.train_regressor, x, y, unseen, {})
    expect.shape(said, (len(unseen),), given="the answers of the net for 101 test rows")
    calibration.holds("test_r2", r2(prices, said), unit="(R² of 101 test rows)")


@check("a seed repeats train_regressor, whatever shape y has", points=1, category="values", after=test_net)
def test_column(submission, dataset):
    x, y, unseen, _ = houses(dataset)

    def said(y, seed, epochs=25):
        options = {"epochs": epochs, "seed": seed}
        return submission.probes.predictions(submission.train_regressor, x, y, unseen, options)

    for seed in (any_seed() % 1000 + 1, 0):
        given = f"25 epochs, seed={seed}"
        first = said(y, seed)
        expect.close(said(y, seed), first, rtol=1e-3, atol=1e-3, given=f"the same seed twice; {given}")
        expect.close(said(y[:, None], seed), first, rtol=1e-3, atol=1e-3, given=f"y (N, 1) and y (N,); {given}")
        views = submission.probes.predictions(
            submission.train_regressor, *in_one_table(x, y), unseen, {"epochs": 25, "seed": seed}
        )
        expect.close(views, first, rtol=1e-3, atol=1e-3, given=f"x and y as columns of one table; {given}")
        for epochs in (0, 25):
            moved = said(y, seed + 1, epochs) - (said(y, seed, epochs) if epochs == 0 else first)
            expect.true(float(moved.abs().max()) > 1e-2, expected="another start for another seed",
                        got="the same answers for two seeds", given=f"{epochs} epochs, seed={seed}")  # fmt: skip


@check("train_regressor uses epochs and lr, and leaves x and y alone", points=1, category="robustness",
       after=test_net, hidden=True)  # fmt: skip
def test_options(submission, dataset):
    x, y, unseen, _ = houses(dataset)

    def said(**options):
        return submission.probes.predictions(submission.train_regressor, x, y, unseen, {"seed": 5, **options})

    start = said(epochs=0)
    expect.close(said(epochs=7, lr=0.0), start, rtol=1e-4, atol=1e-4, given="lr=0.0 and epochs=0, the same seed")
    expect.close(said(epochs=0, lr=0.03), start, rtol=1e-4, atol=1e-4, given="epochs=0 with two rates, the same seed")
    for options in ({"epochs": 1}, {"epochs": 7, "lr": 0.03}):
        moved = float((said(**options) - start).abs().max())
        expect.true(moved > 1e-3, expected="other answers than those of the start", got="the same", given=str(options))
    few = [submission.probes.predictions(submission.train_regressor, x[:50], y[:50], unseen, {"epochs": epochs})
           for epochs in (0, 60)]  # fmt: skip
    expect.true(float((few[1] - few[0]).abs().max()) > 1e-3, expected="other answers than those of the start",
                got="the same", given="50 rows, 60 epochs")  # fmt: skip
    first, later = submission.probes.two_nets(submission.train_regressor, x[:40], y[:40], unseen)
    expect.close(later, first, rtol=0, atol=0, given="what a net says, before and after another one is trained")
    expect.not_mutated(submission, submission.train_regressor, x, y, epochs=2)


# --- folds -----------------------------------------------------------------------------------------------


def blocks(n, k, longer="first"):
    """Pairs of sorted row numbers, each fold a block."""
    if not 2 <= k <= n:
        raise ValueError
    sizes = {
        "first": [n // k + (fold < n % k) for fold in range(k)],
        "last": [n // k + (fold >= k - n % k) for fold in range(k)],
        "one": [n // k] * (k - 1) + [n // k + n % k],
        "none": [n // k] * k,
    }[longer]
    ends = [sum(sizes[: fold + 1]) for fold in range(k)]
    return [
        [[row for row in range(n) if not end - size <= row < end], list(range(end - size, end))]
        for end, size in zip(ends, sizes, strict=True)
    ]


@check("k_fold_indices tests each row once, in k blocks", points=1.5, category="values")
def test_blocks(submission):
    expect.agrees(
        submission.probes.folds,
        blocks,
        grid(n=[7, 12, 11, 5, 23, 8], k=[3, 2, 4, 5]),
        bound=(submission.k_fold_indices,),
        name="k_fold_indices",
        likely={
            "the rows that are left over are dropped": lambda n, k: blocks(n, k, "none"),
            "the rows that are left over are neither trained on nor tested": lambda n, k: blocks(n // k * k, k),
            "every k-th row goes into a fold: a fold is a block of neighbours": lambda n, k: [
                [[row for row in range(n) if row % k != fold], list(range(fold, n, k))] for fold in range(k)
            ],
            "the rows that are left over go to the last fold": lambda n, k: blocks(n, k, "one"),
            "the longer folds come last": lambda n, k: blocks(n, k, "last"),
            "there is one round too few: each of the k folds is tested": lambda n, k: blocks(n, k)[:-1],
            "train and test are exchanged": lambda n, k: [pair[::-1] for pair in blocks(n, k)],
        },
    )
    for shuffle in (False, True):
        kind = submission.probes.kind_of_folds(submission.k_fold_indices, 7, 3, shuffle=shuffle)
        expect.equal(kind, "a list of pairs of whole numbers", given=f"k_fold_indices(7, 3, shuffle={shuffle})")
    sizes = [len(test) for _, test in submission.probes.folds(submission.k_fold_indices, 506, 5)]
    expect.equal(sizes, [102, 101, 101, 101, 101], given="test rows of 506 in 5 folds")


@check("k_fold_indices leaves one out for k = n, and refuses other k", points=1, category="robustness",
       after=test_blocks, hidden=True)  # fmt: skip
def test_extremes(submission):
    for n in (2, 5, 6):
        found = submission.probes.folds(submission.k_fold_indices, n, n)
        expect.equal(found, blocks(n, n), given=f"k_fold_indices({n}, {n})")
    found = submission.probes.folds(submission.k_fold_indices, 7, 3, seed=4)
    expect.equal(found, blocks(7, 3), given="k_fold_indices(7, 3, seed=4), which does not shuffle")
    for n, k in ((5, 1), (5, 6), (5, 0), (5, -2), (1, 1)):
        expect.raises(["ValueError"], submission.k_fold_indices, n, k, given=f"k_fold_indices({n}, {k})")
        given = f"k_fold_indices({n}, {k}, shuffle=True)"
        expect.raises(["ValueError"], submission.k_fold_indices, n, k, shuffle=True, given=given)


@check("k_fold_indices shuffles by the seed, and still tests each row once", points=1.5, category="values",
       after=test_blocks)  # fmt: skip
def test_shuffle(submission, pictures):
    for n, k, seed in ((30, 5, any_seed() % 1000 + 1), (23, 4, 0)):
        given = f"k_fold_indices({n}, {k}, shuffle=True, seed={seed})"

        def folds(seed, n=n, k=k):
            return submission.probes.folds(submission.k_fold_indices, n, k, shuffle=True, seed=seed)

        first = folds(seed)
        if n == 30:
            tiles = torch.zeros(k, 40, 48)  # a picture for each fold, a square for each row, white where it is tested
            for tile, (_, test) in zip(tiles, first, strict=True):
                for row in test:
                    top, left = 8 * (row // 6), 8 * (row % 6)
                    tile[top + 1 : top + 7, left + 1 : left + 7] = 1
            pictures.grid("folds", tiles)
        expect.equal([len(test) for _, test in first], [len(test) for _, test in blocks(n, k)], given=f"sizes; {given}")
        expect.equal(sorted(row for _, test in first for row in test), list(range(n)), given=f"all test rows; {given}")
        for train, test in first:
            expect.equal(sorted(train + test), list(range(n)), given=f"train and test of one round; {given}")
        expect.true(first != blocks(n, k), expected="folds with rows from everywhere", got="blocks", given=given)
        expect.equal(folds(seed), first, given=f"the same seed twice; {given}")
        expect.true(
            folds(seed + 1) != first, expected="other folds for another seed", got="the same folds", given=given
        )


@check("a fold of shuffled rows has rows from everywhere", points=0.5, category="values", after=test_shuffle,
       hidden=True)  # fmt: skip
def test_everywhere(submission):
    for n, k in ((30, 5), (41, 4)):
        seed = any_seed() % 1000
        given = f"k_fold_indices({n}, {k}, shuffle=True, seed={seed})"
        found = submission.probes.folds(submission.k_fold_indices, n, k, shuffle=True, seed=seed)
        runs = sum((row - 1) % n not in test for _, test in found for row in test)  # n, if no two were neighbours
        expect.true(runs > n // 2, expected="folds with rows from everywhere", got=f"{runs} runs of neighbouring rows",
                    given=given)  # fmt: skip


# --- cross-validation ------------------------------------------------------------------------------------

ROUND = {"x": None, "y": None, "asked": None, "said": None, "epochs": int, "lr": float}


def validated(submission, n, column=False, **options):
    """The scores of cross_validate, its rounds with the rows that each trained on and tested, and the raw x and y."""
    x, y = districts(n, column)
    order = torch.randperm(n)
    x, y = x[order] * torch.logspace(-2, 2, 13) + 5, y[order]  # the rows are in no order, the scales differ
    x, y = in_one_table(x, y)
    found, rounds = submission.probes.rounds(submission.cross_validate, x, y, options)
    given = f"cross_validate(x, y{''.join(f', {name}={value}' for name, value in options.items())}), {n} rows"
    numbers = {float(price): row for row, price in enumerate(y.flatten())}
    for about in rounds:
        trained = [numbers.get(float(price), -1) for price in about["y"]]
        expect.true(-1 not in trained, expected="prices of the table, as they are, for train_regressor",
                    got="others", given=given)  # fmt: skip
        expect.shape(about["x"], (len(trained), 13), given=f"x for train_regressor; {given}")
        about["train"] = trained
        left = sorted(set(range(n)) - set(trained), key=lambda row: float(x[row, 0]))
        about["test"] = (
            [left[place] for place in about["asked"][:, 0].argsort().argsort()]
            if len(left) == len(about["asked"])
            else left
        )
    return found, rounds, x, y.flatten(), given


@check("cross_validate trains k times, and tests each shuffled row once", points=1.5, category="values",
       after=[test_blocks, test_shuffle])  # fmt: skip
def test_rounds(submission):
    for n, k, column in ((23, 4, False), (30, 5, True), (7, 3, False)):
        _, rounds, _, _, given = validated(submission, n, column, k=k, seed=any_seed() % 1000)
        expect.equal(
            len(rounds), k, because=f"{k} rounds, each with a new net", given=given,
            likely={"one net is trained, and tested on all folds": 1, "one round is missing": k - 1},
        )  # fmt: skip
        for about in rounds:
            expect.equal(len(about["asked"]), n - len(about["train"]), given=f"rows that the net was asked; {given}",
                         likely={"the net is tested on the rows that it was trained on": 0})  # fmt: skip
        tested = sorted(row for about in rounds for row in about["test"])
        expect.equal(tested, list(range(n)), given=f"the test rows of all rounds; {given}")
        sizes = sorted((len(about["test"]) for about in rounds), reverse=True)
        expect.equal(sizes, [len(test) for _, test in blocks(n, k)], given=f"test rows of each round; {given}")
        if k < n:
            in_order = [sorted(about["test"]) == test for about, (_, test) in zip(rounds, blocks(n, k), strict=True)]
            expect.true(
                not all(in_order), expected="shuffled rows", got="blocks in the order of the table", given=given
            )


@check("each round standardises by its own training rows", points=1.5, category="values",
       after=[test_rounds, test_standardize])  # fmt: skip
def test_scaler(submission):
    _, rounds, x, _, given = validated(submission, 24, k=4)
    for about in rounds:
        train, test = x[about["train"]].double(), x[about["test"]].double()
        count = len(train)
        by_all = standardized(train, test, lambda train, test: x.double())
        found = about["x"].double(), about["asked"].double()
        if abs(float(found[0].std(0, correction=1).mean()) - 1) < 1e-4:
            found = tuple(part * (count / (count - 1)) ** 0.5 for part in found)
        expect.close(
            found, standardized(train, test), rtol=1e-3, atol=1e-3,
            given=f"training and test rows of a round, as the net gets them; {given}",
            likely={
                "mean and standard deviation are those of the whole table": by_all,
                "x is not standardised": (train, test),
                "only the training rows are standardised": (standardized(train, test)[0], test),
            },
        )  # fmt: skip


@check("cross_validate returns mean and standard deviation of R²", points=2, category="values",
       after=[test_rounds, test_r2])  # fmt: skip
def test_scores(submission):
    for n, k, column in ((23, 4, False), (20, 2, True), (30, 5, False)):
        found, rounds, _, y, given = validated(submission, n, column, k=k)
        scores = torch.tensor([r2(y[about["test"]], about["said"]) for about in rounds], dtype=DOUBLE)
        pooled = r2(
            y[[row for about in rounds for row in about["test"]]], torch.cat([about["said"] for about in rounds])
        )
        mean, spread = float(scores.mean()), float(scores.std(correction=0))
        expect.record(found, (float,), given=given) if isinstance(found, tuple) else expect.record(
            found, [float], given=given
        )
        expect.close(
            tuple(found), (mean, spread), rtol=1e-3, atol=1e-3, given=f"{given}; the scores are {scores.tolist()}",
            likely={
                "the standard deviation divides by k - 1, not by k": (mean, float(scores.std(correction=1))),
                "the variance is returned, not the standard deviation": (mean, spread**2),
                "R² is computed once for all rows together": (pooled, 0.0),
                "this is the score of the last round": (float(scores[-1]), spread),
            },
        )  # fmt: skip


@check("cross_validate passes epochs and lr on, and shuffles by the seed", points=1, category="values",
       after=test_rounds, hidden=True)  # fmt: skip
def test_passed(submission):
    def tested(**options):
        _, rounds, _, y, _ = validated(submission, 30, **options)
        return rounds, sorted(sorted(float(y[row]) for row in about["test"]) for about in rounds)

    for options in ({}, {"epochs": 12, "lr": 0.25}, {"k": 3, "epochs": 4}, {"k": 2, "epochs": 3, "lr": 0.5, "seed": 4},
                    {"epochs": 0, "lr": 0.0}):  # fmt: skip
        rounds, _ = tested(**options)
        expect.equal(len(rounds), options.get("k", 5), because="rounds", given=str(options))
        for about in rounds:
            expect.equal(
                (about["epochs"], about["lr"]), (options.get("epochs", 300), options.get("lr", 0.01)),
                because="epochs and lr of train_regressor", given=str(options),
                trivial="no epoch at all is one of several settings" if options.get("epochs") == 0 else None,
            )  # fmt: skip
    x, y = districts(30)
    expect.not_mutated(submission, submission.cross_validate, x, y, k=2, epochs=1)

    def folds(seed, **options):
        _, rounds = submission.probes.rounds(submission.cross_validate, x, y, {"seed": seed, **options})
        return sorted(sorted(set(range(30)) - {int(price) - 1000 for price in about["y"]}) for about in rounds)

    for seed, options in ((any_seed() % 1000 + 1, {}), (0, {}), (7, {"k": 3, "epochs": 2, "lr": 0.5})):
        first, again, other = (folds(number, **options) for number in (seed, seed, seed + 1))
        expect.equal(again, first, given=f"the test rows, the same seed twice; seed={seed}")
        expect.true(other != first, expected="other folds for another seed", got="the same folds",
                    given=f"seed={seed}, {options}" if options else f"seed={seed}")  # fmt: skip


LIBRARIES = Rule(
    of=("parse_table", "train_test_split", "standardize", "r2_score", "HousingNet", "train_regressor",
        "k_fold_indices", "cross_validate"),
    names=("sklearn", "scipy", "pandas", "torchmetrics"),
    instead="PyTorch, NumPy and the standard library",
)  # fmt: skip


@check("everything is written here, not taken from a library", points=0.5, category="rules", gates=LIBRARIES)
def test_libraries(submission):
    expect.avoids(submission.r2_score, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]), rule=LIBRARIES)
