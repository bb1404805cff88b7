"""A made-up language, to see what goes through gettext and what does not."""

import re

import pytest
from django.conf import settings
from django.utils.translation import trans_real

WRAPPED = re.compile(r"«[^«»]*»")


@pytest.fixture
def wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language in which every message is itself between « and »."""
    language = trans_real.translation(settings.LANGUAGE_CODE)
    monkeypatch.setattr(language, "gettext", lambda message: f"«{message}»")
    monkeypatch.setattr(language, "ngettext", lambda one, many, count: f"«{one if count == 1 else many}»")


def bare(text: str) -> str:
    """The words of a text that no message is the source of."""
    rest, inner = text, ""
    while rest != inner:
        inner, rest = rest, WRAPPED.sub("", rest)
    return " ".join(re.findall(r"[^\W\d_]+", rest))
