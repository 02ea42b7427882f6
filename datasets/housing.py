"""A table of districts in the layout of the Boston housing data: 506 rows of 13 inputs and a price, as text.

``generate(seed)`` returns the text of a whitespace table. Nothing in it is measured; what it shares with the table
that it stands for is what makes that one hard for a beginner. The inputs have scales from 0.01 to 1000, one of them
is 0 or 1, some are skewed and some hang together; the price bends and has noise; and the rows are in order: the price
falls from the first to the last, so that the last rows are no sample of the others.
"""

import numpy as np

ROWS = 506
NAMES = ("crime", "plots", "industry", "river", "smog", "rooms", "age", "distance", "ring", "tax", "pupils", "index",
         "income", "price")  # fmt: skip
WIDTHS = (8, 6, 6, 2, 7, 6, 6, 8, 3, 6, 6, 7, 6, 6)
DIGITS = (5, 2, 2, 0, 4, 3, 1, 4, 0, 1, 2, 2, 2, 2)


def numbers(seed=0, rows=ROWS):
    """The table itself, float64 (rows, 14): 13 inputs and the price, which falls from row to row."""
    draw = np.random.default_rng(seed)
    city, wealth = draw.standard_normal((2, rows))  # what many columns have in common
    own = draw.standard_normal((13, rows))
    columns = [
        np.exp(1.2 * city - 0.6 * wealth + 0.5 * own[0] - 2),
        np.maximum(0, 12 - 15 * city + 12 * own[1]).round(1),
        11 + 5 * city + 3 * own[2],
        (own[3] > 1.4).astype(float),
        0.55 + 0.09 * city + 0.04 * own[4],
        6.3 + 0.5 * wealth + 0.4 * own[5],
        np.clip(68 + 22 * city + 14 * own[6], 3, 100),
        np.exp(1.2 - 0.4 * city + 0.25 * own[7]),
        np.clip((9 + 5 * city + 4 * own[8]).round(), 1, 24),
        410 + 110 * city + 60 * own[9],
        18.5 - 0.8 * wealth + 1.6 * own[10],
        356 - 40 * city + 50 * own[11],
        np.clip(12 - 4 * wealth + 2.5 * own[12], 1.5, 40),
    ]
    x = np.stack(columns, 1)
    z = (x - x.mean(0)) / x.std(0)
    price = (
        23 + 4 * z[:, 5] - 3 * z[:, 12] + 1.5 * z[:, 12] ** 2 - 1.5 * z[:, 4] - 1.2 * z[:, 10] - 1.5 * z[:, 7]
        + 1.5 * np.maximum(z[:, 5], 0) ** 2 + 2 * x[:, 3] - 0.8 * z[:, 0] + 2 * draw.standard_normal(rows)
    )  # fmt: skip
    order = np.argsort(-price, kind="stable")
    return np.concatenate([x, price[:, None]], 1)[order]


def generate(seed=0, rows=ROWS):
    """The table as text: one row a line, the numbers in columns of fixed width, a blank at each line's beginning."""
    return "".join(
        "".join(f" {value:{width}.{digits}f}" for value, width, digits in zip(row, WIDTHS, DIGITS, strict=True)) + "\n"
        for row in numbers(seed, rows)
    )


def catalogue():
    """What ``python grade.py data`` says about this set."""
    return {
        "name": "housing",
        "title": "a table of 506 districts, 13 inputs and a price, as text",
        "kind": "generated",
        "status": "ready",
        "detail": "drawn from a seed, nothing to fetch",
        "where": [],
        "get": "",
    }
