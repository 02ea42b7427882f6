"""The learner's edition of a course: stubs, data sets, public checks and the engine, and nothing that is secret."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import yaml

from torchgrade.course import Course, Task
from torchgrade.course_tools.public_suite import public_probes, public_text
from torchgrade.course_tools.sealed import NAME, seal
from torchgrade.course_tools.stubs import stub_text, translated
from torchgrade.errors import UsageError
from torchgrade.i18n import noop, read_course
from torchgrade.i18n import translate as _
from torchgrade.suites import parse_suite
from torchgrade.yaml_text import read_yaml

FILES = (
    *("grade.py", "constraints.txt", "LICENSE"),
    *("exercises/conftest.py", ".vscode/settings.json", ".vscode/tasks.json"),
)
OF_ENGINE = ("pyproject.toml", "setup.py", "scripts/setup", "scripts/setup.py")  # what installs it there
DOCS = ("learning.md", "datasets.md", "zh-CN/learning.md")
README = noop("""# {title}

{setup}
Open `exercises/{first}.py`, fill the gaps, and run

```
python grade.py {short}
python grade.py watch
python grade.py hint {short}
python grade.py list
```

[docs/learning.md](docs/learning.md) shows how to read a verdict, and every other command.
""")
SETUP = noop("""You need Python 3.10 or newer. This creates `.venv`, installs everything (a few minutes, once), and
grades the course as it is handed out:

```
scripts/setup && .venv/bin/python grade.py
```

Where there is no bash, `python scripts/setup.py` does the first of the two. On a machine with a GPU, install the torch
that fits it first.
""")
INSTALLED = noop("""The engine is the installed package `torchgrade`; this is all that is yours.
""")
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".torchgrade", "edition")


def release(course: Course, target: Path, *, engine: bool = True, sealed: bool = False) -> dict[str, int]:
    """Write the edition into a new or empty folder; returns the number of hidden checks of each task.

    Without ``engine`` it is for those who have the package installed. ``sealed`` adds each task's reference, for who
    has passed the task.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(_("{folder} is not empty; name a new folder").format(folder=target))
    if target.resolve().is_relative_to(course.root.resolve() / "torchgrade"):
        raise UsageError(_("{folder} lies inside the engine; name another one").format(folder=target))
    target.mkdir(parents=True, exist_ok=True)
    package = Path(__file__).parents[1]
    if engine:
        shutil.copytree(package, target / "torchgrade", ignore=_IGNORED)
    for name in (*FILES, *(OF_ENGINE if engine else ())):
        place = course.root / name if (course.root / name).is_file() else package.parent / name
        if place.is_file():
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copy2(place, target / name)
    if engine:
        project = target / "pyproject.toml"
        text = project.read_text(encoding="utf-8")
        project.write_text(text.replace('testpaths = ["tests"]', 'testpaths = ["exercises"]'), encoding="utf-8")
    _write_readme(course, target)
    hidden = {task.stem: _write_task(task, target, sealed) for task in course.tasks}
    _copy_tree(course.root / "datasets", target / "datasets")
    for name in DOCS:
        if (course.root / "docs" / name).is_file():
            _copy_page(course.root / "docs" / name, (target / "docs" / name).parent)
    settings = {**course.settings, "hidden_checks": {task: count for task, count in hidden.items() if count}}
    settings["edition"] = "learner"
    for business_of_instructors in ("marks", "homeworks", "ignore"):
        settings.pop(business_of_instructors, None)
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    (target / "course.yaml").write_text(text, encoding="utf-8")
    _write_catalogues(course, target)
    return hidden


def _write_readme(course: Course, folder: Path) -> None:
    first = course.tasks[0]
    setup = _(SETUP if (folder / "torchgrade").is_dir() else INSTALLED)
    text = _(README).format(title=_(course.title), first=first.stem, short=first.short, setup=setup)
    (folder / "README.md").write_text(text, encoding="utf-8")


def localise(folder: Path, language: str) -> None:
    """Make a fresh edition tell everything in ``language``: its stubs, too."""
    path = folder / "course.yaml"
    settings = {**read_yaml(path.read_text(encoding="utf-8"), path.name), "language": language}
    path.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
    read_course(folder, language)
    course = Course.load(folder)
    _write_readme(course, folder)
    for task in course.tasks:
        task.stub.write_text(translated(stub_text(task)), encoding="utf-8")


def _write_catalogues(course: Course, target: Path) -> None:
    """The course's sentences in other languages, of what the edition shows and of nothing that is hidden."""
    if not any(course.root.glob("graders/**/*.po")):
        return
    from torchgrade.course_tools import translations  # needs Babel, which a course without catalogues does not

    shown = Course.load(target)
    texts = (text for task in shown.tasks for text in translations.task_texts(task))
    public = {*translations.course_texts(shown), *texts}
    translations.compile_course(course, target, public)


def _copy_tree(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=_IGNORED)


def _copy_page(page: Path, folder: Path) -> None:
    """A page with the pictures that it shows."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(page, folder / page.name)
    for picture in re.findall(r"!\[[^]]*\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        (folder / picture).parent.mkdir(exist_ok=True)
        shutil.copy2(page.parent / picture, folder / picture)


def _write_task(task: Task, target: Path, sealed: bool) -> int:
    """The stub twice (to edit, and to go back to), the public suite and what it needs."""
    stub = stub_text(task)
    folder = target / "graders" / task.stem
    folder.mkdir(parents=True)
    (target / "exercises").mkdir(exist_ok=True)
    (target / "exercises" / f"{task.stem}.py").write_text(stub, encoding="utf-8")
    (folder / "stub.py").write_text(stub, encoding="utf-8")
    (folder / "task.yaml").write_text(_without_rubrics(task), encoding="utf-8")
    suite, hidden = public_text(task.suite.read_text(encoding="utf-8"), f"graders/{task.stem}/checks.py")
    (folder / "checks.py").write_text(suite, encoding="utf-8")
    if task.probes.is_file():
        text = public_probes(task.probes.read_text(encoding="utf-8"), suite)
        (folder / "probes.py").write_text(text, encoding="utf-8")
    if (task.folder / "curves.json").is_file():
        shutil.copy2(task.folder / "curves.json", folder / "curves.json")
    calibration = task.folder / "calibration.json"
    if calibration.is_file():
        _write_floors(calibration, folder / "calibration.json", suite)
    if sealed:
        seal(task, (check.name for check in parse_suite(suite, task.stem).checks), folder / NAME)
    return hidden


def _write_floors(source: Path, target: Path, suite: str) -> None:
    """The thresholds that public checks name, without the runs that they come from."""
    data = json.loads(source.read_text(encoding="utf-8"))
    floors = ("floor", "ceiling", "false_reject", "false_accept")
    public = {"schema": data.get("schema")}
    for name, entry in data.items():
        if isinstance(entry, dict) and f'"{name}"' in suite:
            public[name] = {key: entry[key] for key in floors if key in entry}
    target.write_text(json.dumps(public, indent=1) + "\n", encoding="utf-8")


def _without_rubrics(task: Task) -> str:
    """The manifest as it stands; where people mark questions, without what they look for."""
    text = (task.folder / "task.yaml").read_text(encoding="utf-8")
    if not any(question.rubric for question in task.manifest.manual):
        return text
    data = read_yaml(text, "task.yaml")
    data["manual"] = {one.name: {"title": one.title, "points": one.points} for one in task.manifest.manual}
    return str(yaml.safe_dump(data, allow_unicode=True, sort_keys=False))
