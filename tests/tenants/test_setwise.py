"""Rows as arrays: whatever a column holds arrives as it was."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from tenants.setwise import array_literal, columns_of

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)


def back(values: list[Any], kind: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT array_agg(v ORDER BY n) FROM unnest(%s::{kind}[]) WITH ORDINALITY AS u (v, n)", [array_literal(values)]
        )
        found: list[Any] = cursor.fetchone()[0]
    return found


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [1, -2, 2**62]), ("bigint", [None, 5]), ("bigint", [None, None]), ("bigint", [7, 7, 7]), ("boolean", [True, False, None]),
        ("numeric", [Decimal("1.50"), Decimal(0), None]), ("date", [date(2026, 2, 28), None]),
        ("timestamptz", [datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)]), ("text", ["", "NULL", " a ", "{x,y}"]),
        ("text", ['say "yes"', "back\\slash", None, "tab\tand\nline"]), ("text", ["'; DROP TABLE x; --", "%s", "é✓"]),
    ],
)  # fmt: skip
def test_every_kind_of_value_arrives(kind: str, values: list[Any]) -> None:
    assert back(values, kind) == values


@pytest.mark.django_db
@given(values=st.lists(texts | st.none(), min_size=1, max_size=6))
def test_any_text_arrives(values: list[str | None]) -> None:
    assert back(values, "text") == values


def test_columns_are_as_long_as_there_are_rows() -> None:
    assert columns_of([(1, "a"), (2, "b")]) == ["{1,2}", '{"a","b"}']
    with pytest.raises(TypeError, match="an array of"):
        array_literal([object()])
