"""``init`` and ``update``: a learner's course in a folder, and a newer edition of it that leaves their work alone.

What was shipped is kept in ``.torchgrade/shipped.json``, the hash of each file: a file that still has it may be
replaced, any other is the learner's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torchgrade import __version__
from torchgrade.commands.machine import doctor_lines
from torchgrade.course import Course
from torchgrade.course_tools.release import localise, release
from torchgrade.errors import UsageError
from torchgrade.hardware import has_nvidia
from torchgrade.i18n import LANGUAGE
from torchgrade.i18n import translate as _
from torchgrade.model import ExitCode

PACKAGE = Path(__file__).parents[1]
PACKED = PACKAGE / "edition"  # in an installed wheel
SCHEMA = "torchgrade.shipped/1"
SHIPPED = Path(".torchgrade", "shipped.json")
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"
PROJECT = """[project]
name = "{name}"
version = "0"
requires-python = ">=3.10"
dependencies = ["torchgrade", "torch>=2.6", "torchvision>=0.21"]

[tool.pytest.ini_options]
testpaths = ["exercises"]
addopts = "--import-mode=importlib"
"""
UV_CPU = f"""
# On Linux, PyPI has torch for NVIDIA's cards only, which is gigabytes. Delete this part on a machine with such a card.
[[tool.uv.index]]
name = "pytorch-cpu"
url = "{CPU_BUILDS}"
explicit = true

[tool.uv.sources]
torch = [{{ index = "pytorch-cpu", marker = "sys_platform == 'linux'" }}]
torchvision = [{{ index = "pytorch-cpu", marker = "sys_platform == 'linux'" }}]
"""


@dataclass(frozen=True)
class Changes:
    """What an update did, by the names of files."""

    written: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()  # the learner's stays, the new one lies beside it
    removed: tuple[str, ...] = ()


def init(options: argparse.Namespace, _course: object) -> int:
    target: Path = options.folder
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(_("{folder} is not empty; name a new folder").format(folder=target))
    with edition(options.source) as source:
        shutil.copytree(source, target, dirs_exist_ok=True)
    if language := os.environ.get(LANGUAGE):
        localise(target, language)
    _note(target, _hashes(target))
    if not (target / "pyproject.toml").exists():
        for name, text in project_files(target, cpu=not has_nvidia()).items():
            (target / name).write_text(text, encoding="utf-8")
    course = Course.load(target.resolve())
    print(_("{title}: {count} tasks in {folder}").format(title=_(course.title), count=len(course.tasks), folder=target))
    if not options.quiet:
        from torchgrade.course_tools import doctor

        print("\n".join(doctor_lines(doctor.doctor(None, "cpu", "auto", course))))
    print(_("next: cd {folder}, then python grade.py watch").format(folder=target))
    return int(ExitCode.PASSED)


def update(options: argparse.Namespace, course: Course) -> int:
    if not course.for_learners:
        raise UsageError(_("this is no learner's edition; update is for a course that init or release has made"))
    with edition(options.source) as source:
        changes = bring(course.root, source)
    for name in changes.beside:
        print(_("{name} was changed here and is left alone; the new one is {name}.new").format(name=name))
    words = _("new or newer files: {written}; gone: {removed}; beside yours: {beside}")
    counts = {"written": len(changes.written), "removed": len(changes.removed), "beside": len(changes.beside)}
    print(words.format(**counts))
    return int(ExitCode.PASSED)


def bring(root: Path, source: Path) -> Changes:
    """Make the course at ``root`` that of ``source``, wherever what lies there is still what was shipped."""
    shipped, new = _shipped(root), _hashes(source)
    written, beside, removed = [], [], []
    for name, wanted in new.items():
        place = root / name
        here = _hash(place)
        if here == wanted:
            continue
        if here is None or here == shipped.get(name):
            _put(source / name, place)
            written.append(name)
        elif shipped.get(name) != wanted:  # else there is nothing newer
            _put(source / name, place.with_name(f"{place.name}.new"))
            beside.append(name)
    for name in sorted(shipped.keys() - new.keys()):
        if _hash(root / name) == shipped[name]:
            (root / name).unlink()
            removed.append(name)
    _note(root, new)
    return Changes(tuple(written), tuple(beside), tuple(removed))


def project_files(folder: Path, *, cpu: bool) -> dict[str, str]:
    """``pyproject.toml`` and ``requirements.txt`` of a course; with ``cpu`` they get torch without CUDA on Linux."""
    name = "".join(char if char.isascii() and char.isalnum() else "-" for char in folder.resolve().name.lower())
    pins = dict(line.split("==") for line in (folder / "constraints.txt").read_text().split() if "==" in line)
    lines = [f"--extra-index-url {CPU_BUILDS}"] if cpu else []
    for package, pinned in pins.items():
        if cpu:
            lines.append(f'{package}=={pinned}+cpu; sys_platform == "linux"')
        lines.append(f"{package}=={pinned}" + ('; sys_platform != "linux"' if cpu else ""))
    return {
        "pyproject.toml": PROJECT.format(name=name.strip("-") or "course") + (UV_CPU if cpu else ""),
        "requirements.txt": "\n".join([*lines, f"torchgrade>={__version__}"]) + "\n",
    }


@contextmanager
def edition(source: Path | None) -> Iterator[Path]:
    """The folder of a learner's edition: an instructor's folder or zip; else the package's, or one of this checkout."""
    with tempfile.TemporaryDirectory() as scratch:
        if source is not None:
            folder = _unpacked(source, Path(scratch)) if source.is_file() else source
            if not (folder / "course.yaml").is_file():
                raise UsageError(
                    _("{source} holds no course.yaml; name what `release` has written").format(source=source)
                )
            if not Course.load(folder).for_learners:
                raise UsageError(_("{source} is no learner's edition; make one with `release`").format(source=source))
            yield folder
        elif PACKED.is_dir():
            yield PACKED
        else:
            release(Course.load(PACKAGE.parent), Path(scratch) / "edition", engine=False)
            yield Path(scratch) / "edition"


def _unpacked(archive: Path, scratch: Path) -> Path:
    """The course in a zip file, whose names cannot lead out of ``scratch``."""
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(scratch)
    except (zipfile.BadZipFile, OSError) as error:
        raise UsageError(
            _("{source} cannot be opened as a zip file: {why}").format(source=archive, why=error)
        ) from None
    for script in scratch.rglob("scripts/setup"):
        script.chmod(0o755)  # which a zip file does not keep
    found = sorted(scratch.rglob("course.yaml"), key=lambda path: len(path.parts))
    return found[0].parent if found else scratch


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    shutil.copy2(source, draft)
    draft.replace(target)


def _hashes(folder: Path) -> dict[str, str]:
    """Of every file that an edition ships, by its path."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = ((path.relative_to(folder), path) for path in paths)
    kept = {name.as_posix(): path for name, path in names if name.parts[0] != ".torchgrade" and path.suffix != ".pyc"}
    return {name: _hash(path) or "" for name, path in kept.items()}


def _hash(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _note(root: Path, hashes: Mapping[str, str]) -> None:
    place = root / SHIPPED
    place.parent.mkdir(exist_ok=True)
    draft = place.with_suffix(".draft")
    document = {"schema": SCHEMA, "engine": __version__, "files": dict(hashes)}
    draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
    draft.replace(place)


def _shipped(root: Path) -> dict[str, str]:
    """Empty where it is not known: then every file that differs is the learner's."""
    try:
        document = json.loads((root / SHIPPED).read_text(encoding="utf-8"))
        return dict(document["files"]) if document["schema"] == SCHEMA else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
