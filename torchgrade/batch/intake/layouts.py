"""Whose file is this? The layouts in which a class's files arrive, recognised from paths alone. Pure.

Gradescope   submission_metadata.yml beside folders submission_<id>/
Moodle       <full name>_<number>_assignsubmission_file[_/<file>|_<file>]
Canvas       <lastfirst>[_LATE]_<user id>_<submission id>_<file>[-<attempt>].<ext>
folders      <student>/…
single       <student>_task07….py, task07_<student>.py, <student>.zip, <student>.ipynb
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import yaml

from torchgrade.batch.intake.roster import Identity
from torchgrade.errors import UsageError
from torchgrade.handin.naming import attempt_number, is_junk, names_somebody, split_single, without_attempt

METADATA = "submission_metadata.yml"
_MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_(?P<kind>file|onlinetext)(?:_(?P<file>.*))?")
_CANVAS = re.compile(r"(?P<name>[^_/]+)_(?:(?P<late>LATE)_)?(?P<id>\d+)_(?P<submission>\d+)_(?P<file>[^/]+)")
_GROUPS = {"student", "name", "email", "task", "attempt", "date", "file"}


class Owner(NamedTuple):
    """Whose file it is: ``owners`` has several for group work. ``file`` is the path inside the hand-in.

    ``order`` is an attempt number found in the name (0 without one), ``task`` what a pattern says.
    """

    owners: tuple[Identity, ...]
    file: str
    order: int = 0
    submitted: str = ""
    late: bool | None = None
    task: str = ""


@dataclass(frozen=True)
class Layout:
    """What was recognised: a name for the report, and the owner of each path (None with a sentence)."""

    name: str
    owners: Mapping[str, Owner]
    unmatched: Mapping[str, str]


def metadata_path(paths: Iterable[str]) -> str | None:
    """Gradescope's own file: at the top, or in the folder that wraps everything. Students may send one too."""
    names = [path for path in paths if not is_junk(path)]
    for place in names:
        folder, _, base = place.rpartition("/")
        if base == METADATA and all(name.startswith(f"{folder}/" if folder else "") for name in names):
            return place if "/" not in folder else None
    return None


def recognise(paths: Iterable[str], metadata: str | None = None, pattern: str | None = None) -> Layout:
    """Find the layout of a class folder. ``metadata`` is the text of Gradescope's file, where there is one."""
    names = sorted(path for path in paths if not is_junk(path))
    if pattern is not None:
        return _by_pattern(names, pattern)
    place = metadata_path(names)
    if place is not None and metadata is not None:
        return _gradescope(names, posixpath.dirname(place), metadata)
    inner, prefix = _unwrapped(names)
    tops = {name.split("/")[0] for name in inner}
    if any(_MOODLE.fullmatch(top) for top in tops):
        return _each("Moodle", inner, prefix, _moodle)
    flat = [name for name in inner if "/" not in name]
    if len(flat) == len(inner) and 2 * sum(bool(_CANVAS.fullmatch(name)) for name in flat) > len(flat):
        return _each("Canvas", inner, prefix, _canvas)
    kind = "single files" if len(flat) == len(inner) else "folders"
    return _each(kind, inner, prefix, _plain)


def _unwrapped(names: Sequence[str]) -> tuple[list[str], str]:
    """The paths without a folder that wraps all of them (what an archive of one folder has)."""
    tops = {name.split("/")[0] for name in names}
    deep = [name for name in names if name.count("/") >= 2 or _holds_one(name)]
    if len(tops) == 1 and len(deep) == len(names) and names:
        prefix = next(iter(tops)) + "/"
        return [name[len(prefix) :] for name in names], prefix
    return list(names), ""


def _holds_one(name: str) -> bool:
    """A file one folder deep that by its own name holds a whole hand-in of somebody."""
    base = posixpath.basename(name)
    return name.count("/") == 1 and bool(
        _CANVAS.fullmatch(base) or _MOODLE.fullmatch(base) or names_somebody(base)
        or base.lower().endswith((".zip", ".tar.gz", ".tgz", ".tar", ".tar.xz"))
    )  # fmt: skip


def _each(kind: str, inner: Sequence[str], prefix: str, read: Any) -> Layout:
    owners, unmatched = {}, {}
    for name in inner:
        owner = read(name)
        if owner is None:
            unmatched[prefix + name] = f"it does not fit the {kind} layout of the other files"
        else:
            owners[prefix + name] = owner
    return Layout(kind, owners, unmatched)


def _moodle(path: str) -> Owner | None:
    top, _, rest = path.partition("/")
    found = _MOODLE.fullmatch(top)
    if not found or not (rest or found["file"]):
        return None
    # Two people may have one name; the number tells them apart.
    who = Identity(id=f"Participant {found['number']}", name=found["name"].strip())
    file = rest or found["file"]
    return Owner((who,), file, attempt_number(file))


def _canvas(path: str) -> Owner | None:
    found = _CANVAS.fullmatch(path)
    if not found:
        return None
    who = Identity(id=found["id"], name=found["name"])
    late = found["late"] is not None
    return Owner((who,), without_attempt(found["file"]), attempt_number(found["file"]), late=late)


def _plain(path: str) -> Owner | None:
    top, _, rest = path.partition("/")
    if rest:
        return Owner((Identity(id=top.strip()),), rest, attempt_number(rest))
    student, file = split_single(top)
    return Owner((Identity(id=student),), file, attempt_number(file)) if student else None


# Gradescope


def _gradescope(names: Sequence[str], root: str, metadata: str) -> Layout:
    table = read_metadata(metadata)
    prefix = f"{root}/" if root else ""
    owners, unmatched = {}, {}
    for name in names:
        inner = name[len(prefix) :] if name.startswith(prefix) else ""
        folder, _, rest = inner.partition("/")
        if posixpath.basename(name) == METADATA:
            continue
        if folder not in table or not rest:
            unmatched[name] = f"{METADATA} does not name its folder"
            continue
        people, when = table[folder]
        owners[name] = Owner(people, rest, attempt_number(rest), when)
    return Layout("Gradescope", owners, unmatched)


def read_metadata(text: str) -> dict[str, tuple[tuple[Identity, ...], str]]:
    """Folder to (people, time of submission) from Gradescope's YAML, whose keys carry a leading colon."""
    try:
        data = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{METADATA} is not readable: {' '.join(str(error).split())[:200]}") from None
    table = {}
    for folder, entry in data.items() if isinstance(data, dict) else ():
        values = _keys(entry)
        people = tuple(_identity(_keys(person)) for person in values.get("submitters") or ())
        when = values.get("created_at") or ""
        table[str(folder)] = (people, when.isoformat() if isinstance(when, date) else str(when))
    if not table:
        raise UsageError(f"{METADATA} names no submission")
    return table


def _keys(entry: Any) -> dict[str, Any]:
    return {str(key).lstrip(":"): value for key, value in entry.items()} if isinstance(entry, dict) else {}


def _identity(person: Mapping[str, Any]) -> Identity:
    return Identity(*(str(person.get(key) or "") for key in ("sid", "name", "email")))


# A pattern of the instructor's


def _by_pattern(names: Sequence[str], pattern: str) -> Layout:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--pattern is no regular expression: {error}") from None
    groups = set(compiled.groupindex)
    if "student" not in groups or groups - _GROUPS:
        wanted = ", ".join(sorted(_GROUPS - {"student"}))
        raise UsageError(f"--pattern needs a group (?P<student>…); it may have {wanted}, and no others")
    owners, unmatched = {}, {}
    for name in names:
        found = compiled.fullmatch(name)
        if not found or not found["student"]:
            unmatched[name] = "it does not fit --pattern"
            continue
        values = {**dict.fromkeys(_GROUPS, ""), **{k: v or "" for k, v in found.groupdict().items()}}
        number = values["attempt"]
        owners[name] = Owner(
            (Identity(values["student"], values["name"], values["email"]),),
            values["file"] or posixpath.basename(name),
            int(number) if number.isdigit() else attempt_number(name),
            values["date"], task=values["task"],
        )  # fmt: skip
    return Layout("--pattern", owners, unmatched)
