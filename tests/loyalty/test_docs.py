"""The worked examples of docs/ledger.md run."""

import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from loyalty.account import Account, Effect
from loyalty.earning import months_later
from loyalty.netting import Grant, Spend, settle
from loyalty.state import Entry, Kind, Terms
from tests.builders import DAY0

TEXT = (Path(__file__).parents[2] / "docs/ledger.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def effects(of: Account, *kinds: str) -> list[Effect]:
    for number, entry in enumerate(of.entries, start=1):
        entry.id = number
    found = [Effect.of(entry, lots=of.lots) for entry in of.entries if entry.kind.value in kinds]
    return [effect for effect in found if effect]


def shown(entries: list[Entry]) -> list[str]:
    return [
        " ".join(
            [entry.kind.value + (f" of {entry.of_kind}" if entry.of_kind else "")]
            + [f"{entry.available:+d}"] * bool(entry.available)
            + [f"owed {entry.owed:+d}"] * bool(entry.owed)
        )
        for entry in entries
    ]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_ledgers_page_is_true(example: str) -> None:
    names = {
        "Account": Account, "Grant": Grant, "Kind": Kind, "Spend": Spend, "settle": settle, "effects": effects, "shown": shown,
        "months_later": months_later, "date": date, "today": DAY0, "terms": Terms(DAY0, DAY0 + timedelta(days=365)),
    }  # fmt: skip
    exec(compile(example, "docs/ledger.md", "exec"), names)


def test_there_are_examples_and_the_page_names_all_laws_and_kinds() -> None:
    assert len(EXAMPLES) >= 4
    assert all(f"| {law}. " in TEXT for law in range(1, 12))
    assert all(kind.value in TEXT for kind in Kind)
