"""A workflow by which a student's repository grades the public checks whenever it is pushed."""

from __future__ import annotations

from pathlib import Path

from torchgrade.i18n import noop
from torchgrade.i18n import translate as _

PLACE = ".github/workflows/grade.yml"
# The index of torch's own builds: that for the processor is a fifth of the default one.
_WORKFLOW = """\
# Grades the public checks of what was pushed and shows what is wrong beside the code.
# This is feedback for the learner, who may change this file: the final marks come from the instructor's own grading
# (`python grade.py batch` on a folder of clones), with hidden checks and another seed.
name: Grade
on:
  push:
    paths: ["exercises/**", ".github/workflows/grade.yml"]
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: grade-${{ github.ref }}
  cancel-in-progress: true
jobs:
  grade:
    if: ${{ vars.TORCHGRADE != 'off' }}  # a variable of the repository or the organisation turns it off
    runs-on: ubuntu-latest
    timeout-minutes: 45
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
          cache: pip
          cache-dependency-path: |
            constraints.txt
            pyproject.toml
      - name: Install
        run: |
          python -m pip install -c constraints.txt --index-url https://download.pytorch.org/whl/cpu torch torchvision
          python -m pip install -c constraints.txt "setuptools>=77.0.3" pyyaml babel
          python -m pip install -c constraints.txt --no-build-isolation -e .
      - name: Grade
        run: python grade.py --actions
"""
_README = noop("""
## On GitHub

Every push that changes `exercises/` is graded there: what is wrong stands beside the code, the points on the page of
the run. A task that is not begun fails nobody. These are the public checks; the final marks come from your
instructor's own grading. The variable `TORCHGRADE` with the value `off` in the repository's settings turns it off.
""")


def write_workflow(edition: Path) -> None:
    """Add the workflow to a learner's edition, and a paragraph about it to its README."""
    place = edition / PLACE
    place.parent.mkdir(parents=True)
    place.write_text(_WORKFLOW, encoding="utf-8")
    readme = edition / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8") + _(_README), encoding="utf-8")
