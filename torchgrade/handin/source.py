"""Reading a learner's source text: encodings, look-alike characters, syntax errors, places."""

from __future__ import annotations

import io
import tokenize
import unicodedata
from collections.abc import Callable

LOOK_ALIKES = {
    "\u00a0": " ", "\u3000": " ", "\u200b": "", "\ufeff": "", "（": "(", "）": ")", "：": ":", "，": ",",
    "；": ";", "【": "[", "】": "]", "“": '"', "”": '"', "‘": "'", "’": "'", "＝": "=", "－": "-", "＋": "+",
    "×": "*", "−": "-", "。": ".", "、": ",",
}  # fmt: skip


EXCERPT = 46  # columns of a line that is shown with its fault; with what stands before it, it fits on 60

# By shown file name: where a line of the compiled text stands for the learner (a notebook's cell and line).
PLACES: dict[str, Callable[[int], tuple[str, int]]] = {}


def shown_place(filename: str, line: int) -> tuple[str, int]:
    """File and line as the learner knows them."""
    return PLACES[filename](line) if filename in PLACES else (filename, line)


def spot(file: str, line: int) -> str:
    """A place as one text; in a notebook ``file`` ends with the number of a cell."""
    return f"{file}, line {line}" if ", code cell " in file else f"{file}:{line}"


class Unreadable(Exception):
    """The source cannot be compiled; the text says where and why."""


def decode(data: bytes) -> str:
    """The text of a source file: a BOM or a PEP 263 comment decides, then UTF-8, then GB18030."""
    for bom, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(bom):
            return _decode_as(data, name)
    if data[:200].count(0) > len(data[:200]) // 4:
        return _decode_as(data, "utf-16-le" if data[1:2] == b"\x00" else "utf-16-be")
    try:
        declared = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError:
        declared = "utf-8"
    for name in dict.fromkeys((declared, "utf-8", "gb18030")):
        try:
            return io.TextIOWrapper(io.BytesIO(data), encoding=name, newline=None).read()
        except (UnicodeDecodeError, LookupError):
            continue
    raise Unreadable("the file is not text in UTF-8, UTF-16 or GBK; save it as UTF-8")


def _decode_as(data: bytes, name: str) -> str:
    try:
        return data.decode(name).lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise Unreadable(f"the file says that it is {name.upper()}, but it is not; save it as UTF-8") from None


def explain(error: SyntaxError, text: str, place: Callable[[int], str] = "line {}".format) -> str:
    """Where and why, in words; a pasted character is named. ``place`` names a line."""
    number = error.lineno or 1
    lines = text.splitlines()
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    pasted = _pasted(line)
    if pasted is not None:
        column, char = pasted
        plain = LOOK_ALIKES[char]
        name = unicodedata.name(char, "character").lower()
        advice = f"write {plain!r}" if plain else "delete it"
        what = f"{place(number)}, column {column + 1}: {char!r} (U+{ord(char):04X}, {name}) is not Python; {advice}"
    else:
        column = max((error.offset or 1) - 1, 0)
        what = f"{place(number)}, column {column + 1}: {error.msg}"
    shown, before = excerpt(line.replace("\t", " ").replace("\u00a0", " "), column)
    return f"{what}\n    {shown}\n    {' ' * before}^"


def excerpt(line: str, column: int) -> tuple[str, int]:
    """What fits of a line, without its indentation, and how many columns of the screen stand before ``column``."""
    indented = min(len(line) - len(line.lstrip()), column)
    start = max(indented, column - EXCERPT * 2 // 3)
    while sum(map(_columns, line[start:column])) > EXCERPT * 2 // 3:  # Chinese takes two columns a character
        start += 1
    end = start
    while end < len(line) and sum(map(_columns, line[start : end + 1])) <= EXCERPT:
        end += 1
    cut = "…" if start > indented else ""
    return (cut + line[start:end]).rstrip(), len(cut) + sum(map(_columns, line[start:column]))


def _columns(char: str) -> int:
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _pasted(line: str) -> tuple[int, str] | None:
    """The first look-alike outside of quotes and comments."""
    quote = ""
    for column, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "#":
            return None
        elif char in LOOK_ALIKES:
            return column, char
    return None
