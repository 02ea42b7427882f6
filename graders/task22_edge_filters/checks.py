"""Checks for task 22: edge filters, and the arithmetic of a sliding window.

The oracles are NumPy's windows for sizes and PyTorch's convolution for values. Where a check is not about the order
of the taps, kernels are the same when they are turned round or transposed, so that a flip costs the checks that
are about it.
"""

import numpy as np
import torch
from torch.nn import functional as F

from torchgrade.authoring import LAYOUTS, LEFT_OUT, RECORDING, Rule, check, expect, grid, kit

MODES = [LEFT_OUT, "same", "full", "valid"]
PADDED = ["same", "full"]
DTYPES = [torch.float32, torch.float64]
WHOLE = [torch.uint8, torch.int64, torch.int16]

# Sizes


def zeros_at_each_end(f, padding):
    if padding == "same" and f % 2 == 0:
        raise ValueError("same needs an odd number of taps")
    words = {"valid": 0, "same": (f - 1) // 2, "full": f - 1}
    if isinstance(padding, str) and padding not in words:
        raise ValueError(f"no padding is called {padding!r}")
    return words[padding] if isinstance(padding, str) else padding


def output_size(n, f, padding=0, stride=1):
    """The places of a kernel, laid one by one."""
    zeros = zeros_at_each_end(f, padding)
    if f > n + 2 * zeros:
        raise ValueError("the kernel does not fit")
    return len(np.lib.stride_tricks.sliding_window_view(np.zeros(n + 2 * zeros), f)[::stride])


def size_by(count):
    """Another arithmetic: ``count(n, f, zeros at each end, stride)``."""
    return lambda n, f, padding=0, stride=1: count(n, f, zeros_at_each_end(f, padding), stride)


@check("output_size counts the places where the kernel fits", points=1.5, category="shapes")
def test_output_size(submission):
    expect.agrees(
        submission.output_size,
        output_size,
        grid(
            n=[6, 7, 28, 39],
            f=[3, 2, 5, 1, 6],
            padding=[LEFT_OUT, 1, 2, 0],
            stride=[LEFT_OUT, 2, 3, 1],
        ),
        likely={
            "the count is rounded up: the last place reaches beyond the picture": size_by(
                lambda n, f, p, s: -(-(n + 2 * p - f) // s) + 1
            ),
            "the division is not rounded: a count is a whole number": size_by(
                lambda n, f, p, s: (n + 2 * p - f) / s + 1
            ),
            "the + 1 is missing: the first place counts too": size_by(lambda n, f, p, s: (n + 2 * p - f) // s),
            "the zeros are counted at one end only": size_by(lambda n, f, p, s: (n + p - f) // s + 1),
            "the first place is divided by the stride as well": size_by(lambda n, f, p, s: (n + 2 * p - f + 1) // s),
        },
    )


@check('output_size understands "valid", "same" and "full"', points=1, category="shapes", after=test_output_size)
def test_size_words(submission):
    def same_keeps_n(n, f, padding=0, stride=1):
        return n if padding == "same" else output_size(n, f, padding, stride)

    def one_tap_more(n, f, padding=0, stride=1):
        return output_size(n, f, f if padding == "full" else padding, stride)

    expect.agrees(
        submission.output_size,
        output_size,
        grid(n=[6, 7, 2, 1], f=[3, 5, 1, 7, 4], padding=["same", "full", "valid"], stride=[LEFT_OUT, 2, 3],
             where=lambda n, f, padding: {"valid": f <= n, "same": f % 2, "full": True}[padding]),
        likely={
            'the stride is not used with "same"': same_keeps_n,
            '"full" pads with f - 1 zeros: with f of them the kernel leaves the picture': one_tap_more,
        },
    )  # fmt: skip


@check("output_size refuses what has no size", points=1, category="robustness", after=test_output_size)
def test_size_refusals(submission):
    unfit = grid(n=[4, 5, 2], f=[5, 8, 7], padding=[LEFT_OUT, 1, "valid", 0], stride=[LEFT_OUT, 2, 3],
                 where=lambda n, f, padding: f > n + 2 * (padding == 1))  # fmt: skip
    expect.agrees(submission.output_size, output_size, unfit, refuses=["ValueError"])
    just = grid(n=[2, 1], f=[3, 4, 5, 6], padding=[1, 2], stride=[LEFT_OUT, 2],
                where=lambda n, f, padding: f <= n + 2 * padding)  # fmt: skip
    expect.agrees(submission.output_size, output_size, just)
    even = grid(n=[8, 9], f=[4, 2, 6], padding=["same"], stride=[LEFT_OUT, 2])
    expect.agrees(submission.output_size, output_size, even, refuses=["ValueError"])
    words = grid(n=[8], f=[3, 4], padding=["sam", "SAME", "reflect", ""])
    expect.agrees(submission.output_size, output_size, words, refuses=["ValueError"])


def sizes_through(n, layers):
    sizes = [n]
    for layer in layers:
        sizes.append(output_size(sizes[-1], *layer))
    return sizes


STACKS = [
    [(3, 0, 1), (5, 0, 2), (5, 0, 2)],
    [],
    [(3, "same", 1)],
    [(3, 1, 2), (2, 0, 2), (5, "full", 1)],
    [(7, 3, 2), (3, "valid", 2), (3, "same", 2), (1, 0, 1)],
]


@check(
    "sizes_through follows 39 pixels down to 7", points=1, category="shapes", after=[test_output_size, test_size_words]
)
def test_sizes_through(submission):
    def without_start(n, layers):
        return sizes_through(n, layers)[1:]

    def of_the_first(n, layers):
        return [n, *(output_size(n, *layer) for layer in layers)]

    expect.agrees(
        submission.sizes_through,
        sizes_through,
        grid(n=[39, 40, 64], layers=STACKS),
        likely={
            "the size at the start is left out": without_start,
            "every layer is given the size at the start": of_the_first,
            "only the last size is returned": lambda n, layers: sizes_through(n, layers)[-1],
        },
        unchanged=True,
    )


@check("sizes_through refuses a stack that has no size left", points=0.5, category="robustness",
       after=[test_sizes_through, test_size_refusals], hidden=True)  # fmt: skip
def test_stack_refusals(submission):
    stacks = [[(3, 0, 1), (7, 0, 1)], [(3, 0, 2), (3, 0, 2)], [(3, 1, 1), (4, "same", 1)], [(3, "equal", 1)]]
    cases = grid(n=[8, 5], layers=stacks)
    expect.agrees(submission.sizes_through, sizes_through, cases, refuses=["ValueError"])


# Filters

TABLES = {
    "simple": [[1, 0, -1], [1, 0, -1], [1, 0, -1]],
    "prewitt": [[1, 0, -1], [1, 0, -1], [1, 0, -1]],
    "sobel": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
    "scharr": [[3, 0, -3], [10, 0, -10], [3, 0, -3]],
}
ROBERTS = {"vertical": [[1, 0], [0, -1]], "horizontal": [[0, 1], [-1, 0]]}


def edge_kernel(name, direction):
    if direction not in ROBERTS:
        raise ValueError(direction)
    if name == "roberts":
        return torch.tensor(ROBERTS[direction], dtype=torch.float32)
    if name not in TABLES:
        raise ValueError(name)
    table = torch.tensor(TABLES[name], dtype=torch.float32)
    return table if direction == "vertical" else table.T.clone()


@check("edge_kernel knows five filters, for two directions each", points=2, category="values")
def test_edge_kernel(submission):
    def turned(name, direction):
        return edge_kernel(name, "vertical" if direction == "horizontal" else "horizontal")

    def quarter_turn(name, direction):
        table = edge_kernel(name, "vertical")
        return table if direction == "vertical" else table.rot90(-1)

    def always_transposed(name, direction):
        table = edge_kernel(name, "vertical")
        return table if direction == "vertical" else table.T.clone()

    expect.agrees(
        submission.edge_kernel,
        edge_kernel,
        grid(name=["sobel", "simple", "prewitt", "scharr", "roberts"], direction=["vertical", "horizontal"]),
        likely={
            "the two directions are swapped: a vertical edge has bright and dark side by side": turned,
            "the signs are turned: bright on the left or on top is positive": lambda name, direction: (
                -edge_kernel(name, direction)
            ),
            "the table of Roberts stays as it is when it is transposed": always_transposed,
        },
    )


@check("edge_kernel refuses other names and directions", points=0.5, category="robustness", after=test_edge_kernel)
def test_edge_kernel_refusals(submission):
    cases = grid(name=["sobel", "canny", "Sobel", "roberts"], direction=["vertical", "diagonal", "", "Horizontal"])
    expect.agrees(submission.edge_kernel, edge_kernel, cases, refuses=["ValueError"])


@check("edge_kernel makes a new tensor at every call", points=0.5, category="robustness", after=test_edge_kernel,
       hidden=True)  # fmt: skip
def test_edge_kernel_is_new(submission):
    for name in (*TABLES, "roberts"):
        for direction in ROBERTS:
            first = submission.probes.after_spoiling(submission.edge_kernel, name, direction)
            given = f"edge_kernel({name!r}, {direction!r}), after an earlier result was filled with 99"
            expect.close(first, edge_kernel(name, direction), given=given)


# Sums of products


def floating(x):
    return x if x.is_floating_point() else x.float()


def sums(x, k, mode="valid", change=None):
    """PyTorch's own, with what the task asks besides; ``change`` is a mistake in the kernel."""
    x = floating(x)
    k = k.to(x.dtype)
    if mode not in ("valid", "same", "full"):
        raise ValueError(mode)
    if mode == "same" and not all(size % 2 for size in k.shape):
        raise ValueError("even")
    if mode == "valid" and any(size > room for size, room in zip(k.shape, x.shape, strict=True)):
        raise ValueError("too large")
    zeros = {"valid": (0, 0), "same": tuple(size // 2 for size in k.shape), "full": tuple(size - 1 for size in k.shape)}
    k = k if change is None else change(k)
    return F.conv2d(x[None, None], k[None, None], padding=zeros[mode])[0, 0]


def with_kernel(change):
    return lambda x, k, mode="valid": sums(x, k, mode, change)


def half_turn(k):
    return k.flip(0, 1)


def folded(x, k, mode="valid"):
    return sums(x, k, mode, half_turn)


def turning(shape, dtype, generator):
    """numbers of both signs near 0, kernels that are the same when they are flipped, turned or transposed"""
    return symmetric(kit.normal(shape, torch.float64, generator)) / 4


def symmetric(kernel):
    kernel = kernel + kernel.flip(-1)
    kernel = kernel + kernel.flip(-2)
    return kernel + kernel.T if kernel.shape[0] == kernel.shape[1] else kernel


def edgy(shape, dtype, generator):
    """whole numbers, kernels that change their sign when they are turned round, as edge filters do"""
    kernel = torch.randint(-3, 4, tuple(shape), generator=generator).double()
    kernel[0] += 4
    return kernel - kernel.flip(-1, -2)


def picture_and_kernel(draw, size, kernel):
    return {"x": draw(*size), "k": draw(*kernel)}


def picture_and_even_taps(draw, size, kernel):
    return {"x": draw(*size), "k": draw(*kernel, values=turning)}


def whole_taps(shape, dtype, generator):
    """whole numbers, kernels that are the same when they are flipped, turned or transposed"""
    lowest = 0 if dtype is torch.uint8 else -3
    return symmetric(torch.randint(lowest, 4, tuple(shape), generator=generator).double())


SIZES = [(6, 7), (5, 5), (9, 8)]
KERNELS = [(3, 2), (3, 3), (1, 4), (2, 1), (1, 1)]
PLAIN = grid(picture_and_kernel, size=SIZES, kernel=KERNELS)
TURNED = grid(picture_and_even_taps, size=[(6, 7), (6, 6), (9, 8)], kernel=[(3, 3), (3, 5), (1, 3), (5, 1)])


def half_bright():
    picture = torch.zeros(6, 6)
    picture[:, :3] = 10
    return picture


def rows_of(row):
    return torch.tensor([row] * 4, dtype=torch.float32)


def tables():
    return {name: torch.tensor(table, dtype=torch.float32) for name, table in TABLES.items()}


@check("cross_correlate2d finds 30, 40 and 160 at the edge of the half picture", points=0.5, category="values")
def test_half_picture(submission, pictures):
    picture, found = half_bright(), {}
    for name, height in (("simple", 30), ("sobel", 40), ("scharr", 160)):
        kernel = tables()[name]
        found[name] = submission.cross_correlate2d(picture, kernel)
        expect.close(
            found[name],
            rows_of([0, height, height, 0]),
            given=f"6 x 6, 10 on the left and 0 on the right; {name} filter for vertical edges",
            likely={
                "the kernel is turned round, or flipped from left to right": rows_of([0, -height, -height, 0]),
                "the kernel is transposed: this filter looks for horizontal edges": torch.zeros(4, 4),
            },
        )
    given = "the same picture; simple filter for horizontal edges"
    none = submission.cross_correlate2d(picture, tables()["simple"].T.contiguous())
    expect.close(none, torch.zeros(4, 4), given=given, trivial="there is no horizontal edge")
    pictures.grid("half_picture", torch.stack([torch.as_tensor(response) for response in found.values()]))


@check("cross_correlate2d lays the kernel over the picture as it is", points=1.5, category="values", devices="all")
def test_correlate(submission, device):
    expect.agrees(
        submission.cross_correlate2d,
        sums,
        PLAIN.vary(values=[kit.normal, kit.thousands], dtype=DTYPES),
        device=device,
        likely={
            "the kernel is turned round: that is convolution": folded,
            "the kernel is flipped upside down": with_kernel(lambda k: k.flip(0)),
            "the kernel is flipped from left to right": with_kernel(lambda k: k.flip(1)),
            "negative sums are cut off: they are edges from dark to bright": lambda x, k: sums(x, k).clamp(min=0),
        },
    )


@check('cross_correlate2d pads with zeros for "same" and "full"', points=1.5, category="values")
def test_correlate_modes(submission):
    def repeated(x, k, mode="valid"):
        rows, columns = {"valid": (0, 0), "same": (k.shape[0] // 2, k.shape[1] // 2)}.get(
            mode, (k.shape[0] - 1, k.shape[1] - 1)
        )
        return sums(F.pad(x[None], (columns, columns, rows, rows), mode="replicate")[0], k)

    def axes_swapped(x, k, mode="valid"):
        rows, columns = {"valid": (0, 0), "same": (k.shape[0] // 2, k.shape[1] // 2)}.get(
            mode, (k.shape[0] - 1, k.shape[1] - 1)
        )
        return sums(F.pad(x, (rows, rows, columns, columns)), k)

    expect.agrees(
        submission.cross_correlate2d,
        sums,
        TURNED.vary(mode=["same", "full", "valid"]),
        likely={
            "the border is repeated, not filled with zeros": repeated,
            "rows and columns of the padding are swapped": axes_swapped,
        },
    )
    larger = TURNED.vary(size=[(2, 4), (3, 2)], kernel=[(5, 3), (3, 5)], mode=["same", "full"])
    expect.agrees(submission.cross_correlate2d, sums, larger)


@check("cross_correlate2d refuses kernels and modes that fit nowhere", points=0.5, category="robustness")
def test_correlate_refusals(submission):
    large = grid(picture_and_even_taps, size=[(4, 6), (6, 4), (3, 3)], kernel=[(5, 3), (3, 5), (5, 5), (4, 4)],
                 where=lambda size, kernel: kernel[0] > size[0] or kernel[1] > size[1])  # fmt: skip
    expect.agrees(submission.cross_correlate2d, sums, large, refuses=["ValueError"])
    even = grid(picture_and_even_taps, size=[(6, 7)], kernel=[(2, 3), (3, 2), (4, 4)], mode=["same"])
    expect.agrees(submission.cross_correlate2d, sums, even, refuses=["ValueError"])
    words = grid(picture_and_even_taps, size=[(6, 7)], kernel=[(3, 3), (2, 2)], mode=["Full", "reflect", ""])
    expect.agrees(submission.cross_correlate2d, sums, words, refuses=["ValueError"])


def mixed_dtypes(draw, size, kernel, pixels, taps):
    """A picture and a kernel of two dtypes; pixels are from 0 to 9 where they are whole."""
    values = whole_taps if not taps.is_floating_point else turning
    return {"x": draw(*size, dtype=pixels), "k": draw(*kernel, dtype=taps, values=values)}


def typed(pixels, taps):
    return grid(mixed_dtypes, size=[(6, 7), (4, 5)], kernel=[(3, 3), (1, 3)], pixels=pixels, taps=taps)


BOTH = ("cross_correlate2d", "convolve2d")


@check("whole numbers become float32, and negative sums stay negative", points=0.5, category="robustness",
       hidden=True)  # fmt: skip
def test_whole_numbers(submission):
    def in_the_range_of_bytes(x, k):
        y = sums(x, k)
        return y.clamp(0, 255).to(torch.uint8).float() if x.dtype is torch.uint8 else y

    def back_to_whole(x, k):
        return sums(x, k).to(torch.int64).to(x.dtype).float()

    for name in BOTH:
        expect.agrees(
            getattr(submission, name),
            sums,
            typed(WHOLE, [torch.float32, torch.float64, torch.int64]),
            name=name,
            likely={
                "negative sums are cut off: a byte holds no sign": in_the_range_of_bytes,
                "the sums are cast back to the dtype of the picture, where bytes wrap round": back_to_whole,
            },
        )


@check("the result has the dtype of the picture, not of the kernel", points=0.5, category="robustness",
       hidden=True)  # fmt: skip
def test_dtypes(submission):
    for name in BOTH:
        cases = typed(DTYPES, [torch.float32, torch.float64, torch.int64, torch.uint8])
        expect.agrees(getattr(submission, name), sums, cases, name=name)


@check("any order in memory goes in, and nothing is changed", points=0.5, category="robustness",
       hidden=True)  # fmt: skip
def test_layouts(submission):
    cases = TURNED.vary(mode=MODES, layout=LAYOUTS, grad=RECORDING)
    for name in BOTH:
        expect.agrees(getattr(submission, name), sums, cases, unchanged=True, name=name)


@check("single pixels, rows, columns and even kernels go in", points=0.5, category="robustness", hidden=True)
def test_smallest(submission):
    cases = grid(
        picture_and_even_taps,
        size=[(3, 3), (1, 5), (5, 1), (1, 1)],
        kernel=[(1, 1), (3, 1), (1, 3), (3, 3)],
        mode=MODES,
        where=lambda size, kernel: kernel[0] <= size[0] and kernel[1] <= size[1],
    )
    for name in BOTH:
        expect.agrees(getattr(submission, name), sums, cases, name=name)
    even = grid(picture_and_even_taps, size=[(4, 5), (5, 5)], kernel=[(2, 2), (2, 3), (4, 1), (2, 4)], mode=["full"])
    for name in BOTH:
        expect.agrees(getattr(submission, name), sums, even, name=name)


@check("gradients reach picture and kernel of cross_correlate2d", points=1, category="gradients")
def test_correlate_gradients(submission):
    for cases in (TURNED.vary(mode=MODES, dtype=DTYPES), typed([torch.float64], [torch.float32])):
        expect.agrees(submission.cross_correlate2d, sums, cases, gradients=True)


@check("convolve2d turns the kernel by 180 degrees", points=1.5, category="values", devices="all",
       after=test_correlate)  # fmt: skip
def test_convolve(submission, device):
    expect.agrees(
        submission.convolve2d,
        folded,
        PLAIN.vary(values=[kit.normal, kit.thousands], dtype=DTYPES),
        device=device,
        likely={
            "the kernel is not turned: that is cross-correlation": sums,
            "the kernel is flipped upside down only, not from left to right as well": with_kernel(lambda k: k.flip(0)),
            "the kernel is flipped from left to right only, not upside down as well": with_kernel(lambda k: k.flip(1)),
            "the picture is turned, so the result is turned too": lambda x, k: sums(half_turn(x), k),
        },
    )


@check("convolve2d finds -30 where cross-correlation finds 30", points=0.5, category="values",
       after=[test_half_picture, test_correlate], hidden=True)  # fmt: skip
def test_convolve_half(submission):
    kernel = tables()["simple"]
    expect.close(
        submission.convolve2d(half_bright(), kernel),
        rows_of([0, -30, -30, 0]),
        likely={"the kernel is not turned: that is cross-correlation": rows_of([0, 30, 30, 0])},
        given="6 x 6, 10 on the left and 0 on the right; simple filter for vertical edges",
    )


@check("a single bright pixel becomes the kernel itself", points=0.5, category="values",
       after=[test_convolve, test_correlate_modes])  # fmt: skip
def test_impulse(submission):
    kernel = torch.arange(1.0, 16).reshape(3, 5)
    picture = torch.zeros(7, 9)
    picture[2, 4] = 1
    same = torch.zeros(7, 9)
    same[1:4, 2:7] = kernel
    full = F.pad(same, (2, 2, 1, 1))
    given = "7 x 9 with a 1 at (2, 4), a 3 x 5 kernel of 1 to 15, mode {}"
    for mode, truth in {"same": same, "full": full, "valid": same[1:-1, 2:-2]}.items():
        expect.close(
            submission.convolve2d(picture, kernel, mode),
            truth,
            given=given.format(mode),
            rtol=1e-4,
            atol=1e-4,
        )
    turned = {mode: sums(picture, kernel, mode) for mode in MODES[1:]}
    for mode, truth in turned.items():
        expect.close(submission.cross_correlate2d(picture, kernel, mode), truth,
                     given=f"cross_correlate2d of the same, mode {mode}, where the kernel comes out turned",
                     likely={
                         "the kernel is turned round: that is convolution": folded(picture, kernel, mode),
                     })  # fmt: skip


@check("convolve2d knows the same modes and refusals", points=0.5, category="values",
       after=[test_correlate, test_correlate_modes, test_correlate_refusals], hidden=True)  # fmt: skip
def test_convolve_modes(submission):
    expect.agrees(submission.convolve2d, folded, TURNED.vary(mode=MODES))
    expect.agrees(submission.convolve2d, folded, TURNED.vary(mode=PADDED), gradients=True)
    larger = TURNED.vary(size=[(2, 4), (3, 2)], kernel=[(5, 3), (3, 5)], mode=PADDED)
    expect.agrees(submission.convolve2d, folded, larger)
    cases = grid(
        picture_and_even_taps,
        size=[(4, 6), (6, 4), (3, 4)],
        kernel=[(3, 3), (5, 3), (3, 5), (2, 3), (3, 2), (4, 5)],
        mode=["valid", "same", "reflect"],
        where=lambda kernel, mode: mode != "same" or max(kernel) < 5,
    )
    expect.agrees(submission.convolve2d, folded, cases, refuses=["ValueError"])


@check("gradients reach picture and kernel of convolve2d", points=0.5, category="gradients", after=test_convolve,
       hidden=True)  # fmt: skip
def test_convolve_gradients(submission):
    for cases in (PLAIN.vary(dtype=DTYPES), typed([torch.float64], [torch.float32])):
        expect.agrees(submission.convolve2d, folded, cases, gradients=True)


# Edges


def responses(img, kernel):
    if isinstance(kernel, str):
        filters = [edge_kernel(kernel, direction) for direction in ROBERTS]
    else:
        filters = [kernel, kernel.T]
    return [sums(img, k.to(img.device)) for k in filters]


def gradient_magnitude(img, kernel):
    gx, gy = responses(img, kernel)
    return torch.sqrt(gx**2 + gy**2)


def magnitude_by(combine):
    return lambda img, kernel: combine(*responses(img, kernel))


NAMES = ["sobel", "simple", "prewitt", "scharr", "roberts"]
MISTAKES = {
    "the two responses cancel: this is |gx + gy|": magnitude_by(lambda gx, gy: (gx + gy).abs()),
    "this is |gx| + |gy|, which is too much for slanted edges": magnitude_by(lambda gx, gy: gx.abs() + gy.abs()),
    "the root is missing": magnitude_by(lambda gx, gy: gx**2 + gy**2),
    "only the vertical edges are counted": magnitude_by(lambda gx, gy: gx.abs()),
    "only the horizontal edges are counted": magnitude_by(lambda gx, gy: gy.abs()),
    "the larger response is taken, not the root of both squares": magnitude_by(
        lambda gx, gy: torch.maximum(gx.abs(), gy.abs())
    ),
    "the result is stretched to a largest value of 1": magnitude_by(
        lambda gx, gy: torch.sqrt(gx**2 + gy**2) / torch.sqrt(gx**2 + gy**2).max()
    ),
}


def a_picture(draw, size):
    return {"img": draw(*size)}


def picture_and_filter(draw, size, side):
    return {"img": draw(*size), "kernel": draw(side, side, values=edgy)}


@check("gradient_magnitude joins the two responses of a filter by its name", points=1.5, category="values",
       devices="all", after=test_edge_kernel)  # fmt: skip
def test_magnitude(submission, device):
    cases = grid(a_picture, size=[(6, 7), (5, 5), (9, 4)], kernel=NAMES, values=[kit.normal, kit.thousands])

    def padded(img, kernel):
        room = 0 if kernel == "roberts" else 1  # an even filter has no middle
        return gradient_magnitude(F.pad(img, (room, room, room, room)), kernel)

    more = {"zeros beyond the border look like an edge: use mode valid": padded}
    expect.agrees(submission.gradient_magnitude, gradient_magnitude, cases, likely=MISTAKES | more, device=device)


@check("gradient_magnitude takes a filter as a tensor, too", points=1, category="values")
def test_magnitude_tensor(submission):
    def not_transposed(img, kernel):
        return sums(img, kernel).abs() * 2**0.5

    cases = grid(picture_and_filter, size=[(6, 7), (5, 5), (9, 4)], side=[3, 2, 4])
    likely = MISTAKES | {
        "the kernel is not transposed: both responses are the same": not_transposed,
    }
    expect.agrees(submission.gradient_magnitude, gradient_magnitude, cases, likely=likely)


@check("the bright corner of the docstring gives 10 and 14.142", points=0.5, category="values",
       after=test_edge_kernel, hidden=True)  # fmt: skip
def test_corner(submission):
    picture = torch.zeros(4, 4)
    picture[:2, :2] = 10
    slanted = 200**0.5
    truth = torch.tensor([[0, slanted, 0], [slanted, 10, 0], [0, 0, 0]])
    expect.close(submission.gradient_magnitude(picture, "roberts"), truth, given="the bright corner, roberts")


def mixed_picture(draw, size, pixels):
    return {"img": draw(*size, dtype=pixels)}


def mixed_filter(draw, size, pixels, taps):
    return {"img": draw(*size, dtype=pixels), "kernel": draw(3, 3, dtype=taps, values=edgy)}


@check("gradient_magnitude takes every dtype and order in memory", points=0.5, category="robustness",
       after=[test_edge_kernel, test_magnitude, test_magnitude_tensor], hidden=True)  # fmt: skip
def test_magnitude_inputs(submission):
    function = submission.gradient_magnitude
    named = grid(
        mixed_picture, size=[(6, 7), (4, 3)], pixels=[torch.float64, *WHOLE], kernel=["sobel", "roberts", "scharr"]
    )
    expect.agrees(function, gradient_magnitude, named)
    given = grid(mixed_filter, size=[(6, 7)], pixels=[*DTYPES, torch.uint8], taps=[*DTYPES, torch.int64])
    expect.agrees(function, gradient_magnitude, given)
    layouts = grid(picture_and_filter, size=[(6, 7), (5, 4)], side=[3, 2], layout=LAYOUTS, grad=RECORDING)
    layouts = layouts.only(lambda layout, size: layout != "expanded")
    expect.agrees(function, gradient_magnitude, layouts, unchanged=True)


@check("gradients flow through gradient_magnitude", points=0.5, category="gradients",
       after=[test_edge_kernel, test_magnitude, test_magnitude_tensor], hidden=True)  # fmt: skip
def test_magnitude_gradients(submission):
    function = submission.gradient_magnitude
    expect.agrees(function, gradient_magnitude, grid(a_picture, size=[(5, 6)], kernel=NAMES, dtype=DTYPES),
                  gradients=True)  # fmt: skip
    for cases in (
        grid(picture_and_filter, size=[(5, 6)], side=[3, 2], dtype=DTYPES),
        grid(mixed_filter, size=[(5, 6)], pixels=[torch.float64], taps=[torch.float32]),
    ):
        expect.agrees(function, gradient_magnitude, cases, gradients=True)


def edge_mask(img, kernel, threshold=0.5):
    magnitude = gradient_magnitude(img, kernel)
    return magnitude > threshold * magnitude.max()


@check("edge_mask is True where the magnitude is above its share of the largest", points=1.5, category="values",
       after=[test_edge_kernel, test_magnitude, test_magnitude_tensor])  # fmt: skip
def test_mask(submission):
    def of_the_range(img, kernel, threshold=0.5):
        magnitude = gradient_magnitude(img, kernel)
        low, high = magnitude.min(), magnitude.max()
        return magnitude > low + threshold * (high - low)

    def of_the_mean(img, kernel, threshold=0.5):
        magnitude = gradient_magnitude(img, kernel)
        return magnitude > threshold * magnitude.mean()

    def absolute(img, kernel, threshold=0.5):
        return gradient_magnitude(img, kernel) > threshold

    likely = {
        "the threshold is not a share of the largest magnitude": absolute,
        "the threshold is a share of the mean magnitude, not of the largest": of_the_mean,
        "the smallest magnitude is not subtracted": of_the_range,
        "True and False are swapped": lambda img, kernel, threshold=0.5: ~edge_mask(img, kernel, threshold),
    }
    thresholds = [LEFT_OUT, 0.2, 0.8, 0.37]
    named = grid(a_picture, size=[(9, 11), (8, 8)], kernel=["sobel", "roberts", "scharr"], threshold=thresholds,
                 values=[kit.normal, kit.thousands])  # fmt: skip
    expect.agrees(submission.edge_mask, edge_mask, named, likely=likely)
    tensors = grid(picture_and_filter, size=[(9, 11), (8, 8)], side=[3, 2], threshold=thresholds,
                   layout=["contiguous", "transposed", "gaps"], grad=RECORDING)  # fmt: skip
    expect.agrees(submission.edge_mask, edge_mask, tensors, likely=likely, unchanged=True)


def halves():
    """Pictures with a strong edge in the middle and a weak one behind it, on other levels."""
    half = torch.zeros(6, 9)
    half[:, :3], half[:, 6:] = 10, 2
    return {
        "9 columns: 10, 0 and 2, three of each": half,
        "9 columns: 0, -10 and -8, three of each": half - 10,
        "9 columns: 10, 0 and 2, three of each, as bytes": half.to(torch.uint8),
        "9 columns, 10, 0 and 2, three of each, and 1e9 more": half.double() + 1e9,
    }


@check(
    "an even picture has no edges, half a picture one, at any threshold",
    points=0.5,
    category="robustness",
    after=test_mask,
)
def test_even_picture(submission):
    for level in (0.0, 7.0):
        for threshold in (0.0, 0.5, 1.0):
            expect.close(
                submission.edge_mask(torch.full((8, 8), level), "sobel", threshold),
                torch.zeros(6, 6, dtype=torch.bool),
                trivial="nothing is an edge",
                given=f"8 x 8 pixels of {level}, sobel, threshold={threshold}",
                likely={"0 is not larger than 0: an edge is above its share, not at it": torch.ones(6, 6).bool()},
            )
    levels = (
        (255, torch.uint8, "sobel"),
        (-7, torch.int64, "scharr"),
        (255, DTYPES[1], "roberts"),
        (7, DTYPES[0], "prewitt"),
    )
    for level, dtype, kernel in levels:
        img = torch.full((8, 8), level, dtype=dtype)
        none = torch.zeros(7, 7, dtype=torch.bool) if kernel == "roberts" else torch.zeros(6, 6, dtype=torch.bool)
        kind = str(dtype).removeprefix("torch.")
        given = f"8 x 8 pixels of {level}, {kind}, {kernel}"
        expect.close(submission.edge_mask(img, kernel), none, trivial="nothing is an edge", given=given)
        for threshold in (0.0, 1.0):
            expect.close(submission.edge_mask(img, kernel, threshold), none, trivial="nothing is an edge",
                         given=f"{given}, threshold={threshold}")  # fmt: skip
    for name, img in halves().items():
        likely = {"a threshold of 0 is taken for none": edge_mask(img, "sobel")}
        for threshold in (0.0, 0.5, 0.9):
            truth = edge_mask(img, "sobel", threshold)
            expect.close(submission.edge_mask(img, "sobel", threshold), truth, trivial="the edge may be everywhere",
                         given=f"{name}, sobel, threshold={threshold}",
                         likely=likely if threshold == 0 else {})  # fmt: skip
    for kernel in ("sobel", "scharr"):
        none = torch.zeros(7, 7, dtype=torch.bool)
        given = f"9 x 9 pixels of noise, {kernel}, threshold=1: nothing is larger than the largest"
        expect.close(submission.edge_mask(torch.randn(9, 9), kernel, 1.0), none, trivial="no edge", given=given)


# Learning


def noise(kind, size, dtype=torch.float32):
    made = {
        "from 0 to 1": torch.rand(size),
        "from 0 to 255": torch.rand(size) * 255,
        "around 0": torch.randn(size),
        "around 0, small": torch.randn(size) / 10,
    }
    return made[kind].to(dtype)


def learnt(submission, img, kernel, given, likely=None):
    target = sums(img, kernel)
    target = target.T.contiguous().T  # not contiguous
    expect.close(submission.learn_kernel(img, target), kernel.to(target.dtype), rtol=0, atol=0.01, likely=likely,
                 given=given)  # fmt: skip


@check("learn_kernel recovers a 3 x 3 filter within 0.01", points=2.5, category="convergence", seconds=20)
def test_learn(submission):
    kernel = torch.tensor([[2.0, 0, -1], [5, 1, -3], [1, 0.5, -2]])
    likely = {
        "the kernel is turned round: that is what convolution would learn": half_turn(kernel),
        "the kernel is transposed": kernel.T,
    }
    learnt(submission, noise("from 0 to 1", (20, 20)), kernel, "20 x 20 pixels of noise from 0 to 1", likely)


@check("learn_kernel learns at any brightness", points=1, category="convergence", seconds=40, after=test_learn,
       hidden=True)  # fmt: skip
def test_learn_brightness(submission):
    for kind in ("from 0 to 255", "around 0", "around 0, small"):
        kernel = tables()["scharr"] + torch.eye(3)
        kernel[1] -= kernel[1].sign() * 1  # between -10 and 10
        learnt(submission, noise(kind, (20, 22)), kernel, f"20 x 22 pixels of noise {kind}, a 3 x 3 kernel up to 9")


@check("learn_kernel learns kernels of other sizes and dtypes", points=1, category="convergence", seconds=40,
       after=test_learn, hidden=True)  # fmt: skip
def test_learn_sizes(submission):
    for size, dtype in (((2, 3), torch.float32), ((1, 2), torch.float64), ((4, 2), torch.uint8),
                        ((3, 1), torch.int64)):  # fmt: skip
        img = noise("from 0 to 255", (21, 18), dtype).T  # not contiguous
        given = f"18 x 21 pixels of noise from 0 to 255, {str(dtype)[6:]}, a kernel of {size[0]} x {size[1]}"
        learnt(submission, img, torch.randn(size) * 2, given)


@check("learn_kernel returns a plain tensor, and changes none", points=0.5, category="robustness", seconds=20,
       after=test_learn, hidden=True)  # fmt: skip
def test_learn_is_plain(submission):
    for _ in range(2):
        img, kernel = noise("around 0", (16, 18), torch.float64), torch.randn(3, 3, dtype=torch.float64)
        found = expect.not_mutated(submission, submission.learn_kernel, img, sums(img, kernel))
        expect.no_grad_leak(found, given="the kernel that learn_kernel returns")
        expect.close(found, kernel, rtol=0, atol=0.01, given="16 x 18 pixels of noise around 0, float64")


# Rules

BY_HAND = Rule(
    of=BOTH,
    functions=(*(f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3)), "convolution", "conv_tbc"),
    instead="pad, unfold, slices, einsum or fft",
)
STEP_BY_STEP = Rule(
    of=("learn_kernel",),
    functions=("lstsq", "solve", "solve_ex", "solve_triangular", "inv", "inv_ex", "inverse", "pinv", "pinverse",
               "cholesky_solve", "cholesky_inverse", "lu_solve", "tensorsolve", "tensorinv", "ldl_solve", "qr", "svd"),
    instead="steps against the gradient",
)  # fmt: skip


@check("the two sums of products do without PyTorch's convolutions", points=0.5, category="rules", gates=BY_HAND)
def test_by_hand(submission):
    for name in BOTH:
        for mode in ("valid", "same", "full"):
            given = f"{name}, mode {mode}"
            expect.avoids(
                getattr(submission, name), torch.randn(6, 7), torch.randn(3, 3), mode, rule=BY_HAND, given=given
            )


@check("learn_kernel takes steps, and solves no equations", points=0.5, category="rules", gates=STEP_BY_STEP,
       seconds=20)  # fmt: skip
def test_step_by_step(submission):
    img = torch.randn(8, 8)
    expect.avoids(submission.learn_kernel, img, sums(img, torch.randn(2, 2)), rule=STEP_BY_STEP)


@check("the number of PyTorch calls does not grow with the picture", points=1, category="efficiency")
def test_growth(submission):
    kernel = torch.randn(3, 3)
    for name in (*BOTH, "gradient_magnitude"):
        function = getattr(submission, name)
        expect.vectorised(function, (torch.randn(6, 7), kernel), (torch.randn(24, 28), kernel),
                          given=f"{name} on (24, 28), after (6, 7)")  # fmt: skip
    for name in BOTH:
        for mode in PADDED:
            function, small, large = getattr(submission, name), torch.randn(6, 7), torch.randn(24, 28)
            expect.vectorised(function, (small, kernel, mode), (large, kernel, mode),
                              given=f"{name}, mode {mode}, on (24, 28), after (6, 7)")  # fmt: skip


@check("every tensor is made where the picture is", points=0.5, category="devices", hidden=True)
def test_devices(submission):
    img, kernel = torch.randn(6, 7), torch.randn(3, 3)
    for name in BOTH:
        for mode in ("valid", "same", "full"):
            expect.portable(getattr(submission, name), img, kernel, mode, given=f"{name}, mode {mode}")
    for taken in ("sobel", "roberts", kernel):
        given = f"with kernel {taken if isinstance(taken, str) else '3 x 3'}"
        expect.portable(submission.gradient_magnitude, img, taken, given=f"gradient_magnitude {given}")
