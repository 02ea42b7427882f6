"""Who wrote alike: the stub is subtracted, renaming hides nothing, what everybody writes weighs nothing."""

import pytest

pytest.importorskip("copydetect", reason="the extra torchgrade[similar] is not installed")

from torchgrade.classes.fingerprints import Reader, document, own_lines
from torchgrade.classes.similar import similar
from torchgrade.isolation.launch.launcher import open_launcher
from torchgrade.report.similar_page import similar_csv, similar_html

STUB = '''"""Task: pool and normalise."""

import torch


def pool(x, size):
    """Return the maximum of each window."""
    raise NotImplementedError


def norm(x, eps=1e-5):
    """Normalise the channels."""
    raise NotImplementedError
'''
COMMON = "    mean = x.mean(dim=(0, 2, 3), keepdim=True)\n    return (x - mean) / (x.var(unbiased=False) + eps).sqrt()"
ODD = (
    "    best = None\n    for step in range(size * size):\n        part = x[..., step // size::size, step % size::size]\n"
    "        best = part if best is None else torch.where(part > best, part, best)\n    return best"
)
RENAMED = (
    "    # my own idea\n    winner = None\n    for k in range(size*size):\n        piece = x[..., k//size::size, k%size::size]\n"
    "        winner = piece if winner is None else torch.where(piece > winner, piece, winner)\n\n    return winner"
)


def fill(pool, norm=COMMON):
    first, second = STUB.split("    raise NotImplementedError\n", 1)
    return first + pool + "\n" + second.replace("    raise NotImplementedError", norm)


def plain(number):
    ways = ["x.unfold(2, size, size).unfold(3, size, size).amax(dim=(-1, -2))", "torch.stack([x, x]).amax(0)",
            "x.reshape(x.shape[0], x.shape[1], -1, size).amax(-1)", "torch.nn.functional.max_pool2d(x, size)"]  # fmt: skip
    return fill(f"    return {ways[number % 4]}")


CLASS = {"ann": fill(ODD), "bob": fill(RENAMED), **{f"s{i}": plain(i) for i in range(12)}}


def read(texts):
    return {student: document(text, STUB) for student, text in texts.items()}


def test_a_confined_worker_reads_the_same_and_survives_a_hostile_text(monkeypatch):
    """Thirty thousand equal lines keep a comparison busy; that text is left out, and the next one is read."""
    monkeypatch.setattr("torchgrade.classes.fingerprints.SECONDS", 8.0)
    with open_launcher() as launcher, Reader(launcher) as reader:
        ann, same = reader(CLASS["ann"], STUB), document(CLASS["ann"], STUB)
        assert (ann.lines, ann.numbers) == (same.lines, same.numbers)
        assert reader("x = 1\n" * 30_000, "x = 1\n" * 30_000) is None
        bob = reader(CLASS["bob"], STUB)
        assert len(ann.places.keys() & bob.places.keys()) > 3


def test_only_the_gaps_are_compared():
    assert own_lines(STUB, STUB) == ((), ())
    lines, numbers = own_lines(fill("    return 1", "    return 2"), STUB)
    assert lines == ("    return 1", "    return 2")
    assert numbers == (8, 13)
    assert similar(read(dict.fromkeys(("a", "b"), STUB))).pairs == ()


def test_renamed_work_is_found_and_common_work_is_not():
    """The pair with the odd loop comes first, with its lines side by side; the shared norm weighs nothing."""
    first, *others = similar(read(CLASS)).pairs

    assert (first.left, first.right, first.identical) == ("ann", "bob", False)
    assert all(pair.weight < first.weight for pair in others)
    fragment = first.fragments[0]
    assert fragment.people == 2
    assert "torch.where" in "".join(f.left[1] for f in first.fragments)
    assert "winner" in "".join(f.right[1] for f in first.fragments)
    assert all(f.left[1].splitlines()[0] == CLASS["ann"].splitlines()[f.left[0] - 1] for f in first.fragments)
    assert all("x.mean(dim" not in f.left[1] or f.people == 2 for f in first.fragments)


def test_equal_texts_are_told_and_the_number_of_pairs_is_kept():
    pairs = similar(read({**CLASS, "eve": fill(ODD)}), pairs=2).pairs
    assert len(pairs) == 2
    assert (pairs[0].left, pairs[0].right, pairs[0].identical) == ("ann", "eve", True)


def test_who_stands_out_is_one_group_however_many_pairs_are_shown():
    """Three with one origin, two with another; the natural answers of the others link nobody."""
    other = "    rows = [r.max() for r in x.reshape(-1, size)]\n    for spot in range(len(rows)):\n" + (
        "        rows[spot] = rows[spot] if rows[spot] > -1e9 else rows[0]\n    return torch.tensor(rows)"
    )
    twins = {"fay": fill(other), "gil": fill(other.replace("spot", "place"))}
    norms = [
        COMMON, COMMON.replace("unbiased", "correction"), COMMON.replace("(0, 2, 3)", "[0, -2, -1]"),
        "    return F.batch_norm(x, None, None, training=True)", "    return nn.BatchNorm2d(x.shape[1], affine=False)(x)",
        "    centred = x - x.mean((0, 2, 3), True)\n    return centred / torch.sqrt((centred ** 2).mean((0, 2, 3), True))",
    ]  # fmt: skip
    others = {f"t{i}": plain(i).replace(COMMON, norms[i // 4]) for i in range(24)}
    copied = {"ann": CLASS["ann"], "bob": CLASS["bob"], "eve": fill(ODD), **twins}
    with open_launcher() as launcher, Reader(launcher) as reader:  # its hashes are the same every time
        alike = similar({name: reader(text, STUB) for name, text in {**others, **copied}.items()}, pairs=1)
    assert alike.groups == (("ann", "bob", "eve"), ("fay", "gil"))
    assert len(alike.pairs) == 1
    assert similar(read({name: CLASS[name] for name in ("ann", "bob", "s1")})).groups == (), "too few to compare with"


@pytest.mark.parametrize("text", ["", "\x00", "def f(:\n  'unclosed", "🙂" * 50, "x" * 100_000, STUB + '"""'])
def test_odd_texts_do_no_harm(text):
    assert len(similar(read({"a": text, "b": text, "c": fill(ODD)})).pairs) <= 3


def test_the_page_and_the_table_are_harmless_and_give_no_verdict():
    evil = "<script>alert(1)</script>\x1b[31m"
    found = {"task01_x": similar(read(CLASS)), "task02_y": similar({})}
    page = similar_html("c " + evil, found, {"ann": evil}, {"task01_x": 14, "task02_y": 0})
    assert "<script" not in page
    assert "\x1b" not in page
    assert "no verdict" in page
    assert "nothing rare is shared" in page
    assert similar_csv(found).splitlines()[1].startswith("task01_x,ann,bob,")
