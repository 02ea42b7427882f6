"""The pages: their links lead somewhere, what they tell of the house is so, and every decision says when and against what."""

import re
import subprocess
import sys

import pytest
from support import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)|(?:src|srcset)=\"([^\"]+)\"", text)
    for link in filter(lambda link: "://" not in link, (one or other for one, other in links)):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda page: page.stem)
def test_a_decision_has_a_date_and_what_was_rejected(page):
    text = page.read_text(encoding="utf-8")
    assert re.match(r"# \d+\. .+\n\n\*\d{4}-\d\d-\d\d, \w+", text)
    for part in ("**Context.**", "**Decision.**", "**Rejected.**", "**Consequence"):
        assert part in text, part


def test_the_places_that_the_architecture_names_are_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:isolation|grading|expect|torchgrade|tests|docs)/[\w/.]+)`", text):
        places = [folder / f"{name}{end}" for folder in (ROOT, ROOT / "torchgrade") for end in ("", ".py")]
        assert any(place.exists() for place in places), name


def test_the_picture_of_the_imports_has_no_arrow_up():
    done = subprocess.run([sys.executable, "docs/imports.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert " 0 of them up" in done.stdout
