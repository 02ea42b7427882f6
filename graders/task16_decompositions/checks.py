"""Checks for task 16: norms, decompositions and distributions.

The oracles are slow formulas, eigenvectors where the reference takes singular values, and PyTorch's distributions.
A direction may point either way: ``probes.settled`` and ``settled`` here choose the sign.
"""

import torch
from torch.nn import functional as F

from torchgrade.authoring import LEFT_OUT, RECORDING, any_seed, check, expect, grid, kit

SINGLE, DOUBLE = torch.float32, torch.float64
INFINITY = float("inf")
REFUSED = ["RuntimeError", "ValueError", "ZeroDivisionError", "AssertionError"]
LAYOUTS = ["contiguous", "transposed", "gaps", "offset"]
INPUTS = {"dtype": [DOUBLE, SINGLE], "layout": LAYOUTS, "grad": RECORDING}
ROUGH = 100.0  # methods that are equally right differ by some roundings more than a sum does


# --- vector_norm ---------------------------------------------------------------------------------------------------

NORMS = grid(
    shape=[(5,), (3, 4), (1,), (), (2, 1, 3)],
    p=[LEFT_OUT, 1, INFINITY, -INFINITY, 3, 2.5, 0.5, 2, 0],
    dtype=[DOUBLE, SINGLE],
)


def by_formula(x, p=2):
    sizes = x.abs().reshape(-1)
    if p == 0:
        return (sizes > 0).sum().to(x.dtype)
    if abs(p) == INFINITY:
        return sizes.max() if p > 0 else sizes.min()
    return (sizes**p).sum() ** (1 / p)


def finite_p(rule):
    """A mistake that is made for finite p other than 0 alone."""
    return lambda x, p=2: by_formula(x, p) if p == 0 or abs(p) == INFINITY else rule(x, p)


@check("vector_norm gives every norm of its docstring", points=0.5, category="values")
def test_vector_norm_example(submission):
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=DOUBLE)
    expected = {0: 2.0, 1: 7.0, 2: 5.0, INFINITY: 4.0, -INFINITY: 0.0}
    for p, value in expected.items():
        expect.close(
            submission.vector_norm(x, p),
            torch.tensor(value, dtype=DOUBLE),
            trivial="a smallest magnitude of 0" if value == 0 else None,
            likely={"0 to the power 0 is 1: zeros are counted, too": torch.tensor(4.0, dtype=DOUBLE)} if p == 0 else {},
            given=f"x = [[3, 4], [0, 0]], p = {p}",
        )
    for p in (0.5, 2.5):
        given = f"x = [[3, 4], [0, 0]], p = {p}"
        expect.close(submission.vector_norm(x, p), torch.tensor((3**p + 4**p) ** (1 / p), dtype=DOUBLE), given=given)
    x = torch.tensor([1e-20, 0.0, -1e-30, 3.0, -0.0], dtype=DOUBLE)
    expect.close(
        submission.vector_norm(x, 0),
        torch.tensor(3.0, dtype=DOUBLE),
        likely={"a tiny number is not 0": torch.tensor(1.0, dtype=DOUBLE)},
        given=f"x = {x.tolist()}, p = 0",
    )


@check("vector_norm agrees with its formula for every p", points=2, category="values", devices="all")
def test_vector_norm(submission, device):
    expect.agrees(
        submission.vector_norm,
        by_formula,
        NORMS,
        device=device,
        likely={
            "p is not used": lambda x, p=2: by_formula(x),
            "the root is missing": finite_p(lambda x, p: (x.abs() ** p).sum()),
            "the magnitudes are missing": lambda x, p=2: (
                by_formula(x, p) if p == 0 else x.max() if p == INFINITY else x.min() if p == -INFINITY
                else (x**p).sum() ** (1 / p)
            ),
            "each row has a norm of its own": lambda x, p=2: torch.linalg.vector_norm(x, p, dim=-1),
            "the mean is taken, not the sum": finite_p(lambda x, p: (x.abs() ** p).mean() ** (1 / p)),
        },
    )  # fmt: skip


@check("vector_norm takes any layout, and passes gradients", points=0.5, category="gradients", after=test_vector_norm,
       hidden=True)  # fmt: skip
def test_vector_norm_gradients(submission):
    some = NORMS.vary(p=[LEFT_OUT, 1, INFINITY, -INFINITY, 3, 2.5, 0.5])
    expect.agrees(submission.vector_norm, by_formula, some, gradients=True, slack=10)
    expect.agrees(submission.vector_norm, by_formula, some.vary(**INPUTS), unchanged=True)


# --- nuclear_norm --------------------------------------------------------------------------------------------------


def elongated(shape, dtype, generator):
    """columns that are spread less and less, mixed, and moved away from 0"""
    shape = torch.Size(shape)
    drawn = torch.randn(shape, generator=generator, dtype=DOUBLE)
    if len(shape) < 2:
        return drawn
    columns = shape[-1]
    mix, _ = torch.linalg.qr(torch.randn(columns, columns, generator=generator, dtype=DOUBLE))
    spread = 3.0 ** -torch.arange(columns, dtype=DOUBLE)
    return (4 * drawn * spread) @ mix + torch.linspace(1, 3, columns, dtype=DOUBLE)


def minute(shape, dtype, generator):
    """numbers of both signs near 0, some hundred-millionths large"""
    return kit.normal(shape, dtype, generator) * 1e-8


def flat(shape, dtype, generator):
    """a matrix of rank 1"""
    rows, columns = torch.Size(shape)
    column = torch.randn(rows, 1, generator=generator, dtype=DOUBLE)
    return column * torch.randn(1, columns, generator=generator, dtype=DOUBLE)


def stubborn(rows, columns):
    """A matrix with the singular values 4, 3 and from then on 2, whose columns have the mean 0."""
    chance = torch.Generator().manual_seed(any_seed())
    drawn = torch.randn(rows, columns, generator=chance, dtype=DOUBLE)
    left, _ = torch.linalg.qr(drawn - drawn.mean(0))
    right, _ = torch.linalg.qr(torch.randn(columns, columns, generator=chance, dtype=DOUBLE))
    sizes = torch.full((columns,), 2.0, dtype=DOUBLE)
    sizes[:2] = torch.tensor([4.0, 3.0])
    return (left * sizes) @ right


def matrix(draw, size):
    return {"m": draw(*size)}


MATRICES = grid(
    matrix,
    size=[(3, 3), (2, 4), (5, 2), (1, 3), (1, 1), (4, 1)],
    values=[kit.normal, elongated, minute],
    dtype=[DOUBLE, SINGLE],
)


def nuclear(m):
    small = m if len(m) <= m.shape[1] else m.T
    return torch.linalg.eigvalsh(small @ small.T).clamp(min=0).sqrt().sum()


@check("nuclear_norm is the sum of the singular values", points=2, category="values", devices="all")
def test_nuclear_norm(submission, device):
    expect.agrees(
        submission.nuclear_norm,
        nuclear,
        MATRICES,
        device=device,
        slack=ROUGH,
        likely={
            "this is the Frobenius norm, the root of the sum of squares": lambda m: (m * m).sum().sqrt(),
            "this is the largest singular value": lambda m: torch.linalg.matrix_norm(m, 2),
            "this is the trace: it sums the eigenvalues": lambda m: m.diagonal().sum(),
            "the root of the eigenvalues of m mᵀ is missing": lambda m: (m * m).sum(),
        },
    )


@check("nuclear_norm takes matrices of any rank, and any layout", points=0.5, category="robustness",
       after=test_nuclear_norm, hidden=True)  # fmt: skip
def test_nuclear_norm_inputs(submission):
    expect.agrees(submission.nuclear_norm, nuclear, MATRICES.vary(**INPUTS), unchanged=True, slack=ROUGH)
    for size in ((3, 3), (2, 4), (5, 3)):
        m = flat(size, DOUBLE, torch.Generator().manual_seed(any_seed()))
        expect.close(
            submission.nuclear_norm(m), (m * m).sum().sqrt(), rtol=1e-6, atol=1e-6, given=f"m {size} of rank 1"
        )
        nothing = torch.zeros(size, dtype=DOUBLE)
        expect.close(
            submission.nuclear_norm(nothing), nothing.sum(), atol=1e-6, rtol=0.0, trivial="rank 0", given="zeros"
        )


# --- cosine_similarity ---------------------------------------------------------------------------------------------


def vectors(draw, shapes):
    return {"a": draw(*shapes[0]), "b": draw(*shapes[1])}


VECTORS = grid(
    vectors,
    shapes=[
        ((2, 3), (2, 3)),
        ((3, 3), (3, 3)),
        ((4,), (4,)),
        ((2, 1, 4), (3, 4)),
        ((2, 3, 4), (4,)),
        ((5, 1), (5, 1)),
        ((1, 3), (1, 3)),
    ],
    values=[kit.normal, kit.thousands],
    dtype=[DOUBLE, SINGLE],
)


def cosine(a, b, eps=1e-8, floor=lambda one, other, eps: one.clamp(min=eps) * other.clamp(min=eps)):
    return (a * b).sum(-1) / floor(a.square().sum(-1).sqrt(), b.square().sum(-1).sqrt(), eps)


@check("cosine_similarity is the cosine of the angle, along the last axis", points=2, category="values", devices="all")
def test_cosine(submission, device):
    expect.agrees(
        submission.cosine_similarity,
        cosine,
        VECTORS,
        device=device,
        slack=ROUGH,  # eps has a check of its own
        likely={
            "this is 1 minus the cosine, a distance": lambda a, b: 1 - cosine(a, b),
            "the products are not divided by the lengths": lambda a, b: (a * b).sum(-1),
            "the vectors lie along the last axis, not the first": lambda a, b: F.cosine_similarity(a, b, dim=0),
            "only the length of a is divided by": lambda a, b: (a * b).sum(-1) / a.square().sum(-1).sqrt(),
            "the roots of the lengths are missing": lambda a, b: (
                (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1))
            ),
        },
    )


@check("in cosine_similarity each length counts as at least eps", points=1, category="values", after=test_cosine)
def test_cosine_eps(submission):
    expect.agrees(
        submission.cosine_similarity,
        cosine,
        VECTORS.vary(eps=[LEFT_OUT, 2.0, 0.5], values=[kit.normal, minute]),
        likely={
            "eps is added to the lengths": lambda a, b, eps=1e-8: cosine(
                a, b, eps, lambda one, other, eps: (one + eps) * (other + eps)
            ),
            "eps is added to the product of the lengths": lambda a, b, eps=1e-8: cosine(
                a, b, eps, lambda one, other, eps: one * other + eps
            ),
            "the product of the lengths counts as at least eps, not each of them": lambda a, b, eps=1e-8: cosine(
                a, b, eps, lambda one, other, eps: (one * other).clamp(min=eps)
            ),
        },
    )


@check("cosine_similarity takes any layout, and passes gradients", points=0.5, category="gradients", after=test_cosine,
       hidden=True)  # fmt: skip
def test_cosine_gradients(submission):
    some = VECTORS.vary(values=[kit.normal])
    longer = some.only(lambda shapes: shapes[0] != (5, 1))  # in one dimension the cosine is 1 or -1
    expect.agrees(submission.cosine_similarity, cosine, longer, gradients=True, slack=ROUGH)
    expect.agrees(submission.cosine_similarity, cosine, some.vary(**INPUTS), unchanged=True, slack=ROUGH)


@check("cosine_similarity of a vector of zeros is 0, its gradients finite", points=1, category="robustness",
       after=test_cosine)  # fmt: skip
def test_cosine_of_zeros(submission):
    for dtype in (DOUBLE, SINGLE):
        zeros, other, third = torch.zeros(2, 3, dtype=dtype), *torch.randn(2, 2, 3, dtype=dtype)
        partly = other * torch.tensor([[0.0], [1.0]], dtype=dtype)
        for a, b, given in (
            (zeros, other, "a is 0"),
            (other, zeros, "b is 0"),
            (zeros, zeros, "a and b are 0"),
            (partly, third, "one of two rows of a is 0"),
            (third, partly, "one of two rows of b is 0"),
        ):
            given = f"{given}, {dtype}"
            a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
            got = submission.cosine_similarity(a, b)
            truth = cosine(a.detach(), b.detach())
            expect.close(got.detach(), truth, rtol=1e-5, atol=1e-5, trivial="the point is the 0", given=given)
            gradients = torch.autograd.grad(got.sum(), (a, b))
            for name, gradient in zip("ab", gradients, strict=True):
                finite = bool(gradient.isfinite().all())
                expect.true(
                    finite,
                    expected="finite gradients",
                    got=f"a gradient of {name} with NaN or infinity",
                    likely={"the root of 0 has an infinite slope": not finite},
                    given=given,
                )


# --- pca -----------------------------------------------------------------------------------------------------------

SAMPLES = [((8, 3), 2), ((8, 3), 1), ((6, 2), 2), ((12, 4), 3), ((9, 5), 4), ((5, 1), 1)]  # (n, d) and k


def samples(*shape):
    return elongated(shape, DOUBLE, torch.Generator().manual_seed(any_seed()))


def settled(components, scores, ratio):
    largest = components.abs().argmax(1, keepdim=True)
    signs = torch.where(components.gather(1, largest) < 0, -1.0, 1.0).to(components.dtype)
    return [components * signs, scores * signs.T, ratio]


def by_covariance(x, centre=True, ascending=False):
    """Eigenvalues (d,) and eigenvectors in rows (d, d), the largest first; the data they are of."""
    data = x - x.mean(0) if centre else x
    values, columns = torch.linalg.eigh(data.T @ data / (len(x) - 1))  # ascending
    return (values, columns.T, data) if ascending else (values.flip(0), columns.flip(1).T, data)


def principal(x, k, **how):
    values, rows, data = by_covariance(x, **how)
    return settled(rows[:k], data @ rows[:k].T, values[:k] / values.sum())


def mistaken(x, k):
    """What known mistakes make of components, scores and ratio."""
    values, rows, data = by_covariance(x)
    components, scores, ratio = principal(x, k)
    across = rows.T[:k]
    return {
        "the columns are not centred": principal(x, k, centre=False),
        "the smallest variance comes first": principal(x, k, ascending=True),
        "rows of the matrix of eigenvectors are taken; its columns are the directions": settled(
            across, data @ across.T, ratio
        ),
        "the scores are those of x before it is centred": settled(rows[:k], x @ rows[:k].T, ratio),
        "ratio compares deviations, not variances": [components, scores, values.clamp(min=0).sqrt()[:k]
                                                     / values.clamp(min=0).sqrt().sum()],
        "ratio leaves out the variance of the other directions": [components, scores, values[:k] / values[:k].sum()],
        "ratio holds the variances, not their shares": [components, scores, values[:k]],
    }  # fmt: skip


@check("pca returns components (k, d), scores (n, k) and ratios (k,)", points=1, category="shapes")
def test_pca_shapes(submission):
    for (n, d), k in (((8, 3), 2), ((6, 4), 1), ((9, 6), 3)):
        found = submission.pca(torch.randn(n, d), k)
        given = f"x ({n}, {d}), k {k}"
        count = len(found) if isinstance(found, (tuple, list)) else 1
        expect.equal(count, 3, because="components, scores and ratio", given=given)
        expect.shape(found[0], (k, d), given=f"{given}: components", likely={"components stand in columns": (d, k)})
        expect.shape(found[1], (n, k), given=f"{given}: scores")
        expect.shape(found[2], (k,), given=f"{given}: ratio", likely={"all ratios are returned": (min(n, d),)})


@check("pca finds directions, scores and ratios, largest variance first", points=3, category="values",
       after=test_pca_shapes, devices="all")  # fmt: skip
def test_pca(submission, device):
    for shape, k in (*SAMPLES, ((40, 30), 2)):
        x = (stubborn(*shape) + 1 if shape[1] > 9 else samples(*shape)).to(device)
        expected = principal(x, k)
        mistakes = mistaken(x, k) if shape[1] > 1 else {}  # in one dimension they are one
        likely = {text: wrong for text, wrong in mistakes.items() if apart(wrong, expected)}
        got = submission.probes.settled(submission.pca, x, k)
        expect.close(got, expected, rtol=1e-5, atol=1e-6, likely=likely, given=f"x {shape}, k {k}")


def apart(one, other):
    """Whether a mistake shows here: with k = d no variance is left out."""
    return any(
        a.shape != b.shape or not torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(one, other, strict=True)
    )


@check("pca takes fewer samples than columns, and columns that depend", points=1, category="robustness",
       after=test_pca, hidden=True)  # fmt: skip
def test_pca_rank(submission):
    for shape, k in (((4, 6), 3), ((3, 5), 2), ((2, 4), 1)):
        x = samples(*shape)
        got = submission.probes.settled(submission.pca, x, k)
        expect.close(got, principal(x, k), rtol=1e-5, atol=1e-6, given=f"x {shape}, k {k}")
    x = samples(8, 2)
    x = torch.cat([x, x[:, :1] - x[:, 1:]], 1)
    got = submission.probes.settled(submission.pca, x, 2)
    expect.close(got, principal(x, 2), rtol=1e-5, atol=1e-6, given="x (8, 3), its last column the difference of others")
    x = torch.cat([samples(8, 2), torch.ones(8, 1, dtype=DOUBLE)], 1)
    got = submission.probes.settled(submission.pca, x, 2)
    expect.close(got, principal(x, 2), rtol=1e-5, atol=1e-6, given="x (8, 3), its last column holds ones alone")
    x = samples(8, 3) + 1e7
    got = submission.probes.settled(submission.pca, x, 2)
    expect.close(got, principal(x, 2), rtol=1e-5, atol=1e-6, given="x (8, 3), all columns near 10000000")


@check("pca takes any layout and dtype, and leaves x alone", points=0.5, category="robustness", after=test_pca,
       hidden=True)  # fmt: skip
def test_pca_inputs(submission):
    x = samples(8, 3)
    for layout in LAYOUTS:
        laid = kit.lay_out(x, layout)
        got = submission.probes.settled(submission.pca, laid, 2)
        expect.close(got, principal(x, 2), rtol=1e-5, atol=1e-6, given=f"x (8, 3), float64, {layout}")
        expect.not_mutated(submission, submission.pca, laid, 2)
    single = x.float()
    for part in submission.probes.settled(submission.pca, single, 2):
        expect.dtype(part, SINGLE, given="x (8, 3), float32")
    tracked = submission.probes.settled(submission.pca, x.clone().requires_grad_(), 2)
    expect.close(
        [part.detach() for part in tracked], principal(x, 2), rtol=1e-5, atol=1e-6, given="x requires gradients"
    )


# --- low_rank ------------------------------------------------------------------------------------------------------

APPROXIMATED = grid(
    matrix,
    size=[(4, 3), (3, 3), (2, 5), (5, 2), (1, 4), (3, 1)],
    k=[1, 2, 3],
    values=[elongated, minute],
    dtype=[DOUBLE, SINGLE],
    where=lambda size, k: k <= min(size),
)


def projected(m, k):
    """m on the span of the k leading eigenvectors of mᵀ m."""
    _, columns = torch.linalg.eigh(m.T @ m)
    leading = columns[:, -k:]
    return m @ leading @ leading.T


def cut_svd(m, k, change):
    left, sizes, right = torch.linalg.svd(m, full_matrices=False)
    return change(left, sizes, right)


@check("low_rank keeps the k largest singular values", points=2, category="values", devices="all")
def test_low_rank(submission, device):
    expect.agrees(
        submission.low_rank,
        projected,
        APPROXIMATED,
        device=device,
        slack=ROUGH,
        likely={
            "the smallest singular values are kept": lambda m, k: cut_svd(
                m, k, lambda u, s, v: (u[:, -k:] * s[-k:]) @ v[-k:]
            ),
            "only the k-th singular value is kept": lambda m, k: cut_svd(
                m, k, lambda u, s, v: (u[:, k - 1 : k] * s[k - 1]) @ v[k - 1 : k]
            ),
            "the columns of m are centred first": lambda m, k: projected(m - m.mean(0), k) + m.mean(0),
            "the singular values are left out of the product": lambda m, k: cut_svd(
                m, k, lambda u, s, v: u[:, :k] @ v[:k]
            ),
        },
    )
    m = stubborn(40, 30).to(device)
    expect.close(submission.low_rank(m, 2), projected(m, 2), rtol=1e-6, atol=1e-6,
                 given="m (40, 30) with the singular values 4, 3, 2, 2, 2, ..., k 2")  # fmt: skip


@check("low_rank gives back a matrix of rank k or less, in any layout", points=0.5, category="robustness",
       after=test_low_rank, hidden=True)  # fmt: skip
def test_low_rank_inputs(submission):
    expect.agrees(submission.low_rank, projected, APPROXIMATED.vary(**INPUTS), unchanged=True, slack=ROUGH)
    for size, k in (((4, 3), 1), ((4, 3), 2), ((2, 5), 2)):
        m = flat(size, DOUBLE, torch.Generator().manual_seed(any_seed()))
        expect.close(
            submission.low_rank(m, k),
            m,
            rtol=1e-6,
            atol=1e-6,
            trivial="a matrix of rank 1 is its own best approximation",
            given=f"m {size} of rank 1, k {k}",
        )
    for size, k in (((2, 2), 1), ((3, 4), 2)):
        nothing = torch.zeros(size, dtype=DOUBLE)
        expect.close(submission.low_rank(nothing, k), nothing, trivial="rank 0", given=f"m {size} of rank 0, k {k}")
    for k in (1, 2):
        found, given = submission.low_rank(2 * torch.eye(3, dtype=DOUBLE), k), f"m = 2 on the diagonal, (3, 3), k {k}"
        expect.shape(found, (3, 3), given=given)
        rank = int(torch.linalg.matrix_rank(found))
        keeps = {"of equal singular values, too, only k are kept": rank == 3}
        expect.true(rank == k, f"a matrix of rank {k}", f"a matrix of rank {rank}", likely=keeps, given=given)
        expect.close((found - 2 * torch.eye(3, dtype=DOUBLE)).square().sum(), torch.tensor(4.0 * (3 - k), dtype=DOUBLE),
                     given=f"{given}: the sum of squared differences")  # fmt: skip


# --- lu_solve ------------------------------------------------------------------------------------------------------


def hollow(shape, dtype, generator):
    """numbers of both signs near 0, but zeros on the diagonal and large numbers beside it"""
    drawn = torch.randn(torch.Size(shape), generator=generator, dtype=DOUBLE) / 4
    size = shape[-1]
    return drawn * (1 - torch.eye(size, dtype=DOUBLE)) + 2 * torch.eye(size, dtype=DOUBLE).roll(1, 0)


def nearly_hollow(shape, dtype, generator):
    """large numbers beside a diagonal of tiny ones"""
    return hollow(shape, dtype, generator) + 1e-17 * torch.eye(shape[-1], dtype=DOUBLE)


def dominant(shape, dtype, generator):
    """numbers of both signs near 0, larger on the diagonal"""
    drawn = torch.randn(torch.Size(shape), generator=generator, dtype=DOUBLE) / 2
    return drawn + 3 * torch.eye(shape[-1], dtype=DOUBLE)


def system(draw, n, columns):
    shape = (n,) if columns == 0 else (n, n if columns == "n" else columns)
    return {"a": draw(n, n), "b": draw(*shape, values=kit.normal)}


SYSTEMS = grid(system, n=[3, 2, 5, 1], columns=[0, 1, 4, "n"], values=[dominant], dtype=[DOUBLE, SINGLE])
HOLLOW = SYSTEMS.vary(n=[3, 2, 4], values=[hollow, nearly_hollow])


def by_cofactors(a, b):
    """Cramer's rule: x_i is the determinant of a with b as column i, divided by that of a."""
    wide = b.unsqueeze(1) if b.ndim == 1 else b
    rows = []
    for i in range(len(a)):
        for_column = [
            torch.linalg.det(torch.cat([a[:, :i], wide[:, j : j + 1], a[:, i + 1 :]], 1)) for j in range(wide.shape[1])
        ]
        rows.append(torch.stack(for_column))
    x = torch.stack(rows) / torch.linalg.det(a)
    return x[:, 0] if b.ndim == 1 else x


@check("lu_solve solves linear equations", points=2, category="values", devices="all")
def test_lu_solve(submission, device):
    expect.agrees(
        submission.lu_solve,
        by_cofactors,
        SYSTEMS,
        device=device,
        slack=ROUGH,
        likely={
            "this is a · b, not the solution": lambda a, b: a @ b,
            "this solves with the transpose of a": lambda a, b: by_cofactors(a.T, b),
            "a vector b comes back as a column": lambda a, b: (
                by_cofactors(a, b).unsqueeze(1) if b.ndim == 1 else by_cofactors(a, b)
            ),
        },
    )


@check("lu_solve exchanges rows where the diagonal holds zeros", points=1, category="values", after=test_lu_solve)
def test_lu_solve_pivots(submission):
    expect.agrees(submission.lu_solve, by_cofactors, HOLLOW, slack=ROUGH)


@check("lu_solve refuses a singular matrix", points=0.5, category="robustness", after=test_lu_solve)
def test_lu_solve_refuses(submission):
    matrices = [[[2.0, 4.0], [1.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]], [[1.0, 0, 2], [0, 1, 3], [0, 0, 0]], [[0.0]]]
    for rows in matrices:
        a = torch.tensor(rows, dtype=DOUBLE)
        expect.raises(REFUSED, submission.lu_solve, a, torch.ones(len(a), dtype=DOUBLE), given=f"a = {rows}")
    a = 1e-4 * dominant((4, 4), DOUBLE, torch.Generator().manual_seed(any_seed()))
    b = torch.ones(4, dtype=DOUBLE)
    expect.close(submission.lu_solve(a, b), by_cofactors(a, b), rtol=1e-6, atol=0.0,
                 given="a (4, 4) of small numbers, which is not singular: its determinant is near 1e-14")  # fmt: skip


@check("lu_solve takes any layout, and passes gradients", points=0.5, category="gradients", after=test_lu_solve,
       hidden=True)  # fmt: skip
def test_lu_solve_gradients(submission):
    expect.agrees(submission.lu_solve, by_cofactors, SYSTEMS, gradients=True, slack=ROUGH)
    expect.agrees(submission.lu_solve, by_cofactors, SYSTEMS.vary(**INPUTS), unchanged=True, slack=ROUGH)


# --- kl_normal -----------------------------------------------------------------------------------------------------


def scales(shape, dtype, generator):
    """positive numbers between 1/2 and 3/2"""
    return kit.positive(shape, dtype, generator)


def wide_scales(shape, dtype, generator):
    """positive numbers from thousandths to thousands"""
    return torch.exp(2 * torch.randn(tuple(shape), generator=generator, dtype=DOUBLE))


def narrow_scales(shape, dtype, generator):
    """positive numbers near 0.0001"""
    return 1e-4 * kit.positive(shape, dtype, generator)


def normals(draw, shapes, widths):
    names = ("m1", "s1", "m2", "s2")
    how = (kit.normal, widths, kit.normal, widths)
    return {name: draw(*shape, values=values) for name, shape, values in zip(names, shapes, how, strict=True)}


NORMALS = grid(
    normals,
    shapes=[((4,),) * 4, ((2, 3),) * 4, ((2, 1), (3,), (), (2, 3)), ((), (3,), (2, 1), ()), ((),) * 4, ((1,),) * 4],
    widths=[scales, wide_scales, narrow_scales],
    dtype=[DOUBLE, SINGLE],
)


def divergence(m1, s1, m2, s2):
    normal = torch.distributions.Normal
    return torch.distributions.kl_divergence(normal(m1, s1), normal(m2, s2))


@check("kl_normal is the divergence of the first from the second", points=2, category="values", devices="all")
def test_kl(submission, device):
    expect.agrees(
        submission.kl_normal,
        divergence,
        NORMALS,
        device=device,
        likely={
            "the two distributions are swapped": lambda m1, s1, m2, s2: divergence(m2, s2, m1, s1),
            "the deviations are taken for variances": lambda m1, s1, m2, s2: divergence(m1, s1**0.5, m2, s2**0.5),
            "the logarithm is upside down": lambda m1, s1, m2, s2: divergence(m1, s1, m2, s2) + 2 * (s1 / s2).log(),
            "the last 1/2 is missing": lambda m1, s1, m2, s2: divergence(m1, s1, m2, s2) + 0.5,
            "the sum over all numbers is returned": lambda m1, s1, m2, s2: divergence(m1, s1, m2, s2).sum(),
            "the difference of the means is not squared": lambda m1, s1, m2, s2: (
                divergence(m1, s1, m2, s2) + ((m1 - m2) - (m1 - m2) ** 2) / (2 * s2**2)
            ),
        },
    )


@check("kl_normal takes any layout, and passes gradients", points=0.5, category="gradients", after=test_kl,
       hidden=True)  # fmt: skip
def test_kl_gradients(submission):
    expect.agrees(submission.kl_normal, divergence, NORMALS, gradients=True)
    expect.agrees(submission.kl_normal, divergence, NORMALS.vary(**INPUTS), unchanged=True)


# --- draws ---------------------------------------------------------------------------------------------------------


def noises(draw, shapes):
    mean, std, eps = shapes
    return {"mean": draw(*mean), "std": draw(*std, values=scales), "eps": draw(*eps, values=kit.normal)}


NOISES = grid(
    noises,
    shapes=[
        ((4,), (4,), (4,)),
        ((2, 3),) * 3,
        ((3,), (2, 1), (5, 2, 3)),
        ((1, 3),) * 3,
        ((), (), (6,)),
        ((2, 1), (), (3,)),
        ((),) * 3,
    ],
    dtype=[DOUBLE, SINGLE],
)


def moved(mean, std, eps):
    return torch.addcmul(mean, std, eps)


@check("reparameterized_normal moves and stretches the draws", points=1.5, category="values", devices="all")
def test_reparameterized(submission, device):
    expect.agrees(
        submission.reparameterized_normal,
        moved,
        NOISES,
        device=device,
        likely={
            "std is taken for a variance": lambda mean, std, eps: moved(mean, std.sqrt(), eps),
            "std is squared": lambda mean, std, eps: moved(mean, std**2, eps),
            "the mean is missing": lambda mean, std, eps: moved(0 * mean, std, eps),
            "mean and std are swapped": lambda mean, std, eps: moved(std, mean, eps),
        },
    )


@check("gradients flow through reparameterized_normal", points=1, category="gradients", after=test_reparameterized)
def test_reparameterized_gradients(submission):
    expect.agrees(submission.reparameterized_normal, moved, NOISES, gradients=True)


@check("reparameterized_normal takes any layout, and changes nothing", points=0.5, category="robustness",
       after=test_reparameterized, hidden=True)  # fmt: skip
def test_reparameterized_inputs(submission):
    expect.agrees(submission.reparameterized_normal, moved, NOISES.vary(**INPUTS), unchanged=True)


PLACES = [((2,), 6), ((), 5), ((2, 3), 4), ((1,), 1), ((3,), 3)]


def place(shape, dtype=DOUBLE):
    """A mean and a std; where there are two axes, transposed in memory."""
    mean, std = torch.randn(shape[::-1], dtype=dtype), torch.rand(shape[::-1], dtype=dtype) + 0.5
    return mean.permute(tuple(range(mean.ndim))[::-1]), std.permute(tuple(range(std.ndim))[::-1])


def average_score(points, kind, mean, std):
    """The estimator, point by point."""
    terms = []
    for x in points:
        total = float(x.sum())
        worth = float((x * x).sum()) if kind == "square" else (5.0, 1.0, -2.0)[(total > 0) + (total > 1)]
        terms.append(worth * (x - mean) / std**2)
    return torch.stack(terms)


def points_of(found, n, shape, given):
    """The points of the only call of f."""
    calls = len(found["points"])
    expect.equal(calls, 1, because="f is called once, with all points", given=given)
    expect.shape(found["points"][0], (n, *shape), given=f"{given}: the points that f is called with")
    return found["points"][0]


@check("score_function_gradient averages f(x) times the score", points=2.5, category="values", devices="all")
def test_score(submission, device):
    for kind in ("square", "table"):
        for shape, n in PLACES:
            mean, std = (part.to(device) for part in place(shape))
            found = submission.probes.estimated(submission.score_function_gradient, kind, mean, std, n, any_seed())
            f = "the sum of squares" if kind == "square" else "a table of three prices"
            given = f"mean and std {shape}, n = {n}, f is {f}"
            points = points_of(found, n, shape, given)
            terms = average_score(points, kind, mean, std)
            wrong = {
                "the sum is taken, not the mean": terms.sum(0),
                "the score divides by std, not by its square": (terms * std).mean(0),
                "the score is x - mean alone, without the division": (terms * std**2).mean(0),
                "the sign of the score is wrong": -terms.mean(0),
            }
            expect.close(
                found["result"],
                terms.mean(0),
                rtol=1e-9,
                atol=1e-9,
                likely=wrong if n > 1 else None,
                given=given,
            )


@check("score_function_gradient draws normal points of that mean and std", points=1, category="values",
       after=test_score)  # fmt: skip
def test_score_draws(submission):
    n = 10_000
    mean, std = torch.tensor([3.0, -1.0], dtype=DOUBLE), torch.tensor([0.25, 4.0], dtype=DOUBLE)
    given = f"mean {mean.tolist()}, std {std.tolist()}, n = {n}"
    found = submission.probes.estimated(submission.score_function_gradient, "square", mean, std, n, any_seed())
    points = points_of(found, n, (2,), given)
    standard = (points - mean) / std
    for column, deviation in enumerate(standard.std(0).tolist()):
        expect.between(float(standard[:, column].mean()), -0.05, 0.05, given=f"{given}: (x - mean) / std, its mean")
        likely = {"std is taken for a variance": float(std[column] ** -0.5), "std is not used": float(1 / std[column])}
        close = {sentence: deviation for sentence, value in likely.items() if abs(deviation / value - 1) < 0.1}
        expect.between(deviation, 0.95, 1.05, likely=close, given=f"{given}: (x - mean) / std, its deviation")
    expect.between(float((standard**4).mean()), 2.0, 4.0, given=f"{given}: the mean of the 4th powers, 3 for a normal")
    together = float((standard[:, 0] * standard[:, 1]).mean())
    expect.between(together, -0.06, 0.06, given=f"{given}: the correlation of the two numbers of a point")


@check("score_function_gradient draws from the generator, or the global one", points=1, category="robustness",
       after=test_score)  # fmt: skip
def test_score_generator(submission):
    mean, std = place((2,))
    seed = any_seed() % 1000
    one, same, other = (
        submission.probes.estimated(submission.score_function_gradient, "square", mean, std, 5, s)["points"][0]
        for s in (seed, seed, seed + 1)
    )
    expect.true(torch.equal(one, same), "the same points from generators of the same seed", "other points")
    expect.true(not torch.equal(one, other), "other points from a generator of another seed", "the same points")
    found = submission.probes.global_draws(submission.score_function_gradient, mean, std, seed)
    expect.true(found["untouched"], "the global source of chance left alone", "draws from it, in spite of a generator")
    expect.true(torch.equal(found["first"], found["again"]), "without a generator, points that manual_seed fixes",
                "other points after the same manual_seed")  # fmt: skip
    expect.true(not torch.equal(found["first"], found["second"]), "other points in each call", "the same points twice")
    expect.true(not torch.equal(*found["own"]), "other points in a second call with the same generator",
                "the same points twice")  # fmt: skip


@check("score_function_gradient returns no graph, in the dtype of mean", points=0.5, category="robustness",
       after=test_score, hidden=True)  # fmt: skip
def test_score_graph(submission):
    for kind in ("square", "table", "network"):
        mean, std = place((2,), SINGLE)
        mean.requires_grad_()
        std.requires_grad_()
        found = submission.probes.estimated(submission.score_function_gradient, kind, mean, std, 4, any_seed())
        given = (
            "f with a weight that requires a gradient" if kind == "network" else "mean and std that require gradients"
        )
        expect.equal(found["attached"], False, because="the estimate is a number like any other", given=given)
        expect.dtype(found["result"], SINGLE, given=f"{given}, float32")


# --- all together --------------------------------------------------------------------------------------------------


@check("norms, angles and draws need no Python loop", points=0.5, category="efficiency",
       after=[test_vector_norm, test_cosine, test_kl, test_reparameterized, test_score], hidden=True)  # fmt: skip
def test_growth(submission):
    def several(rows, columns):
        x = torch.randn(rows, columns)
        return {
            "vector_norm": (x, 3),
            "cosine_similarity": (x, x + 1),
            "kl_normal": (x, x.exp(), x + 1, x.exp() + 1),
            "reparameterized_normal": (x, x.exp(), x),
        }

    small, large = several(3, 4), several(30, 40)
    for name, arguments in small.items():
        expect.vectorised(getattr(submission, name), arguments, large[name], given=f"{name} of 100 times the numbers")
    few, many = ((submission.probes.squares, *place((2,)), n) for n in (4, 400))
    expect.vectorised(submission.score_function_gradient, few, many, given="score_function_gradient, n = 4 and n = 400")


@check("every tensor is made where the arguments are", points=0.5, category="devices", hidden=True)
def test_devices(submission):
    x = torch.randn(4, 3)
    calls = {
        "vector_norm": (x, 3),
        "cosine_similarity": (x, x + 1),
        "low_rank": (x, 2),
        "nuclear_norm": (x,),
        "pca": (x, 2),
        "lu_solve": (torch.eye(3) + 1, x.T),
        "kl_normal": (x, x.exp(), x + 1, x.exp() + 1),
        "reparameterized_normal": (x, x.exp(), x),
    }
    for name, arguments in calls.items():
        expect.portable(getattr(submission, name), *arguments, given=f"{name} with its arguments on another device")
