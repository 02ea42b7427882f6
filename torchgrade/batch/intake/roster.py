"""Finding the people that file names mean: all of them together, so that two people never become one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from torchgrade.errors import UsageError
from torchgrade.marks import GROUP, TEST_STUDENT, Student


class Identity(NamedTuple):
    """What a file name or an export says about a person; any part may be empty.

    ``others`` are further ways to read the name, ``accounts`` what may be an account of a code platform. ``own``: the
    id is the platform's, so that another id is another person. ``team``: the platform names groups in this place.
    """

    id: str = ""
    name: str = ""
    email: str = ""
    others: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    own: bool = False
    team: bool = False

    @property
    def label(self) -> str:
        """The key of this person while no list knows it."""
        return self.id or self.email or self.name


class Found(NamedTuple):
    """The keys of the students that an identity means, and a sentence where that is not certain.

    ``team``: it is the name of theirs.
    """

    keys: tuple[str, ...]
    doubt: str = ""
    team: bool = False


class Roster:
    """The class list, and everybody else who is found.

    ``decided`` maps labels to keys, "" to nobody; ``past`` are people of earlier times, known by their keys.
    """

    def __init__(
        self, listed: Sequence[Student] = (), decided: Mapping[str, str] | None = None, past: Sequence[Student] = ()
    ) -> None:
        self.students: dict[str, Student] = {student.key: student for student in listed}
        self.found: set[str] = set()
        self._decided = decided or {}
        self._past = {student.key: replace(student, listed=False) for student in past}
        self._exact = _index(listed, _signs)
        self._names = _index(listed, _names)
        self._accounts = _index(listed, lambda student: {_folded(student.ids.get("github", ""))} - {""})
        self._teams = _index(listed, lambda student: {_folded(student.team)} - {""})
        self._groups = _index(listed, _groups)

    def knows(self, who: Identity) -> bool:
        """Whether somebody on the list is meant; nothing is remembered."""
        return bool(self.candidates(who) or self._team(who))

    def candidates(self, who: Identity) -> list[str]:
        """The keys of all on the list who may be meant: by id, e-mail or account, else by name."""
        return self._strong(who) or self._weak(who)

    def find(self, people: Iterable[Identity]) -> dict[Identity, Found]:
        """Who each of these is. Whoever is not listed gets an entry of their own."""
        asked = list(dict.fromkeys(people))
        strong = {who: self._strong(who) for who in asked}
        weak = {who: [] if strong[who] else self._weak(who) for who in asked}
        claims: dict[str, list[Identity]] = {}
        for who in asked:
            for key in strong[who] or weak[who]:
                claims.setdefault(key, []).append(who)
        return {who: self._settle(who, strong[who], weak[who], claims) for who in asked}

    def _settle(
        self, who: Identity, strong: list[str], weak: list[str], claims: Mapping[str, Sequence[Identity]]
    ) -> Found:
        if who.label in self._decided:
            key = self._decided[who.label]
            return Found((self._enter(self.present(key), who),) if key else ())
        if team := self._team(who):
            return Found(tuple(team), team=True)
        keys = strong or weak
        rivals = [other for key in keys for other in claims[key] if _are_two(who, other)]
        if len(keys) == 1 and (not rivals or who.id == keys[0]):
            return Found((self._enter(keys[0], who),))
        key = self._enter(self._free(who.label), who)
        ids = ", ".join(sorted({*keys, *(other.label for other in rivals)}))
        return Found((key,), f"{who.name or who.label!r} may be several people ({ids})" if keys else "")

    def present(self, key: str) -> str:
        """The key under which a person of earlier times is on the list now; the same where there is none."""
        past = self._past.get(key, Student(key))
        who = Identity(key, past.name, past.email)
        keys = self.candidates(who)
        return keys[0] if len(keys) == 1 else key

    def _free(self, label: str) -> str:
        """A key that is nobody's on the list."""
        while label in self.students and self.students[label].listed:
            label += " (not listed)"
        return label

    def _enter(self, key: str, who: Identity) -> str:
        """Remember the person, with the platform's own number for the tables that go back to it."""
        student = self.students.get(key)
        self.found.add(key)
        if student is None:
            made = Student(key, who.id if key == who.label else key, who.name, who.email)
            self.students[key] = made if key == who.label else self._past.get(key, made)
        elif who.own and who.id and who.id not in (student.id, student.key):
            self.students[key] = replace(student, ids={**student.ids, "platform": who.id})
        return key

    def _strong(self, who: Identity) -> list[str]:
        """By id, e-mail or account; several where a sign is shared."""
        if who.id in self.students and self.students[who.id].listed:
            return [who.id]
        for sign in (who.id, who.email, who.email.split("@")[0], *sorted(who.others, key=len, reverse=True)):
            if sign and (keys := self._exact.get(_folded(sign))):
                return keys
        for account in who.accounts:
            if keys := self._accounts.get(_folded(account)):
                return keys
        return []

    def _weak(self, who: Identity) -> list[str]:
        """By name."""
        for sign in (who.name, who.id if not who.own else "", *who.others, self._behind_team(who)):
            if sign and (keys := self._names.get(_folded(sign)) or self._names.get(_sorted(sign))):
                return keys
        return []

    def _behind_team(self, who: Identity) -> str:
        """The person of ``Group A-Ann Lee``, which is how Moodle names each member's copy."""
        for place in re.finditer("-", who.name) if who.team else ():
            if _folded(who.name[: place.start()]) in {**self._teams, **self._groups}:
                return who.name[place.end() :]
        return ""

    def _team(self, who: Identity) -> list[str]:
        """The members of the team of this name; of a platform's group too, where it names groups."""
        if who.team:
            name = _folded(who.name)
            return [] if self._weak(who) else self._teams.get(name) or self._groups.get(name, [])
        known = [name for sign in (who.id, *who.others) if (name := _folded(sign)) in self._teams]
        return self._teams[known[0]] if known and not self.candidates(who) else []

    def team_of(self, key: str) -> str:
        """The name of a student's team; empty without one."""
        return self.students[key].team if key in self.students else ""

    def members(self, team: str) -> list[str]:
        """The keys of a team, which a list may also call by its number alone."""
        number = re.sub(r"\D", "", team)
        return self._teams.get(_folded(team)) or self._teams.get(number, [])

    def class_of(self) -> list[Student]:
        """Everybody on the list and everybody who was found; the platform's test student only if it handed in."""
        everybody = self.students.values()
        return [student for student in everybody if TEST_STUDENT not in student.ids or student.key in self.found]


def one_student(students: Sequence[Student], said: str, labels: Mapping[str, Sequence[str]] | None = None) -> Student:
    """The student that is meant by key, id, e-mail or name, or by what the files call them (``labels``).

    Raises UsageError that lists the ids to choose from.
    """
    exact = [student.key for student in students if said in (student.key, student.id)]
    roster = Roster([replace(student, listed=True) for student in students])
    who = Identity(said, said, said if "@" in said else "")
    keys = exact or roster.candidates(who) or list((labels or {}).get(said, ()))
    found = [student for student in students if student.key in keys]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"nobody in the gradebook is called {said!r}")
    raise UsageError(f"{len(keys)} students are called {said!r} in the gradebook; say which: {', '.join(sorted(keys))}")


def _are_two(one: Identity, other: Identity) -> bool:
    """Whether a platform says by its own ids that these are different people."""
    return one.own and other.own and "" not in (one.id, other.id) and one.id != other.id


def _index(students: Sequence[Student], signs: Callable[[Student], set[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for student in students:
        for sign in signs(student):
            found.setdefault(sign, []).append(student.key)
    return found


def _signs(student: Student) -> set[str]:
    mail = student.email
    exact = {student.key, student.id, mail, mail.split("@")[0]}
    exact |= {value for name, value in student.ids.items() if name not in ("github", GROUP, TEST_STUDENT)}
    number = re.search(r"\d+$", student.ids.get("identifier", ""))  # "Participant 71" in the site's language
    return {_folded(sign) for sign in exact if sign} | ({f"participant{number[0]}"} if number else set())


def _groups(student: Student) -> set[str]:
    """The names of a platform's groups; Moodle's default group has those without one."""
    names = re.split(r"[,;]", student.ids.get(GROUP) or student.section)
    return {_folded(name) for name in names if name.strip()} or {"defaultgroup"}


def _names(student: Student) -> set[str]:
    words = student.name.replace(",", " ").split()
    # Canvas joins the last name and the first ones.
    joined = {"".join([*words[i:], *words[:i]]) for i in range(len(words))}
    return {_folded(sign) for sign in {student.name, *joined} if sign} | ({_sorted(student.name)} if words else set())


def _folded(text: str) -> str:
    """Without case, accents, blanks and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if c.isalnum() or c in "@.")


def _sorted(text: str) -> str:
    words = re.split(r"[\s,_.-]+", text)
    return " ".join(sorted(_folded(word) for word in words))
