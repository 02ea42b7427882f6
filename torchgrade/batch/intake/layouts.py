"""Whose file is this? The layouts in which a class's files arrive, recognised from all paths together. Pure.

Gradescope   submission_metadata.yml beside folders submission_<id>/
Canvas       <lastfirst>[_LATE]_<user id>_[question_<n>_]<submission id>_<file>, anon_<code>_<submission id>_<file>,
             …_text.html
Blackboard   <assignment>_<user>_attempt_<date>[_<file>|.txt]
Moodle       <full name or group>[_<number>]_assignsubmission_<file|onlinetext>[_/<file>|_<file>]
Brightspace  <number>-<number> - <name> - <date>[ - <file>|/…]
ILIAS        <last>_<first>_<login>_<number>/…, Team <number>/<last>_<first>_<login>_<number>/…
clones       <assignment>-<account>/…, from GitHub
folders      <student>/…
single       <student>_task07….py, task07_<student>.py, <student>.zip, <student>.ipynb

A platform's layout is the one that most entries fit, and more than half; a name that fits another one is a stranger's.
Where only folders and files are left, the reading in which the class list knows most people is taken.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import yaml

from torchgrade.batch.intake.naming import read_name, same_words
from torchgrade.batch.intake.roster import Identity
from torchgrade.errors import UsageError
from torchgrade.handin.kinds import is_code, may_hold_anything
from torchgrade.handin.naming import OUTPUTS, attempt_number, is_junk, without_attempt
from torchgrade.i18n import noop
from torchgrade.yaml_text import LOADER

METADATA = "submission_metadata.yml"
RESULTS = ("gradebook.sqlite", "grades.csv", "report.html")  # together: the results of an earlier batch
WRAPPERS = 5  # at most so many folders round the class
_CANVAS = re.compile(
    r"(?:(?:LATE_)?anon_(?:LATE_)?(?P<anon>[A-Za-z0-9]{5})_(?P<asub>\d+)_(?P<afile>[^/]+)"
    r"|(?P<name>[^/]+?)_(?:LATE_)?(?P<id>\d+)_(?:question_\d+_)?(?:(?P<submission>\d+)_(?P<file>[^/]+)|(?P<online>text|link)\.html))"
)
_BLACKBOARD = re.compile(
    r"(?P<head>[^/]+?)_attempt_(?P<date>20\d\d-\d\d-\d\d-\d\d-\d\d-\d\d)(?:_(?P<file>[^/]+)|(?P<form>\.txt))"
)
_MOODLE = re.compile(r"(?P<name>.+?)(?:_(?P<number>\d+))?_assignsubmission_(?P<kind>file|onlinetext)(?:_(?P<file>.*))?")
_BRIGHTSPACE = re.compile(
    r"(?P<one>\d+)-(?P<other>\d+) - (?P<name>.+?) ?- (?P<date>[^/]*?\d{4} \d{3,4}(?: [AP]M)?)(?: - (?P<file>[^/]+))?"
)
_ILIAS = re.compile(r"(?P<last>[^_/]+)_(?P<first>[^_/]+)_(?P<login>[^/]+)_(?P<number>\d+)")
_ILIAS_TEAM = re.compile(r"(?:team|gruppe|équipe|équipo|group)[ _]\d+", re.IGNORECASE)
_STAMP = re.compile(r"(20\d{6})(\d{6})_(?=.)")
_COURSE = {"exercises", "solutions", "graders", "torchgrade", "datasets"}  # the parts of one hand-in of a whole course
_PARTS = re.compile(
    r"src|source|sources|lib|data|datasets?|docs?|images?|figures?|notebooks?|scripts?|tests?|utils?|helpers?|models?"
    r"|outputs?|results?|env|\.?venv|task[\s_-]?\d+.*|exercises?.*|solutions?|graders?|torchgrade.*|part\d+|\..*",
    re.IGNORECASE,
)
_WRAPPER = re.compile(
    r"(?:.*[-_ ])?(?:exports?|submissions?|hand-?ins?|abgaben|einreichungen|class|course|kurs|students?|downloads?|all"
    r"|files|homeworks?|hw|assignments?|weeks?|woche|sheets?|blatt|labs?|exercises?|ex|ws|ss|提交|作业|学生)[\s_-]?\d*"
    r"|(?:19|20)\d\d(?:[-_/]\d+)*|\d{1,3}",
    re.IGNORECASE,
)
_NOBODY = re.compile(rf"{_WRAPPER.pattern}|task[\s_-]?\d+.*", re.IGNORECASE)
_HOMEWORK = re.compile(rf"(?:{_WRAPPER.pattern}|task[\s_-]?\d+)-", re.IGNORECASE)
_GROUPS = {"student", "name", "email", "task", "attempt", "date", "file"}


class Owner(NamedTuple):
    """Whose file it is: ``owners`` has several for group work, ``team`` is its name where the platform tells it.

    ``file`` is the path inside the hand-in.
    ``order`` is the attempt number of a platform or of an archive (0 without one), ``task`` what a pattern says.
    ``note`` says why the file can be no submission whatever is in it.
    """

    owners: tuple[Identity, ...]
    file: str
    order: int = 0
    submitted: str = ""
    late: bool | None = None
    task: str = ""
    note: str = ""
    team: str = ""


@dataclass(frozen=True)
class Layout:
    """What was recognised: a name for the report, the owner of each path, of the others a sentence.

    ``doubts`` are sentences about the reading as a whole, each with the option that mends it.
    """

    name: str
    owners: Mapping[str, Owner]
    unmatched: Mapping[str, str]
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Level:
    """The class's paths below ``prefix``: ``inner`` is sorted, ``strays`` are whole paths that lie above."""

    prefix: str
    inner: tuple[str, ...]
    strays: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(sorted({name.split("/")[0] for name in self.inner if "/" in name}))

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(name for name in self.inner if "/" not in name)


Known = Callable[[Identity], bool]


def metadata_path(paths: Iterable[str]) -> str | None:
    """Gradescope's own file: at the top, or in the folder that wraps everything. Students may send one too."""
    names = [path for path in paths if not is_junk(path)]
    tops = {name.split("/")[0] for name in names}
    places = [METADATA, *(f"{top}/{METADATA}" for top in tops if len(tops) == 1)]
    return next((place for place in places if place in names), None)


def recognise(
    paths: Iterable[str],
    metadata: str | None = None,
    pattern: str | None = None,
    *,
    tasks: Sequence[str] = (),
    known: Known | None = None,
) -> Layout:
    """Find the layout of a class folder.

    ``metadata`` is the text of Gradescope's file, where there is one; ``tasks`` are the stems of the course;
    ``known`` says whether the class list has a person.
    """
    whole = list(paths)
    clones = {path.partition("/.git/")[0] for path in whole if "/.git/" in path}
    every = sorted(path for path in whole if not is_junk(path))
    old = _results(every)
    names = [name for name in every if name not in old]
    layout = _recognise(names, metadata, pattern, tasks, known, clones)
    return Layout(layout.name, layout.owners, {**dict.fromkeys(old, "it is a result of an earlier batch"),
                                               **layout.unmatched}, layout.doubts)  # fmt: skip


def _recognise(
    names: Sequence[str], metadata: str | None, pattern: str | None, tasks: Sequence[str], known: Known | None,
    clones: Collection[str],
) -> Layout:  # fmt: skip
    if pattern is not None:
        return _by_pattern(names, pattern, tasks)
    place = metadata_path(names)
    if place is not None and metadata is not None:
        return _gradescope(names, posixpath.dirname(place), metadata, tasks)
    levels = _levels(names)
    for level in levels:
        platform = _platform(level, tasks)
        if platform is not None:
            return platform
    return _people(levels, tasks, known, clones)


def _results(names: Sequence[str]) -> set[str]:
    """The files of a folder that ``--out`` named, also of one that has only just been made."""
    held = set(names)
    # Each folder that has a gradebook at its top, with all that is below it.
    made = {name[: -len(RESULTS[0])]: list[str]() for name in names if posixpath.basename(name) == RESULTS[0]}
    for name in names if made else ():
        ends = [place.end() for place in re.finditer("/", name)]
        for folder in made.keys() & {"", *(name[:end] for end in ends)}:
            made[folder].append(name)
    found: set[str] = set()
    for folder, below in made.items():
        tops = {name[len(folder) :].split("/")[0] for name in below}
        if all(folder + name in held for name in RESULTS) or all(top.startswith(RESULTS[0]) for top in tops):
            found.update(below if folder else _beside(below))
    return found


def _beside(names: Sequence[str]) -> list[str]:
    """The results among the hand-ins, where ``--out`` is the folder of the hand-ins itself."""
    ours = {*OUTPUTS, "similar.html", "similar.csv", "cohorts.html", "cohorts.csv"}
    return [name for name in names if name.startswith(("students/", "explained/", RESULTS[0])) or name in ours]


def _levels(names: Sequence[str]) -> list[Level]:
    """The readings with more and more of the folders that may wrap the class taken away."""
    levels = [Level("", tuple(names))]
    while len(levels) <= WRAPPERS:
        last = levels[-1]
        if len(last.folders) != 1 or any(is_code(name) or may_hold_anything(name) for name in last.files):
            break
        prefix = last.folders[0] + "/"
        inner = tuple(name[len(prefix) :] for name in last.inner if name.startswith(prefix))
        strays = tuple(last.prefix + name for name in last.files)
        levels.append(Level(last.prefix + prefix, inner, (*last.strays, *strays)))
    return levels


# The platforms


def _platform(level: Level, tasks: Sequence[str]) -> Layout | None:
    """The platform whose names most entries of this level have, and more than half of those that may be hand-ins."""
    tops = {name.split("/")[0]: "/" in name for name in level.inner}
    teams = _ilias_teams(level)
    fits = {
        "Canvas": {top for top, folder in tops.items() if not folder and _CANVAS.fullmatch(top)},
        "Blackboard": {top for top, folder in tops.items() if not folder and _BLACKBOARD.fullmatch(top)},
        "Moodle": {top for top, folder in tops.items() if _is_moodle(top, folder)},
        "Brightspace": {
            top for top, folder in tops.items() if (found := _BRIGHTSPACE.fullmatch(top)) and (folder or found["file"])
        },
        "ILIAS": {top for top, folder in tops.items() if folder and (_ILIAS.fullmatch(top) or top in teams)},
    }
    either = set().union(*fits.values())
    count = sum(folder or top in either or is_code(top) or may_hold_anything(top) for top, folder in tops.items())
    name = max(fits, key=lambda name: len(fits[name]))
    if 2 * len(fits[name]) <= count:
        return None
    heads = [found["head"] for top in fits["Blackboard"] if (found := _BLACKBOARD.fullmatch(top))]
    common = _common(heads, "_")
    sent = [found for top in fits["Brightspace"] if (found := _BRIGHTSPACE.fullmatch(top))]
    own = "one" if len({found["one"] for found in sent}) >= len({found["name"] for found in sent}) else "other"
    read: dict[str, Callable[[str], Owner | None]] = {
        "Canvas": lambda path: _canvas(path, tasks),
        "Blackboard": lambda path: _blackboard(path, common, tasks),
        "Moodle": lambda path: _moodle(path, tasks),
        "Brightspace": lambda path: _brightspace(path, own, tasks),
        "ILIAS": lambda path: _ilias(path, tasks, teams),
    }
    return _each(name, level, read[name])


def _is_moodle(top: str, folder: bool) -> bool:
    found = _MOODLE.fullmatch(top)
    return bool(found and (folder or found["file"]))


def _each(kind: str, level: Level, read: Callable[[str], Owner | None], doubts: tuple[str, ...] = ()) -> Layout:
    owners, unmatched = {}, dict.fromkeys(level.strays, "it lies beside the hand-ins")
    for name in level.inner:
        owner = read(name)
        if owner is None:
            unmatched[level.prefix + name] = f"it does not fit the {kind} layout of the other files"
        else:
            owners[level.prefix + name] = owner
    return Layout(kind, owners, unmatched, doubts)


def _canvas(path: str, tasks: Sequence[str]) -> Owner | None:
    found = _CANVAS.fullmatch(path)
    if not found:
        return None
    late = bool(re.match(r"LATE_anon|anon_LATE|.*?_LATE_\d", path))
    if found["anon"]:
        file = found["afile"]
        who = Identity(f"anon_{found['anon']}", own=True)
    else:
        file = found["file"] or f"{found['online']}.html"
        who = Identity(found["id"], found["name"], own=True, team=True)
    note = {"text": "text typed into the platform came, and no file", "link": "a link came, and no file"}
    return Owner((who,), without_attempt(file, tasks), attempt_number(file, tasks), late=late,
                 note=note.get(found["online"] or "", ""))  # fmt: skip


def _blackboard(path: str, common: str, tasks: Sequence[str]) -> Owner | None:
    found = _BLACKBOARD.fullmatch(path)
    if not found:
        return None
    head = found["head"]
    user = head[len(common) :] if head.startswith(common) else head
    others = tuple(head[place.end() :] for place in re.finditer("_", head))
    who = Identity(user or head, others=(head, *others))
    note = "Blackboard's form came, which may hold typed text, and no file" if found["form"] else ""
    file = found["file"] or f"{user}.txt"
    return Owner((who,), file, _order(file, tasks), moment_text(found["date"]), note=note)


def _common(names: Sequence[str], separator: str) -> str:
    """What all names begin with, up to a separator; of a single name what stands before its first separator."""
    distinct = sorted(set(names))
    if len(distinct) < 2:
        return "".join(name[: name.find(separator) + 1] for name in distinct)
    first, last = distinct[0], distinct[-1]  # what the extremes share, all share
    begin = first[: next((i for i, c in enumerate(first) if last[i : i + 1] != c), len(first))]
    return begin[: begin.rfind(separator) + 1]


def _moodle(path: str, tasks: Sequence[str]) -> Owner | None:
    top, _, rest = path.partition("/")
    if rest:  # the platform's own words end a folder's name; before them somebody may call themselves what they like
        top = re.sub("_assignsubmission_(?=.*_assignsubmission_)", " ", top)
    found = _MOODLE.fullmatch(top)
    if not found or not (rest or found["file"]):
        return None
    # Two people may have one name; the number tells them apart.
    number = f"Participant {found['number']}" if found["number"] else ""
    who = Identity(number, found["name"].strip(), own=bool(number), team=True)
    file = rest or found["file"]
    note = "text typed into the platform came, and no file" if found["kind"] == "onlinetext" else ""
    return Owner((who,), file, _order(file, tasks), note=note)


def _brightspace(path: str, own: str, tasks: Sequence[str]) -> Owner | None:
    """``own``: which of the two numbers is the person's; the other one may be that of the exercise."""
    top, _, rest = path.partition("/")
    found = _BRIGHTSPACE.fullmatch(top)
    if not found or not (rest or found["file"]):
        return None
    when = ""
    for form in ("%b %d, %Y %I%M %p", "%B %d, %Y %I%M %p", "%d %b, %Y %I%M %p", "%d %B, %Y %I%M %p"):
        with contextlib.suppress(ValueError):
            when = datetime.strptime(found["date"], form).isoformat()
    file = rest or found["file"]
    return Owner((Identity(found[own], found["name"].strip(), own=True),), file, _order(file, tasks), when)


def _ilias_teams(level: Level) -> dict[str, tuple[str, ...]]:
    """Team folder -> the folders of its members, where it holds nothing else."""
    inside: dict[str, set[str]] = {}
    for name in level.inner:
        top, *rest = name.split("/")
        if _ILIAS_TEAM.fullmatch(top) and rest:
            inside.setdefault(top, set()).add(rest[0] if len(rest) > 1 else "")
    return {top: tuple(sorted(below)) for top, below in inside.items() if all(map(_ILIAS.fullmatch, below))}


def _ilias_person(folder: str) -> Identity | None:
    found = _ILIAS.fullmatch(folder)
    if not found:
        return None
    return Identity(found["login"], f"{found['first']} {found['last']}", others=(found["number"],))


def _ilias(path: str, tasks: Sequence[str], teams: Mapping[str, Sequence[str]]) -> Owner | None:
    top = path.split("/")[0]
    team = top if top in teams else ""
    folders = teams.get(top, (top,))
    file = path.split("/", 2 if team else 1)[-1]
    people = tuple(who for folder in folders if (who := _ilias_person(folder)))
    if not people or file == path:
        return None
    stamp = _STAMP.match(posixpath.basename(file))
    when = moment_text("-".join(stamp.groups())) if stamp else ""
    bare = posixpath.join(posixpath.dirname(file), _STAMP.sub("", posixpath.basename(file), count=1))
    return Owner(people, bare, _order(bare, tasks), when, team=team)


def _order(file: str, tasks: Sequence[str]) -> int:
    """The number behind the name of an archive, which those who read what is in it do not see; of other files 0."""
    return attempt_number(posixpath.basename(file), tasks) if may_hold_anything(file) else 0


def moment_text(text: str) -> str:
    """A date in a name (``2026-03-01-23-59-10``, ``20260301-235910``) as ISO 8601; any other text as it is."""
    digits = re.fullmatch(
        r"(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)(?:[-_T ](\d\d)[-_.:h]?(\d\d)(?:[-_.:]?(\d\d))?)?", text.strip()
    )
    if not digits:
        return text
    year, month, day, hour, minute, second = digits.groups()
    return f"{year}-{month}-{day}" + (f"T{hour}:{minute}:{second or '00'}" if hour else "")


# Folders and single files


def _people(levels: Sequence[Level], tasks: Sequence[str], known: Known | None, clones: Collection[str]) -> Layout:
    """Folders named by people, or single files; the level is the one in which most names are known."""
    depth = 0
    doubts: tuple[str, ...] = ()
    while depth + 1 < len(levels):
        wraps, doubt = _wraps(levels[depth].folders[0], levels[depth + 1], tasks)
        if not wraps:
            doubts = (doubt,) if doubt else ()
            break
        depth += 1
    readings = [_read_level(level, tasks, clones, known) for level in levels]
    if known is not None:
        # A folder that is somebody's own wraps nobody else.
        own = next(
            (i for i, level in enumerate(levels) if level.folders[:1] and known(Identity(level.folders[0]))), None
        )
        readings = readings[: own + 1] if own is not None and own + 1 < len(levels) else readings
        depth = min(depth, len(readings) - 1)
        everybody = [{who for owner in layout.owners.values() for who in owner.owners} for layout in readings]
        scores = [sum(map(known, names)) for names in everybody]
        best = max(scores)
        if best and scores[depth] < best:
            depth = scores.index(best)
        doubts = () if best else doubts
    chosen = readings[depth]
    if known is None and not doubts:
        doubts = _no_people(levels[depth].folders)
    return Layout(chosen.name, chosen.owners, chosen.unmatched, doubts)


def _no_people(folders: Sequence[str]) -> tuple[str, ...]:
    """A doubt where all folders are called like homeworks or tasks, and none like a person."""
    if not folders or any(not _NOBODY.fullmatch(folder) or folder.isdigit() for folder in folders):
        return ()
    named = ", ".join(repr(folder) for folder in folders[:3])
    return (f"are the folders {named} students? --pattern says where a path names the student",)


def _wraps(top: str, below: Level, tasks: Sequence[str]) -> tuple[bool, str]:
    """Whether the only folder holds the class, and is not a student; with a doubt where nothing tells."""
    course = [folder for folder in below.folders if folder.lower() in _COURSE]
    if len(course) > 1 or course == list(below.folders) != []:
        return False, ""
    people = [folder for folder in below.folders if not _PARTS.fullmatch(folder) and not same_words([folder])]
    said = [read_name(name, tasks) for name in below.files if is_code(name) or may_hold_anything(name)]
    persons = {name.person for name in said if name.person}
    loose = any(not name.person for name in said)  # task07.py, homework.zip: of one person
    wrapper = bool(_WRAPPER.fullmatch(top))
    inner = [folder for folder in below.folders if _WRAPPER.fullmatch(folder)]
    if loose:
        several = len(people) > 1
        return (
            False,
            f"is {top!r} a student, or is everybody below it one? --roster or --pattern tells" if several else "",
        )
    if wrapper and (people or persons or inner):
        return True, ""
    if len(people) + (len(persons) if all(name.names_task or people or len(persons) > 1 for name in said) else 0) < 2:
        unsure = len(people) == 1 and not said
        text = f"is {top!r} a student, or {people[0]!r} below it? --roster or --pattern tells" if unsure else ""
        return False, text
    return True, ""


def _read_level(level: Level, tasks: Sequence[str], clones: Collection[str], known: Known | None) -> Layout:
    folders, kind = level.folders, noop("folders")
    cloned = [folder for folder in folders if level.prefix + folder in clones]
    common, shared = _assignment(folders)
    if not folders:
        kind = "single files"
    elif shared or 2 * len(cloned) > len(folders) or re.fullmatch(r".+-submissions/", level.prefix):
        kind = noop("clones")

    def read(path: str) -> Owner | None:
        top, _, rest = path.partition("/")
        if rest:
            who = _folder(top, common, kind, shared)
            return Owner((who,), rest, _order(rest, tasks))
        said = read_name(top, tasks)
        who = Identity(said.person, others=said.others)
        handed = said.names_task or may_hold_anything(top) or (is_code(top) and not folders)
        if not said.person or not (handed or (known is not None and known(who))):
            return None
        return Owner((who,), top, _order(top, tasks))

    layout = _each(kind, level, read)
    nobody = "its name tells no person and no task" if folders else "its name tells nobody"
    unmatched = {name: nobody if name not in level.strays else why for name, why in layout.unmatched.items()}
    return Layout(kind, layout.owners, unmatched)


def _assignment(folders: Sequence[str]) -> tuple[str, bool]:
    """What stands before the accounts, up to a minus sign, and whether it is an assignment's name for sure.

    It is where most folders begin with the words or the number of a homework.
    """
    begins = [folder[: place.end()] for folder in folders for place in re.finditer("-", folder)]
    often = [begin for begin, count in Counter(begins).items() if 2 * count > len(folders) > 1]
    named = [begin for begin in often if _HOMEWORK.fullmatch(begin) or same_words([begin[:-1]])]
    if named:
        return max(named, key=len), True
    return (_common(folders, "-") if len(folders) > 1 else ""), False


def _folder(top: str, common: str, kind: str, shared: bool) -> Identity:
    """A folder's person; behind a minus sign may stand the account of a cloned assignment.

    ``shared``: ``common`` is the assignment for sure, and what follows one account: ``a-bo`` is not ``bo``.
    """
    accounts = tuple(top[place.end() :] for place in re.finditer("-", top))
    if shared and top.startswith(common):
        accounts = (top[len(common) :],)
    behind = tuple(account for account in accounts if common and len(account) >= len(top) - len(common))
    if login := re.fullmatch(r"(.+?) ?\(([^()]+)\)", top):  # Sakai puts it behind the name
        behind = (*behind, *login.groups())
    name = top
    if kind == "clones" and common and top.startswith(common) and top[len(common) :]:
        name, behind = top[len(common) :], (top, *behind)
    return Identity(name, others=behind, accounts=accounts)


# Gradescope


def _gradescope(names: Sequence[str], root: str, metadata: str, tasks: Sequence[str]) -> Layout:
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
        owners[name] = Owner(people, rest, _order(rest, tasks), when)
    return Layout("Gradescope", owners, unmatched)


def read_metadata(text: str) -> dict[str, tuple[tuple[Identity, ...], str]]:
    """Folder to (people, time of submission) from Gradescope's YAML, whose keys carry a leading colon."""
    try:
        data = yaml.load(text, LOADER)
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
    sid, name, email = (str(person.get(key) or "") for key in ("sid", "name", "email"))
    return Identity(sid, name, email, own=bool(sid or email))


# A pattern of the instructor's


def _by_pattern(names: Sequence[str], pattern: str, tasks: Sequence[str]) -> Layout:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--pattern is no regular expression: {str(error)!r}") from None
    groups = set(compiled.groupindex)
    if "student" not in groups or groups - _GROUPS:
        wanted = ", ".join(sorted(_GROUPS - {"student"}))
        raise UsageError(f"--pattern needs a group called student; it may have {wanted}, and no others")
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
            int(number) if number.isdigit() else _order(name, tasks),
            moment_text(values["date"]), task=values["task"],
        )  # fmt: skip
    if names and not owners:
        raise UsageError(
            f"--pattern fits none of the {len(names)} paths, such as {names[0]!r}; it must fit a whole path"
        )
    return Layout("--pattern", owners, unmatched)
