"""The language of what people read. English is the source; catalogues replace it, sentence by sentence.

Catalogues are compiled gettext files, built from the ``.po`` beside them (``course_tools/translations.py``):

    torchgrade/locale/LANGUAGE/LC_MESSAGES/torchgrade.mo    the engine's sentences
    graders/LANGUAGE.mo                                      the course's: titles, mistakes, hints, docstrings

The language is the first of: ``TORCHGRADE_LANG`` (which ``--lang`` sets), ``language:`` of course.yaml, the variables
that every gettext program reads (``LANGUAGE``, ``LC_ALL``, ``LC_MESSAGES``, ``LANG``). ``en`` is English.
What is for one person is told in that person's language (``speak``).
"""

from __future__ import annotations

import contextlib
import functools
import gettext
import locale
import os
import re
from collections.abc import Callable, Iterable, Iterator
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


def translate_built(text: str, templates: Callable[[], Iterable[str]]) -> str:
    """The sentence in the reader's language, also where one of ``templates()`` built it (``{what} of {given}``).

    It is found again by its fixed parts, the longest first; what stands between them is translated in turn.
    """
    told = translate(text)
    if told != text or len(text) > LONGEST or not _catalogue().info():
        return told
    for template in sorted(templates(), key=lambda template: -len(_PLACE.sub("", template))):
        found = _pattern(template).fullmatch(text)
        words = translate(template)
        if found and words != template:
            values = {name: translate_built(value, templates) for name, value in found.groupdict().items()}
            return words.format(**values)
    return text


_PLACE = re.compile(r"\{(\w+)\}")
LONGEST = 500  # characters of a sentence; in a longer one values stand that nobody translates


@functools.lru_cache(maxsize=4096)
def _pattern(template: str) -> re.Pattern[str]:
    """Of what ``template.format(…)`` gives."""
    pieces = [
        re.escape(fixed) + (f"(?P<{name}>.*?)" if name else "") for fixed, name, _, _ in Formatter().parse(template)
    ]
    return re.compile("".join(pieces), re.DOTALL)


def plural(one: str, many: str, count: int) -> str:
    """The form of a sentence for so many; each form may name ``{count}``."""
    return _catalogue().ngettext(one, many, count).format(count=count)


def read_course(root: Path, language: str | None = None) -> None:
    """From now on also the catalogue of the course at ``root``; its own ``language`` where the reader chose none."""
    _chosen.course = root
    if language and not os.environ.get(LANGUAGE):
        os.environ[LANGUAGE] = language  # graders and workers inherit it
    _catalogue_of.cache_clear()


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
        with contextlib.suppress(OSError), place.open("rb") as file:
            of_course = gettext.GNUTranslations(file)
            of_course.add_fallback(found)
            return of_course
    return found
