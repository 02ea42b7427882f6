"""The tables as one workbook, for those who open marks in a spreadsheet. Needs openpyxl."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from torchgrade.report.escape import NUMBER, uncelled


def workbook(tables: Mapping[str, str]) -> bytes | None:
    """A sheet for each CSV text, numbers as numbers and nothing as a formula; None where openpyxl is not installed."""
    try:
        import openpyxl
        from openpyxl.styles import Font
    except ImportError:
        return None
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, text in tables.items():
        sheet = book.create_sheet(name)
        for number, line in enumerate(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")), 1):
            for place, value in enumerate(line, 1):
                if number > 1 and NUMBER.fullmatch(value) and value == f"{float(value):.12g}":
                    sheet.cell(number, place, float(value))
                elif value:
                    cell = sheet.cell(number, place, uncelled(value))
                    cell.data_type = "s"  # whatever it begins with is text
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        sheet.freeze_panes = "C2"
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()
