"""Text of strangers, made harmless for the place where it is shown. Pure functions.

Names, output and messages may hold anything: formulas for a spreadsheet, markup, terminal escapes, characters
that XML cannot carry, text that runs backwards.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata

REPLACEMENT = "\ufffd"
_FORMULA = tuple("=+-@＝＋－＠")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_TAKEN = re.compile(r".*-[0-9a-f]{12}|(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")  # our own hashes; names of devices
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&$:@/])")


def plain(text: str, *, lines: bool = True) -> str:
    """Printable text: control, format and lone surrogate characters are replaced. ``lines`` keeps line breaks."""
    if text.isascii() and (text.replace("\n", "") if lines else text).isprintable():
        return text if lines else " ".join(text.split())
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    text = text if lines else text.replace("\n", " ")
    kept = "".join(c if _printable(c) or (lines and c == "\n") else REPLACEMENT for c in text)
    return kept if lines else " ".join(kept.split())


def _printable(character: str) -> bool:
    # Joiners make emoji and Indic scripts readable; every other format character can hide or reorder text.
    return character in "\u200c\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def cell(value: object) -> str:
    """A CSV cell that no spreadsheet takes for a formula; numbers and None become plain numbers and nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.12g}"
    return harmless(plain(str(value), lines=False))


def harmless(text: str) -> str:
    """A text as it is, unless a spreadsheet would take it for a formula."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) and not NUMBER.fullmatch(text) else text


def uncelled(text: str) -> str:
    """What ``cell`` made such a text of."""
    return text[1:] if text.startswith("'") and text[1:].lstrip().startswith(_FORMULA) else text


def markup(text: str) -> str:
    """HTML text or attribute value."""
    return html.escape(plain(text), quote=True)


def xml_text(text: str) -> str:
    """Characters that XML 1.0 can carry; the writer escapes the markup itself."""
    return plain(text)


def markdown(text: str) -> str:
    """One line of Markdown that shows exactly this text."""
    return _MARKDOWN.sub(r"\\\1", plain(text, lines=False))


def code_block(text: str) -> str:
    """A fenced Markdown block that its content cannot close."""
    content = plain(text)
    longest = max((len(run) for run in re.findall(r"`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{content}\n{fence}"


def folder_name(key: str) -> str:
    """A folder of our own for each key: readable, and the same whatever other keys there are.

    Two keys never have one name, also where capitals or composed letters do not count: what is not plain letters
    and digits as they are ends with a hash of the key.
    """
    kept = re.sub(r"[^\w.-]+", "_", key).strip("._-")[:48]
    if kept == key == unicodedata.normalize("NFKC", key.casefold()) and not _TAKEN.fullmatch(key):
        return key
    return f"{kept or 'student'}-{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()[:12]}"
