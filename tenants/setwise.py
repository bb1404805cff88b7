"""Many rows with one statement: `INSERT ... SELECT FROM unnest(arrays)`, measured faster than COPY up to ten thousand rows.

It also works under row-level security, where COPY is refused.
"""

from collections.abc import Sequence
from typing import Any

TAKE_IDS = "SELECT nextval(%s::regclass) FROM generate_series(1, %s)"


def insert_sql(table: str, columns: dict[str, str]) -> str:
    """The statement for a table; `columns` maps names to PostgreSQL types. Both are constants of our own code."""
    arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}) AS rows ({names})"  # noqa: S608


def insert(cursor: Any, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement of `insert_sql`; no rows, no statement."""
    if rows:
        cursor.execute(statement, columns_of(rows))


def columns_of(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows turned into the arrays that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)]


def take_ids(cursor: Any, sequence: str, count: int) -> list[int]:
    """Fresh ids, so that rows of several tables can name each other before any is written."""
    cursor.execute(TAKE_IDS, [sequence, count])
    return [row[0] for row in cursor.fetchall()]
