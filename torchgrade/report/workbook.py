"""The tables as one workbook, for those who open marks in a spreadsheet. Needs openpyxl."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from torchgrade.report.escape import NUMBER, uncelled


def workbook(tables: Mapping[str, str]) -> bytes | None:
    """A sheet for each CSV text, numbers as numbers and nothing as a formula; None where openpyxl is not installed."""
    try:
        import openpyxl
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.styles import Font
    except ImportError:
        return None
    book, bold = openpyxl.Workbook(write_only=True), Font(bold=True)
    for name, text in tables.items():
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "C2"

        def cell(value: str, sheet: Any = sheet, **style: object) -> Any:
            made = WriteOnlyCell(sheet, value)
            made.data_type = "s"  # whatever it begins with is text
            for attribute, wanted in style.items():
                setattr(made, attribute, wanted)
            return made

        head, *lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
        sheet.append([cell(value, font=bold) for value in head])
        for line in lines:
            values = [_value(value) for value in line]
            sheet.append([cell(value) if isinstance(value, str) and value[:1] == "=" else value for value in values])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _value(text: str) -> float | str | None:
    """A number where it is written as we write numbers: an id with a zero before it stays as it is."""
    if NUMBER.fullmatch(text) and text == f"{float(text):.12g}":
        return float(text)
    return uncelled(text) or None
