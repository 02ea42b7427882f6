"""The course on disk: the ordered tasks, read from the folders and ``course.yaml``."""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torchgrade.engine_files import engine_files
from torchgrade.errors import CourseError, UnknownTask, UsageError
from torchgrade.manifest import Manifest, parse_manifest
from torchgrade.model import short_name
from torchgrade.yaml_text import read_yaml

STEM = re.compile(r"task\d\d_[a-z0-9_]+")
TRACK = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Task:
    """One exercise: a stem such as ``task07_pooling_norm`` and where its parts lie."""

    stem: str
    root: Path

    @property
    def short(self) -> str:
        """What one types: ``task07``."""
        return short_name(self.stem)

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

    @property
    def substitutes_file(self) -> Path:
        """Right functions that take the place of wrong ones; may be absent."""
        return self.folder / "substitutes.py"

    @cached_property
    def substitutes(self) -> dict[str, str]:
        """By name, the text of each function or class of ``substitutes.py``, below the imports of that file."""
        body = ast.parse(_read(self.substitutes_file) if self.substitutes_file.is_file() else "").body
        imports = [ast.unparse(node) for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
        named = [node for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        return {node.name: "\n".join([*imports, ast.unparse(node)]) for node in named}

    @cached_property
    def grader_hash(self) -> str:
        """Changes when the suite, what runs beside it, its manifest, its floors, its data sets or the engine change."""
        data = [self.root / "datasets" / f"{name}.py" for name in self.manifest.data]
        own = [self.suite, self.probes, self.substitutes_file, self.folder / "task.yaml"]
        return content_hash([*engine_files(), *own, *data], self.thresholds)

    @cached_property
    def thresholds(self) -> str:
        """The floors and ceilings of ``calibration.json``, without the runs behind them; "" where there are none."""
        path = self.folder / "calibration.json"
        entries = json.loads(_read(path)) if path.is_file() else {}
        held = {name: (entry.get("floor"), entry.get("ceiling")) for name, entry in entries.items() if name != "schema"}
        return json.dumps(held, sort_keys=True) if held else ""


@dataclass(frozen=True)
class Track:
    """Tasks that belong together, in order of study. ``name`` is what one types; blank where a course has no tracks."""

    name: str
    title: str
    about: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Course:
    """The tracks in order of study, with the title and the settings of ``course.yaml``."""

    root: Path
    title: str
    tracks: tuple[Track, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def ignore(self) -> tuple[str, ...]:
        """Patterns of files that are no hand-ins; CourseError when they are no list of texts."""
        patterns = self.settings.get("ignore") or []
        if not isinstance(patterns, list) or any(not isinstance(pattern, str) for pattern in patterns):
            raise CourseError("course.yaml: ignore is a list of patterns such as `drafts/*`")
        return tuple(patterns)

    @classmethod
    def load(cls, root: Path) -> Course:
        path = root / "course.yaml"
        settings = read_yaml(_read(path), "course.yaml") or {}
        if (
            not isinstance(settings, dict)
            or not isinstance(settings.get("title"), str)
            or ("tracks" in settings) == ("tasks" in settings)
        ):
            raise CourseError("course.yaml must hold a title, and either tracks or a list of tasks")
        return cls(root, settings["title"], _tracks(root, settings), settings)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All tasks, in order of study."""
        return tuple(task for track in self.tracks for task in track.tasks)

    @property
    def language(self) -> str | None:
        """In which it tells everything, where the reader has not chosen another; None is the machine's."""
        language = self.settings.get("language")
        if language is not None and not isinstance(language, str):
            raise CourseError("course.yaml: language is a name such as zh_CN")
        return language

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
        tracks = [track.name for track in self.tracks if track.name]
        short = {task.short: task.stem for task in self.tasks}
        near = difflib.get_close_matches(wanted, [*stems, *short, *tracks], n=3, cutoff=0.5)
        near += [stem for stem in stems if wanted.replace("task", "").strip("_0") in stem.split("_")]
        names = list(dict.fromkeys(short.get(close, close) for close in near))
        raise UnknownTask(f"there is no task {name!r}", name, names)

    def select(self, names: Sequence[str]) -> tuple[Task, ...]:
        """The tasks with these names, and those of the tracks among them, in order of study; all when there is none."""
        by_track = {track.name: track.tasks for track in self.tracks if track.name}
        wanted = {task.stem for name in names for task in by_track.get(name.lower()) or (self.find(name),)}
        return tuple(task for task in self.tasks if not names or task.stem in wanted)

    @property
    def homeworks(self) -> dict[str, tuple[tuple[Task, ...], dict[str, Any]]]:
        """The tasks of each of ``homeworks:``, and the rules that are its own (see ``policy``)."""
        found = {}
        homeworks = self.settings.get("homeworks") or {}
        for name, entry in homeworks.items() if isinstance(homeworks, dict) else [("", None)]:
            rules = dict(entry) if isinstance(entry, dict) else {"tasks": entry}
            tasks = rules.pop("tasks", None)
            if not isinstance(tasks, list) or not tasks:
                raise CourseError(
                    "course.yaml: homeworks must map names to lists of tasks, as in hw1: [task01, task02], or to their "
                    "tasks and rules, as in hw1: {tasks: [task01, task02], deadline: 2026-03-01}"
                )
            try:
                found[str(name)] = (self.select([str(task) for task in tasks]), rules)
            except UnknownTask as unknown:
                raise UnknownTask(
                    f"course.yaml, in the homework {name}: {unknown}", unknown.name, unknown.near
                ) from None
        return found

    def homework(self, name: str) -> tuple[Task, ...]:
        """The tasks that ``homeworks:`` of course.yaml lists under this name; raises UsageError naming the others."""
        homeworks = self.homeworks
        if name not in homeworks:
            known = ", ".join(homeworks) or "none"
            raise UsageError(f"course.yaml names no homework {name!r}; there are: {known}")
        return homeworks[name][0]


def _tracks(root: Path, settings: Mapping[str, Any]) -> tuple[Track, ...]:
    """The tracks; a plain list of tasks is one track without a name."""
    found = settings.get("tracks", {"": {"title": settings["title"], "about": "", "tasks": settings.get("tasks")}})
    if not isinstance(found, dict) or not found:
        raise CourseError("course.yaml: tracks must map names to a title, a sentence and tasks")
    tracks = tuple(_track(root, str(name), entry) for name, entry in found.items())
    stems = [task.stem for track in tracks for task in track.tasks]
    for stem in stems:
        if stems.count(stem) > 1:
            raise CourseError(f"course.yaml lists {stem} {stems.count(stem)} times; a task stands in it once")
    return tracks


def _track(root: Path, name: str, entry: Any) -> Track:
    place = f"course.yaml: the track {name!r}" if name else "course.yaml"
    if name and (not TRACK.fullmatch(name) or name.startswith("task")):
        raise CourseError(f"{place} needs a name of small letters that does not begin like a task's")
    if not isinstance(entry, dict) or set(entry) != {"title", "about", "tasks"}:
        raise CourseError(f"{place} must hold title, about (a sentence) and tasks, and nothing else")
    if any(not isinstance(entry[key], str) or (name and not entry[key].strip()) for key in ("title", "about")):
        raise CourseError(f"{place} must hold title and about as texts")
    if not isinstance(entry["tasks"], list):
        raise CourseError(f"{place} must hold a list of tasks")
    for stem in entry["tasks"]:
        if not isinstance(stem, str) or not STEM.fullmatch(stem):
            raise CourseError(f"course.yaml: {stem!r} is not a task's stem such as task07_pooling_norm")
    return Track(name, entry["title"], entry["about"], tuple(Task(stem, root) for stem in entry["tasks"]))


def find_root(start: Path, home: Path | None = None) -> Path:
    """The folder that holds ``course.yaml``: ``TORCHGRADE_COURSE``, or ``start`` or the nearest above it, or ``home``.

    ``home`` is the checkout whose grade.py was called.
    """
    named = os.environ.get("TORCHGRADE_COURSE")
    places = [Path(named)] if named else [start, *start.parents, *([home] if home is not None else [])]
    for place in places:
        if (place / "course.yaml").is_file():
            return place.resolve()
    raise UsageError(
        f"no course.yaml in {places[0]} or above; run this inside a course, make one with `init DIR`, "
        "or set TORCHGRADE_COURSE"
    )


def content_hash(paths: Iterable[Path], text: str = "") -> str:
    """Of the files that are there, by name and content, and of ``text``."""
    digest = hashlib.sha256(text.encode())
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
