"""Tables that people save: CSV in the usual encodings and with the usual separators, or .xlsx."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torchgrade.errors import UsageError

IsHeading = Callable[[Sequence[str]], bool]


def read_sheet(path: Path, is_heading: IsHeading) -> list[list[str]]:
    """Its cells; ``is_heading`` recognises the line that tells the separator. UsageError where it is no table."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if data.startswith(b"PK\x03\x04"):
        return _workbook(data, path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return parse_sheet(data.decode("utf-16", "replace"), str(path), is_heading)
    for encoding in ("utf-8-sig", "gb18030", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "gb18030" or not _is_western(text):
            return parse_sheet(text, str(path), is_heading)
    raise UsageError(f"{path} is not text in UTF-8, UTF-16, GBK or Windows-1252")


def _is_western(text: str) -> bool:
    """Whether text read as GBK is Windows-1252: GBK takes the ``ül`` of a name for one character, and an odd one.

    It stands within a word then, and nowhere do two of the usual characters stand side by side.
    """
    return bool(_WITHIN_A_WORD.search(text)) and not any(map(_is_usual, _HAN.findall(text)))


def _is_usual(han: str) -> bool:
    try:
        return bool(han.encode("gb2312"))
    except UnicodeEncodeError:
        return False


_WITHIN_A_WORD = re.compile(r"[^\x00-\x7f](?=[a-z])|(?<=[A-Za-z])[^\x00-\x7f]")
_HAN = re.compile(r"[\u4e00-\u9fff]{2}")


def parse_sheet(text: str, name: str, is_heading: IsHeading) -> list[list[str]]:
    """The cells of a CSV's text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    declared = re.match(r"sep=(.)\n", text)
    head = next((line for line in text[:8192].splitlines() if is_heading(_split(line))), "")
    delimiter = declared[1] if declared else _delimiter(head)
    try:
        return list(csv.reader(io.StringIO(text[declared.end() :] if declared else text), delimiter=delimiter))
    except (csv.Error, TypeError, ValueError) as error:  # a cell without end, a separator that cannot be one
        raise UsageError(f"{name} is not readable as a table: {error}") from None


def read_records(path: Path, columns: Sequence[str], needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The lines of a table of our own with their numbers, by column; blank lines are left out.

    UsageError names a column that is unknown, or one of ``needed`` that is not there.
    """

    def is_heading(cells: Sequence[str]) -> bool:
        return set(needed) <= {cell.strip().lower() for cell in cells}

    table = read_sheet(path, is_heading)
    place = next((number for number, cells in enumerate(table[:10]) if is_heading(cells)), None)
    if place is None:
        raise UsageError(f"{path} needs a heading line with {', '.join(needed)}")
    head = [cell.strip().lower() for cell in table[place]]
    if unknown := [name for name in head if name and name not in columns]:
        raise UsageError(f"{path} has a column {unknown[0]!r}; there are {', '.join(columns)}")
    found = []
    for number, cells in enumerate(table[place + 1 :], place + 2):
        if any(cell.strip() for cell in cells):
            found.append((number, {name: cell.strip() for name, cell in zip(head, cells, strict=False)}))
    return found


def _split(line: str) -> list[str]:
    return line.replace('"', "").split(_delimiter(line))


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _workbook(data: bytes, path: Path) -> list[list[str]]:
    """Its first sheet."""
    try:
        import openpyxl
    except ImportError:
        raise UsageError(
            f"{path} is a workbook, which needs: pip install 'torchgrade[xlsx]'; or save it as CSV"
        ) from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        return [[_text(value) for value in row] for row in book.worksheets[0].iter_rows(values_only=True)]
    except Exception as error:  # the reader raises what its many parts raise
        raise UsageError(f"{path} is not a workbook that can be read: {type(error).__name__}") from None


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)
