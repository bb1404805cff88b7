"""The process that reads a workbook of a stranger, run by `uploads`: `python -I workbook.py SECONDS NICE ROWS COLUMNS CHARACTERS < BOOK`.

A workbook can cost its reader any time and memory, by a thousand ways; so it is read here, where the kernel ends what takes too long or
too much, and nobody waits with it. It knows nothing of Pointdesk. A line of JSON for each row of the first sheet, `[number, [cells]]`; then
`"end"`, or `{"error": its name}`.
"""

import io
import json
import os
import resource
import sys
from datetime import date, datetime
from typing import Any

MEMORY_MAX = 400 << 20


def text(cell: Any) -> str:
    """A cell as a CSV would hold it. A whole number has no `.0`, a time is ISO 8601."""
    match cell:
        case None:
            return ""
        case datetime() | date():
            return cell.isoformat()
        case float() if cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
    return str(cell).strip()


def main(seconds: int, nice: int, rows: int, columns: int, characters: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    os.nice(nice)  # whoever opens a page comes first
    try:
        import openpyxl  # under the limits

        book = openpyxl.load_workbook(io.BytesIO(sys.stdin.buffer.read()), read_only=True, data_only=True, keep_links=False)
        # Rows that the file leaves out are given as empty ones: so many that a loop over them would not end.
        sheet = book.worksheets[0].iter_rows(max_row=rows + 1, max_col=columns + 1, values_only=True)
        for number, cells in enumerate(sheet, start=1):
            sys.stdout.write(json.dumps([number, [text(cell)[: characters + 1] for cell in cells]]) + "\n")
        sys.stdout.write('"end"\n')
        sys.stdout.flush()
    except BrokenPipeError:
        sys.exit(0)  # whoever asked has seen enough
    except Exception as problem:
        sys.stdout.write(json.dumps({"error": type(problem).__name__}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:6]))
