"""The language of what people read. English is the source; catalogues replace it, sentence by sentence.

Catalogues are compiled gettext files, built from the ``.po`` beside them (``course_tools/translations.py``):

    torchgrade/locale/LANGUAGE/LC_MESSAGES/torchgrade.mo    the engine's sentences
    graders/LANGUAGE.mo                                      the course's: titles, mistakes, hints, docstrings

The language is the first of: ``TORCHGRADE_LANG`` (which ``--lang`` sets), ``language:`` of course.yaml, the variables
that every gettext program reads (``LANGUAGE``, ``LC_ALL``, ``LC_MESSAGES``, ``LANG``). ``en`` is English.
What is for one person is told in that person's language (``speak``).
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import gettext
import locale
import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Formatter

DOMAIN = "torchgrade"
LANGUAGE = "TORCHGRADE_LANG"
FOLDER = Path(__file__).parent / "locale"


def noop(text: str) -> str:
    """Marks a sentence that is translated later, where it is shown."""
    return text


def translate(text: str) -> str:
    """The sentence in the reader's language, or unchanged when no catalogue has it."""
    return _catalogue().gettext(text) if text else text


def translate_built(text: str, task: str = "") -> str:
    """The sentence in the reader's language, also where code built it from a template (``{what} of {given}``): a suite
    by an f-string, or the engine for an exception, in another process even.

    ``task``: whose suite it may come from.

    The template is found again by its fixed parts; what stands between is translated in turn. What is indented
    below a sentence is code.
    """
    told = translate(text)
    sentence, below, code = text.partition("\n    ")
    if told == text and below:
        return translate_built(sentence, task) + below + code
    if told != text or len(text) > LONGEST:
        return told
    for template in _templates(_chosen.language, task):
        for pattern in _patterns(template):
            found = pattern.fullmatch(text)
            values = found.groupdict() if found else {}
            if not found or not all(map(_is_whole, values.values())):
                continue
            if not (template.startswith("{") and _is_list(values.values(), template)):
                of_reader = {name: translate_built(value, task) for name, value in values.items()}
                return fitted(translate(template), **of_reader)
    parts = text.split(LIST)
    told_parts = [translate_built(part, task) for part in parts] if len(parts) > 1 else parts
    return also(*told_parts) if told_parts != parts else _told_shortly(text, task)


# Of one word of prose, which is no sentence to be found in a suite. What stands in their places is held to a kind.
SHORT = (
    noop("{digits} rows"), noop("{digits} items"), noop("{digits} images"), noop("{digits} sentences"),
    noop("{digits} tokens"), noop("{digits} epochs"), noop("{digits} losses"), noop("{digits} points"),
    noop("{digits} lines"), noop("{digits} places"), noop("{digits} zeros"), noop("{digits} classes"),
    noop("{digits} calls"), noop("{digits} steps"), noop("{digits} detections"), noop("seed {digits}"),
    noop("call {digits}"), noop("pass {digits}"), noop("shape {list}"), noop("two {code}"), noop("{code} in {dtype}"),
    noop("{list} and {list2}"), noop("{call} of {list}: {told}"), noop("outputs"), noop("inputs"), noop("weights"),
    noop("nodes"), noop("losses"), noop("sizes"),
)  # fmt: skip
_KINDS = {
    "digits": r"\d[\d.,]*", "list": r"[\[(].*[\])]", "dtype": r"(?:b?float|u?int|complex)\d+", "call": r"\w+\(.*?\)",
    "code": r"\w+(?:\(.*?\))?", "told": ".*",
}  # fmt: skip
_IN_BRACKETS = re.compile(r"\([^()\[\]]*\)|\[[^()\[\]]*\]")
_PROSE = re.compile(r"[a-z]{2,} [a-z]{2,}", re.IGNORECASE)


def _told_shortly(text: str, task: str) -> str:
    """The short phrases (``60 rows, batch_size=4``) in the reader's language, where all else of the text is code."""
    known = _short(_chosen.language)
    if not known:
        return text
    bare, held = _QUOTED.sub(lambda found: "_" * len(found[0]), text), ""
    while bare != held:  # the innermost brackets first
        bare, held = _IN_BRACKETS.sub(lambda found: "_" * len(found[0]), bare), bare
    commas = [found.span() for found in re.finditer(", ", bare)]
    spans = list(zip([0, *(end for _, end in commas)], [*(start for start, _ in commas), len(text)], strict=True))
    parts = [text[start:end] for start, end in spans]
    told = [_shortly(part, known, task) for part in parts]
    foreign = any(
        new == old and _PROSE.search(bare[slice(*span)]) for new, old, span in zip(told, parts, spans, strict=True)
    )
    return text if told == parts or foreign else listed(*told)


def _shortly(text: str, known: Iterable[tuple[re.Pattern[str], str]], task: str) -> str:
    for pattern, template in known:
        found = pattern.fullmatch(text)
        if found and all(map(_is_whole, found.groups())):
            values = found.groupdict()
            if "told" in values:
                values["told"] = translate_built(values["told"], task)
            return fitted(template, **values)
    return text


@functools.lru_cache(maxsize=8)
def _short(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The patterns of the short phrases that the language has, each with what it becomes."""
    found = []
    for template in SHORT:
        told = _catalogue_of(language).gettext(template)
        if told != template:
            pattern = ""
            for fixed, name, _, _ in Formatter().parse(template):
                pattern += re.escape(fixed) + (f"(?P<{name}>{_KINDS[name.rstrip('2')]})" if name else "")
            found.append((re.compile(pattern, re.DOTALL), told))
    return tuple(found)


def _is_whole(value: str) -> bool:
    """Whether the text closes the brackets that it opens, and no others: half of a pair is no value."""
    bare = _QUOTED.sub("", value)
    return all(bare.count(first) == bare.count(last) for first, last in ("()", "[]", "{}"))


def _is_list(values: Iterable[str], template: str) -> bool:
    """Whether the text has several sentences, of which the template would be the last."""
    return LIST not in template and any(LIST in value for value in values)


BUILT = "templates of {part}"  # the name of a list in a compiled catalogue, of a task or of the engine
ENGINE = "the engine"
BETWEEN = "\x1f"  # two templates of a list
LIST = "; "  # between sentences of one line
LONGEST = 500  # characters of a sentence; in a longer one values stand that nobody translates
_HAN = re.compile(r"[\u4e00-\u9fff]")
_PLACE = re.compile(r"\{\w+\}")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")


@functools.lru_cache(maxsize=64)
def _templates(language: str, task: str) -> list[str]:
    """Those that say most come first, and before all others those that say how a text begins."""
    known: list[str] = []
    for name in (BUILT.format(part=part) for part in (task, ENGINE) if part):
        found = _catalogue_of(language).gettext(name)
        known += found.split(BETWEEN) if found != name else ()
    return sorted(known, key=lambda template: (template.startswith("{"), -len(_PLACE.sub("", template))))


@functools.lru_cache(maxsize=4096)
def _patterns(template: str) -> tuple[re.Pattern[str], ...]:
    """Of what ``template.format(…)`` gives: each value as short as can be, or as long."""
    parts = list(Formatter().parse(template))
    return tuple(
        re.compile(
            "".join(re.escape(fixed) + (f"(?P<{name}>{any_})" if name else "") for fixed, name, _, _ in parts),
            re.DOTALL,
        )
        for any_ in (".*?", ".*")
    )


def plural(one: str, many: str, count: int) -> str:
    """The form of a sentence for so many; each form may name ``{count}``."""
    return _catalogue().ngettext(one, many, count).format(count=count)


def fitted(template: str, **values: str) -> str:
    """The template with its values; the space that a catalogue sets beside a place, for Latin letters and digits, goes
    where Han meets Han."""
    text = ""
    for fixed, name, _, _ in Formatter().parse(template):
        if _HAN.match(text[-1:]) and fixed[:1] == " " and _HAN.match(fixed[1:2]):
            fixed = fixed[1:]
        value = values[name] if name else ""
        if fixed[-1:] == " " and _HAN.match(fixed[-2:-1]) and _HAN.match(value[:1]):
            fixed = fixed[:-1]
        text += fixed + value
    return text


def run_on(*sentences: str) -> str:
    """The sentences on one line, as the language sets them: with a space after a full stop, or without."""
    return _joined(noop("{first} {second}"), sentences)


def also(*parts: str) -> str:
    """The parts of one sentence, a semicolon between them."""
    return _joined(noop("{first}; {second}"), parts)


def listed(*parts: str) -> str:
    """The parts of a list, a comma between them."""
    return _joined(noop("{first}, {second}"), parts)


def _joined(pair: str, parts: Iterable[str]) -> str:
    between = translate(pair)
    return functools.reduce(lambda first, second: between.format(first=first, second=second), parts)


def read_course(root: Path, language: str | None = None) -> None:
    """From now on also the catalogue of the course at ``root``; its own ``language`` where the reader chose none."""
    _chosen.course = root
    if language and not os.environ.get(LANGUAGE):
        os.environ[LANGUAGE] = language  # graders and workers inherit it
    _catalogue_of.cache_clear()
    _templates.cache_clear()
    _short.cache_clear()


def speak(language: str) -> None:
    """From now on in this process everything is told in ``language``; blank for the reader's own."""
    _chosen.language = language


@contextlib.contextmanager
def speaking(language: str) -> Iterator[None]:
    """Inside, everything is told in ``language``; blank changes nothing."""
    before = _chosen.language
    speak(language or before)
    try:
        yield
    finally:
        speak(before)


def languages(chosen: str = "") -> list[str]:
    """The languages to look for, the best first: ``["zh_CN", "zh"]``; none for English."""
    names = (
        chosen.replace("-", "_")
        or os.environ.get(LANGUAGE)
        or next(
            (value for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), ""
        )
    )
    wanted = []
    for name in names.split(":"):
        full = locale.normalize(name).partition(".")[0].partition("@")[0]
        wanted += [full, full.partition("_")[0]]
    if wanted and wanted[0].partition("_")[0] in ("en", "C", "POSIX"):
        return []
    return list(dict.fromkeys(name for name in wanted if name))


def lend_to_gettext() -> None:
    """From now on the standard library words its own sentences from the engine's catalogue, too (``ARGPARSE``)."""
    gettext.bindtextdomain(DOMAIN, os.environ.get("TORCHGRADE_LOCALE_DIR") or str(FOLDER))
    gettext.textdomain(DOMAIN)
    os.environ["LANGUAGE"] = ":".join(languages()) or "en"  # which is all that it asks for


# What argparse says, and looks up by gettext.
ARGPARSE = (
    noop("usage: "),
    noop("positional arguments"),
    noop("options"),
    noop("show this help message and exit"),
    noop("show program's version number and exit"),
    noop("%(prog)s: error: %(message)s\n"),
    noop("argument %(argument_name)s: %(message)s"),
    noop("the following arguments are required: %s"),
    noop("one of the arguments %s is required"),
    noop("not allowed with argument %s"),
    noop("ignored explicit argument %r"),
    noop("expected one argument"),
    noop("expected at least one argument"),
    noop("ambiguous option: %(option)s could match %(matches)s"),
    noop("invalid %(type)s value: %(value)r"),
    noop("invalid choice: %(value)r (choose from %(choices)s)"),
)


def language_tag() -> str:
    """For the ``lang`` of a page: ``zh-CN``, or ``en`` where nothing is translated."""
    return _catalogue().info().get("language", "en").replace("_", "-") or "en"


class _Chosen:
    """Whose catalogue is read besides the engine's, and for whom."""

    course: Path | None = None
    language: str = ""


_chosen = _Chosen()


class _OfCourse(gettext.NullTranslations):
    """A compiled catalogue of which only what is asked for is decoded: a course has thousands of texts, a command tells
    a few. Its entries are sorted (GNU gettext manual, section "The Format of GNU MO Files")."""

    def __init__(self, compiled: bytes) -> None:
        super().__init__()
        self._bytes = compiled
        self._count, self._texts, self._told = struct.unpack_from("<3I", self._bytes, 8)
        header = self._entry(self._told, 0).decode().splitlines() if self._count else []
        self._info = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in header)}

    def _entry(self, table: int, index: int) -> bytes:
        length, start = struct.unpack_from("<2I", self._bytes, table + 8 * index)
        return self._bytes[start : start + length]

    def gettext(self, message: str) -> str:
        wanted = message.encode("utf-8", "surrogatepass")
        index = bisect.bisect_left(range(self._count), wanted, key=functools.partial(self._entry, self._texts))
        if index < self._count and self._entry(self._texts, index) == wanted:
            return self._entry(self._told, index).decode()
        return super().gettext(message)


def _catalogue() -> gettext.NullTranslations:
    return _catalogue_of(_chosen.language)


@functools.lru_cache(maxsize=8)
def _catalogue_of(language: str) -> gettext.NullTranslations:
    wanted = languages(language)
    if not wanted:
        return gettext.NullTranslations()
    folder = os.environ.get("TORCHGRADE_LOCALE_DIR") or str(FOLDER)
    found = gettext.translation(DOMAIN, localedir=folder, languages=wanted, fallback=True)
    places = [_chosen.course / "graders" / f"{name}.mo" for name in wanted] if _chosen.course is not None else []
    for place in places:
        with contextlib.suppress(OSError):
            of_course = _OfCourse(place.read_bytes())
            of_course.add_fallback(found)
            return of_course
    return found
