"""The course on disk: the ordered tasks, read from the folders and ``course.yaml``."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from torchgrade.engine_files import engine_files
from torchgrade.errors import CourseError, UnknownTask, UsageError
from torchgrade.manifest import Manifest, parse_manifest

STEM = re.compile(r"task\d\d_[a-z0-9_]+")


@dataclass(frozen=True)
class Task:
    """One exercise: a stem such as ``task07_pooling_norm`` and where its parts lie."""

    stem: str
    root: Path

    @property
    def number(self) -> int:
        return int(self.stem[4:6])

    @property
    def stub(self) -> Path:
        return self.root / "exercises" / f"{self.stem}.py"

    @property
    def solution(self) -> Path:
        return self.root / "solutions" / f"{self.stem}.py"

    @property
    def folder(self) -> Path:
        return self.root / "graders" / self.stem

    @property
    def suite(self) -> Path:
        return self.folder / "checks.py"

    @property
    def probes(self) -> Path:
        """Public helpers that run beside the submission; may be absent."""
        return self.folder / "probes.py"

    @cached_property
    def manifest(self) -> Manifest:
        path = self.folder / "task.yaml"
        return parse_manifest(_read(path), f"graders/{self.stem}/task.yaml")

    @cached_property
    def grader_hash(self) -> str:
        """Changes when the suite, its manifest, its probes, its floors, its data sets or the engine change."""
        data = [self.root / "datasets" / f"{name}.py" for name in self.manifest.data]
        own = [self.suite, self.probes, self.folder / "task.yaml", self.folder / "calibration.json"]
        return content_hash([*engine_files(), *own, *data])


@dataclass(frozen=True)
class Course:
    """The ordered tasks with the title and the settings of ``course.yaml``."""

    root: Path
    title: str
    tasks: tuple[Task, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path) -> Course:
        path = root / "course.yaml"
        try:
            settings = yaml.safe_load(_read(path)) or {}
        except yaml.YAMLError as error:
            raise CourseError(f"course.yaml is not YAML: {error}") from None
        stems = settings.get("tasks")
        if not isinstance(settings.get("title"), str) or not isinstance(stems, list):
            raise CourseError("course.yaml must hold a title and a list of tasks")
        for stem in stems:
            if not isinstance(stem, str) or not STEM.fullmatch(stem):
                raise CourseError(f"course.yaml: {stem!r} is not a task's stem such as task07_pooling_norm")
            if stems.count(stem) > 1:
                raise CourseError(f"course.yaml lists {stem} {stems.count(stem)} times; a task stands in it once")
        return cls(root, settings["title"], tuple(Task(stem, root) for stem in stems), settings)

    @property
    def secret(self) -> list[Path]:
        """What no submission may read."""
        return secret_of(self.root)

    @property
    def for_learners(self) -> bool:
        """Whether this is the edition that ``release`` wrote: without solutions, hidden checks, author's commands."""
        return self.settings.get("edition") == "learner"

    def find(self, name: str) -> Task:
        """The task with this stem or unambiguous prefix; UnknownTask names the near ones."""
        wanted = Path(name).name.removesuffix(".py").lower()
        wanted = re.sub(r"^(?:task[ _-]?)?0*([1-9]\d?)(?!\d)", lambda found: f"task{int(found[1]):02d}", wanted)
        exact = [task for task in self.tasks if task.stem == wanted]
        found = exact or [task for task in self.tasks if task.stem.startswith(wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownTask(f"{name!r} fits {len(found)} tasks", name, [task.stem for task in found])
        stems = [task.stem for task in self.tasks]
        near = difflib.get_close_matches(wanted, stems + [stem[:6] for stem in stems], n=3, cutoff=0.5)
        near += [stem for stem in stems if wanted.replace("task", "").strip("_0") in stem.split("_")]
        names = list(dict.fromkeys(next(stem for stem in stems if stem.startswith(close)) for close in near))
        raise UnknownTask(f"there is no task {name!r}", name, names)

    def select(self, names: Sequence[str]) -> tuple[Task, ...]:
        """The tasks with these names in the order of the course; all of them when no name is given."""
        wanted = {self.find(name).stem for name in names}
        return tuple(task for task in self.tasks if not names or task.stem in wanted)

    def homework(self, name: str) -> tuple[Task, ...]:
        """The tasks that ``homeworks:`` of course.yaml lists under this name; raises UsageError naming the others."""
        homeworks = self.settings.get("homeworks") or {}
        if not isinstance(homeworks, dict) or not all(isinstance(names, list) for names in homeworks.values()):
            raise CourseError("course.yaml: homeworks must map names to lists of tasks, as in hw1: [task01, task02]")
        if name not in homeworks:
            known = ", ".join(str(other) for other in homeworks) or "none"
            raise UsageError(f"course.yaml names no homework {name!r}; there are: {known}")
        return self.select([str(task) for task in homeworks[name]])


def find_root(start: Path, home: Path | None = None) -> Path:
    """The folder that holds ``course.yaml``: ``TORCHGRADE_COURSE``, or ``start`` or the nearest above it, or ``home``.

    ``home`` is the checkout whose grade.py was called.
    """
    named = os.environ.get("TORCHGRADE_COURSE")
    places = [Path(named)] if named else [start, *start.parents, *([home] if home is not None else [])]
    for place in places:
        if (place / "course.yaml").is_file():
            return place.resolve()
    raise UsageError(f"no course.yaml in {places[0]} or above; run this inside a course, or set TORCHGRADE_COURSE")


def content_hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CourseError(f"cannot read {path.name} of {path.parent.name}: {error.strerror}") from None


def secret_of(root: Path) -> list[Path]:
    """The folders of the course at ``root`` that no submission may read."""
    return [root / name for name in ("graders", "solutions", "exercises")]
