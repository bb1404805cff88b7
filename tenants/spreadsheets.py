"""Cells that a spreadsheet shows and does not run."""

from typing import Any

#: What a spreadsheet would run as a formula, also in its full-width spelling.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe(value: Any) -> Any:
    """A text that begins like a formula gets a quote before it; import-export's own option strips one leading `=` only."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
