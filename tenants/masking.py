"""Numbers and e-mail addresses of people, hidden where nobody needs them: in lists, traces and other systems' documents."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

#: Numbers as long as a mobile's: all but their last three digits are hidden.
LONG_DIGITS = re.compile(r"\+?[0-9]{7,}([0-9]{3})(?![0-9]|\.[0-9])")
#: Bounded, so that no text takes long.
ADDRESS = re.compile(r"[\w.%+-]{1,64}@(?=[\w-]{1,63}\.)")


def hide_digits(text: str) -> str:
    """A text in which nobody finds a mobile."""
    return LONG_DIGITS.sub(r"•••••\1", text)


def hide_numbers(text: str) -> str:
    """A text in which nobody finds a mobile or an e-mail address."""
    return ADDRESS.sub("•••••@", hide_digits(text))


def masked(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of a file as its trace shows it: a mobile, and whatever is as long, by its last three digits."""
    return {
        str(name): "•••••" + str(value)[-3:] if "mobile" in str(name).lower() and value else hide_numbers(str(value))
        for name, value in row.items()
    }


def named(row: Iterable[str]) -> dict[str, list[str]]:
    """Which columns a file said, for a trail that nobody can change: never what it said of a person."""
    return {"columns": sorted(str(name) for name in row)}
