"""Catalogues: what can be translated, what is, and the compiled files that the engine reads.

One ``.po`` for the engine, one for the course (``graders/LANGUAGE.po``: its titles), one beside each task
(``graders/TASK/LANGUAGE.po``). Those of a course are compiled into one ``graders/LANGUAGE.mo``. Needs Babel, which
authors and builds have; nobody who grades needs it.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from babel.messages import mofile, pofile
from babel.messages.catalog import Catalog, Message

from torchgrade.course import Course, Task
from torchgrade.course_tools.stubs import stub_text, todo_sentences
from torchgrade.handin.source import FAULT, PYTHON
from torchgrade.i18n import BETWEEN, BUILT, DOMAIN, ENGINE, FOLDER
from torchgrade.marks import MISSING, PENDING, UNMARKED, UNREADABLE
from torchgrade.model import CATEGORIES, Status
from torchgrade.sentences import MARKS, WORDS, f_strings, said_to, sentences, texts_in, worded
from torchgrade.suites import SAID, Suite, read_suite

PACKAGE = Path(__file__).parents[1]
RAISED = (
    *("UsageError", "CourseError", "UnknownTask", "IsolationError", "SubmissionError", "Refused", "Unreadable"),
    *("BadAnswer", "WorkerDied", "Unsendable"),
)
# Where sentences are put together that another process tells, or that a table keeps.
WORDED = (
    *("handin/*.py", "isolation/worker/submitted.py", "submission.py"),
    *(f"batch/intake/{name}.py" for name in ("intake", "layouts", "roster")),
)
OPEN_WORDS = (MISSING, PENDING, UNMARKED, UNREADABLE)  # of a row without a grade
# What a translation must hold as often as its source: placeholders, code, numbers, names of code.
KEPT = re.compile(r"\{[\w.:!]*\}|``[^`\n]+``|`[^`\n]+`|\b\d+(?:\.\d+)?\b|\b\w+\(\)|\b[a-z]+_[a-z_]+\b")


@dataclass(frozen=True)
class CatalogPart:
    """A catalogue: its name, where it lies, the texts of its source, whether it is Python format."""

    name: str
    place: Path
    texts: tuple[str | tuple[str, str], ...]


@dataclass(frozen=True)
class Translated:
    """Of one catalogue: how many texts there are, how many are translated, and what is wrong."""

    name: str
    texts: int
    translated: int
    problems: tuple[str, ...]


def parts(course: Course, language: str) -> Iterator[CatalogPart]:
    """The engine's catalogue, the course's, and one for each task."""
    if (PACKAGE.parent / "course.yaml").is_file() and PACKAGE.parent == course.root:
        yield CatalogPart("engine", engine_po(language), tuple(engine_texts()))
    yield CatalogPart("course", course.root / "graders" / f"{language}.po", tuple(course_texts(course)))
    for task in course.tasks:
        yield CatalogPart(task.short, task.folder / f"{language}.po", tuple(task_texts(task)))


def engine_po(language: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def engine_texts() -> Iterator[str | tuple[str, str]]:
    """What the engine marks by ``_``, ``noop`` and ``plural``, in f-strings too, file by file."""
    marked: dict[str | tuple[str, str], None] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
            if isinstance(call.func, ast.Name) and call.func.id in MARKS:
                texts = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                if texts and texts[0]:
                    marked[(texts[0], texts[1]) if call.func.id == "plural" else texts[0]] = None
    for page in sorted(PACKAGE.rglob("*.j2")):
        marked.update(dict.fromkeys(re.findall(r"_\(\"([^\"]+)\"\)", page.read_text(encoding="utf-8"))))
    axes = ast.parse((PACKAGE / "expect" / "axes.py").read_text(encoding="utf-8"))
    yield from dict.fromkeys(
        [*marked, *engine_built(), *value_texts(axes), *map(str, Status), *CATEGORIES, *OPEN_WORDS]
    )


def engine_built() -> Iterator[str]:
    """The templates of the sentences that stay English until they are shown: those of exceptions, and of what is read
    and run beside a submission, and of Python's parser."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    for path, tree in trees.items():
        raised = [part for text in said_to(tree, RAISED) for part in (*f_strings(text), *texts_in(text))]
        here = path.relative_to(PACKAGE)
        if here.parts[0] != "course_tools":  # whose errors are for authors, who write English
            yield from sentences(raised)
            if any(here.match(glob) for glob in WORDED):
                yield from sentences(worded(tree), words=1 if here.parts[0] == "isolation" else WORDS)
    yield from (FAULT, *PYTHON)


def course_texts(course: Course) -> Iterator[str]:
    yield course.title
    for track in course.tracks:
        yield from (text for text in (track.title, track.about) if text)


def task_texts(task: Task) -> Iterator[str]:
    """Title, summary and hints; titles and sentences of the suite; docstrings and gaps of the stub."""
    facts = task.manifest
    suite = suite_texts(read_suite(task))
    hints = (hint.text for hint in facts.hints)
    asked = (text for question in facts.manual for text in (question.title, *(item for item, _ in question.rubric)))
    yield from dict.fromkeys([facts.title, facts.summary, *hints, *asked, *suite, *stub_texts(stub_text(task))])


def suite_texts(suite: Suite) -> Iterator[str]:
    yield from (check.title for check in suite.checks)
    yield from sorted(text for text in suite.sentences if " " in text)
    yield from value_texts(suite.tree)
    yield from suite.built
    for node in ast.walk(suite.tree):
        if isinstance(node, ast.Call):
            values = [word.value for word in node.keywords if word.arg in SAID]
            yield from (v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str) and v.value)


def value_texts(tree: ast.Module) -> Iterator[str]:
    """What tensors hold, as a contract tells it: the docstrings of the functions that draw them."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.args.args and node.args.args[-1].arg == "generator":
            doc = ast.get_docstring(node)
            if doc:
                yield doc.strip().rstrip(".")


def stub_texts(stub: str) -> Iterator[str]:
    """The docstrings as they stand in the text, and what the gaps ask for."""
    for node in ast.walk(ast.parse(stub)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            doc = ast.get_docstring(node, clean=False)
            if doc:
                yield doc
    yield from todo_sentences(stub)


def read(place: Path, language: str) -> Catalog:
    """The catalogue at ``place``; an empty one where there is none."""
    if not place.is_file():
        return Catalog(locale=language, project="TorchGrade", charset="utf-8")
    with place.open("rb") as file:
        return pofile.read_po(file, locale=language, charset="utf-8")


def update(part: CatalogPart, language: str) -> Catalog:
    """Write the catalogue with the texts of today in their order: translations that fit are kept, others go.

    A text that has changed a little keeps its old translation as *fuzzy*: somebody has to look.
    """
    template = Catalog(charset="utf-8")
    for text in part.texts:
        template.add(text)
    catalog = read(part.place, language)
    catalog.update(template)
    catalog.obsolete.clear()
    fresh = Catalog(locale=language, project="TorchGrade", charset="utf-8", fuzzy=False)
    for text in part.texts:
        message = catalog.get(text)
        if message is not None:
            fresh.add(text, message.string, flags=message.flags & {"fuzzy"})
    part.place.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    pofile.write_po(buffer, fresh, width=110, omit_header=True)
    head = f'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    head += f'"Plural-Forms: {fresh.plural_forms}\\n"\n\n'
    part.place.write_text(head + buffer.getvalue().decode("utf-8"), encoding="utf-8")
    return fresh


def coverage(part: CatalogPart, language: str) -> Translated:
    """What is translated of today's texts, and which translations cannot be right."""
    catalog = read(part.place, language)
    messages = [(text, catalog.get(text)) for text in part.texts]
    done = [(text, message) for text, message in messages if message is not None and is_translated(message)]
    stale = [str(m.id) for m in catalog if m.id and m.id not in part.texts and _first(m.id) not in part.texts]
    problems = [f"gone from the source: {text[:60]!r}" for text in stale]
    problems += [problem for text, message in done for problem in losses(text, message)]
    return Translated(part.name, len(messages), len(done), tuple(problems))


def _first(text: str | Iterable[str]) -> str:
    return text if isinstance(text, str) else next(iter(text))


def _plain(text: str) -> str:
    """In one line, without the fences of blocks."""
    return " ".join(text.replace("```", " ").split())


def is_translated(message: Message) -> bool:
    return all(_strings(message)) and not message.fuzzy


def _strings(message: Message) -> list[str]:
    """The translation, or its plural forms."""
    found = message.string
    return [text or "" for text in found] if isinstance(found, (list, tuple)) else [found or ""]


def losses(text: str | tuple[str, str], message: Message) -> Iterator[str]:
    """Which placeholders, numbers and names of code a translation has lost or invented."""
    source = text if isinstance(text, str) else text[1]
    if source.isidentifier():  # the name of a status: a word, not code
        return
    source = _plain(source)
    for string in map(_plain, _strings(message)):
        wanted, found = set(KEPT.findall(source)), set(KEPT.findall(string))
        for name in sorted(wanted - found):
            if name not in string:
                yield f"{name} is lost in {string[:60]!r}"
        for name in sorted(found - wanted):
            if name.startswith("{"):
                yield f"{name} is not in the source of {string[:60]!r}"


def compile_catalog(
    catalogs: Iterable[Catalog],
    language: str,
    target: Path,
    built: Mapping[str, Iterable[str]],
    only: set[str] | None = None,
) -> int:
    """Write one compiled file of what is translated; returns how many texts. ``only``: of these texts alone.

    ``built``: of each task, or of the engine, the texts that are templates (``i18n.translate_built``).
    """
    whole = Catalog(locale=language, charset="utf-8", fuzzy=False)
    for catalog in catalogs:
        for message in catalog:
            if message.id and is_translated(message) and (only is None or _first(message.id) in only):
                whole.add(message.id, message.string)
    count = len(whole)
    for part, texts in built.items():
        known = sorted({text for text in texts if "{" in text and whole.get(text) is not None})
        if known:
            whole.add(BUILT.format(part=part), BETWEEN.join(known))
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        mofile.write_mo(file, whole)
    return count


def compile_engine(folder: Path = FOLDER) -> None:
    """Compile every catalogue of the engine below ``folder``."""
    for place in sorted(folder.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        language = place.parts[-3]
        compile_catalog([read(place, language)], language, place.with_suffix(".mo"), {ENGINE: engine_built()})


def course_languages(course: Course) -> list[str]:
    """Those that the course or one of its tasks has a catalogue in."""
    places = [*course.root.glob("graders/*.po"), *course.root.glob("graders/task*/*.po")]
    return sorted({place.stem for place in places})


def compile_course(course: Course, target: Path | None = None, only: set[str] | None = None) -> None:
    """Compile the catalogues of the course into ``graders/LANGUAGE.mo`` of ``target`` (default: of the course)."""
    for language in course_languages(course):
        places = [course.root / "graders" / f"{language}.po", *(t.folder / f"{language}.po" for t in course.tasks)]
        catalogs = [read(place, language) for place in places if place.is_file()]
        templates = {task.stem: read_suite(task).built for task in course.tasks}
        place = (target or course.root) / "graders" / f"{language}.mo"
        compile_catalog(catalogs, language, place, templates, only)
