"""An autograder for Gradescope: a zip with the course, its suites and what installs and starts them there."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from torchgrade.course import Course, Task
from torchgrade.errors import UsageError
from torchgrade.grading.seeds import secret
from torchgrade.i18n import translate as _

NAME = "autograder.zip"
_SETUP = """\
#!/usr/bin/env bash
# Installs what the grading needs; Gradescope runs it once, when it builds the image.
set -euo pipefail
cd "${AUTOGRADER:-/autograder}/source/course"
export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m pip install -c constraints.txt --index-url https://download.pytorch.org/whl/cpu torch torchvision
python3 -m pip install -c constraints.txt "setuptools>=77.0.3" pyyaml babel
python3 -m pip install -c constraints.txt --no-build-isolation -e .
"""
_RUN = """\
#!/usr/bin/env bash
# Grades one hand-in. AUTOGRADER names the tree where it is not /autograder, PYTHON the interpreter.
root="${AUTOGRADER:-/autograder}"
mkdir -p "$root/results"
cp "$root/source/stopped.json" "$root/results/results.json" # replaced by the verdict; stays if nothing can be graded
cd "$root/source/course" && exec "${PYTHON:-python3}" grade.py autograde "$root"
"""
_STOPPED = {
    "score": 0,
    "output": "The grading was stopped before it began: this is not your fault. Please tell your instructor.",
    "output_format": "text",
    "stdout_visibility": "hidden",
}
_PARTS = ("graders", "solutions", "datasets", "exercises", "torchgrade")
_FILES = ("grade.py", "course.yaml", "constraints.txt", "pyproject.toml", "setup.py", "README.md")
_LEFT_OUT = {"__pycache__", ".torchgrade", "edition", "mutants.yaml", "alternatives"}


def write_autograder(course: Course, tasks: Sequence[Task], folder: Path) -> Path:
    """Write ``autograder.zip`` into a new or empty folder. It draws the inputs from a secret seed of its own."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(_("{folder} is not empty; name a new folder").format(folder=folder))
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"tasks": [task.stem for task in tasks], "seed": secret()}
    with zipfile.ZipFile(folder / NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "setup.sh", _SETUP.encode(), executable=True)
        _add(archive, "run_autograder", _RUN.encode(), executable=True)
        _add(archive, "stopped.json", json.dumps(_STOPPED).encode())
        _add(archive, "autograder.json", json.dumps(settings).encode())
        package = Path(__file__).parents[1]
        for name in _FILES:
            place = course.root / name if (course.root / name).is_file() else package.parent / name
            if place.is_file():
                _add(archive, f"course/{name}", place.read_bytes())
        for name in _PARTS:
            place = course.root / name if name != "torchgrade" else package
            for path in sorted(place.rglob("*")):
                inside = path.relative_to(place)
                if path.is_file() and not _LEFT_OUT & set(inside.parts) and path.suffix != ".pyc":
                    _add(archive, f"course/{name}/{inside.as_posix()}", path.read_bytes())
    return folder / NAME


def _add(archive: zipfile.ZipFile, name: str, data: bytes, *, executable: bool = False) -> None:
    info = zipfile.ZipInfo(name)
    info.external_attr = (0o100755 if executable else 0o100644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)
