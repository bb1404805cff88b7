"""Many rows with one statement: `INSERT ... SELECT FROM unnest(arrays)`, measured faster than COPY up to ten thousand rows.

It also works under row-level security, where COPY is refused.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection

#: Types of columns whose elements need no look at each.
_NUMBERS, _TIMES = {int, Decimal}, ({datetime}, {date})
TAKE_IDS = "SELECT nextval(%s::regclass) FROM generate_series(1, %s)"


@contextmanager
def without_waiting() -> Iterator[None]:
    """Statements go to the server one after the other, and it works on one while we make the next; at the end all answers are there. Whoever
    reads an answer inside waits for it. Raises at the end, or at a later statement, what one of them raises."""
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def insert_sql(table: str, columns: dict[str, str]) -> str:
    """The statement for a table; `columns` maps names to PostgreSQL types. Both are constants of our own code."""
    arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}) AS rows ({names})"  # noqa: S608


def insert(cursor: Any, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement of `insert_sql`; no rows, no statement."""
    if rows:
        cursor.execute(statement, columns_of(rows))


def columns_of(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Rows turned into the arrays that `unnest` takes, as PostgreSQL's array literals: give each its type, `%s::bigint[]`.

    The driver's own arrays cost more than everything else together: it looks at every element with a regular expression.
    """
    return [array_literal(column) for column in zip(*rows, strict=True)]


def array_literal(values: Sequence[Any]) -> str:
    """`{1,NULL,3}`, `{"a","b \\"c\\""}`: one type of values, None among them is NULL."""
    first = values[0]
    if values.count(first) == len(values):  # the same in every row, as a tenant is
        return "{" + ",".join([_element(first)] * len(values)) + "}"
    kinds = set(map(type, values))
    if kinds == {str}:
        joined = '","'.join(values)
        if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
            return '{"' + joined + '"}'
    elif kinds <= _NUMBERS:
        return "{" + ",".join(map(str, values)) + "}"
    elif kinds in _TIMES:
        return '{"' + '","'.join([value.isoformat() for value in values]) + '"}'
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return "t" if value else "f"
        case int() | Decimal():
            return str(value)
        case datetime() | date():
            return f'"{value.isoformat()}"'
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    raise TypeError(f"an array of {type(value).__name__}")


def take_ids(cursor: Any, sequence: str, count: int) -> list[int]:
    """Fresh ids, so that rows of several tables can name each other before any is written."""
    cursor.execute(TAKE_IDS, [sequence, count])
    return [row[0] for row in cursor.fetchall()]
