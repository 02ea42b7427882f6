"""The check decorator marks and validates; learner's sentences go through the catalogue."""

import gettext
import io
import subprocess
import sys

import pytest

from torchgrade.authoring import CheckSpec, check
from torchgrade.errors import AuthoringError


def test_shape(submission):
    """A stand-in for a check."""


test_shape.__test__ = False


def make(title="conv2d agrees with PyTorch", *, points=2, category="values", **facts):
    return check(title, points=points, category=category, **facts)


def test_check_only_marks():
    def test_values(submission, device):
        return "unchanged"

    first = make()(test_shape)
    marked = make(points=1.5, after=[first], devices="all", hidden=True, seconds=3, tries=2, hint="Look.")(test_values)

    assert marked is test_values
    assert marked(None, None) == "unchanged"
    assert marked.check == CheckSpec(
        title="conv2d agrees with PyTorch",
        points=1.5,
        category="values",
        after=("test_shape",),
        devices="all",
        hidden=True,
        seconds=3,
        tries=2,
        hint="Look.",
    )
    assert make(after=first)(test_values).check.after == ("test_shape",)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"title": ""}, "blank"),
        ({"title": " padded"}, "blank"),
        ({"title": "It works."}, "full stop"),
        ({"title": "x" * 73}, "73 characters"),
        ({"points": 0}, "above 0"),
        ({"points": -1}, "above 0"),
        ({"points": 0.3}, "half numbers"),
        ({"points": True}, "half numbers"),
        ({"points": float("nan")}, "half numbers"),
        ({"category": "value"}, "none of shapes"),
        ({"devices": "cuda"}, '"cpu" or "all"'),
        ({"seconds": 0}, "seconds"),
        ({"tries": 3}, "tries"),
        ({"hint": " "}, "hint"),
        ({"after": print}, "is not a check"),
        ({"after": [len]}, "is not a check"),
    ],
    ids=range(16),
)
def test_malformed_facts_are_refused_at_decoration(facts, sentence):
    with pytest.raises(AuthoringError, match=sentence):
        make(**facts)


def test_functions_that_cannot_be_checks_are_refused():
    with pytest.raises(AuthoringError, match="test_"):
        make()(make)
    with pytest.raises(AuthoringError, match="device"):
        make(devices="all")(test_shape)


def test_a_catalogue_translates_what_a_learner_reads(tmp_path):
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "torchgrade.mo").write_bytes(
        compiled({"": "Content-Type: text/plain; charset=UTF-8\n", "not a tensor": "kein Tensor"})
    )
    code = (
        "from torchgrade.i18n import translate as _;"
        "print(_('not a tensor'), _('no such sentence'), repr(_('')), sep='|')"
    )
    environment = {"TORCHGRADE_LOCALE_DIR": str(tmp_path), "LANGUAGE": "de", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "kein Tensor|no such sentence|''"


def compiled(messages):
    """A .mo file: header, two tables of (length, offset), then the strings."""
    ids = [key.encode() for key in sorted(messages)]
    texts = [messages[key].encode() for key in sorted(messages)]
    start = 28 + 16 * len(ids)
    table, blob = [], b""
    for strings in (ids, texts):
        for string in strings:
            table += [len(string), start + len(blob)]
            blob += string + b"\0"
    head = [0x950412DE, 0, len(ids), 28, 28 + 8 * len(ids), 0, 0]
    file = b"".join(number.to_bytes(4, "little") for number in head + table) + blob
    assert gettext.GNUTranslations(io.BytesIO(file))
    return file
