"""Cells that a spreadsheet shows and does not run."""

from typing import Any

from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

#: What a spreadsheet would run as a formula, also in its full-width spelling.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe(value: Any) -> Any:
    """A text that begins like a formula gets a quote before it; import-export's own option strips one leading `=` only. What no workbook may
    hold is left out."""
    if not isinstance(value, str):
        return value
    text = ILLEGAL_CHARACTERS_RE.sub("", value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
