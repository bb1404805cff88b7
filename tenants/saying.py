"""Sentences for people, in the language of whoever reads them, also from modules that know no Django."""

from collections.abc import Callable


def _as_it_is(text: str) -> str:
    return text


def _by_number(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


_translate: Callable[[str], str] = _as_it_is
_translate_count: Callable[[str, str, int], str] = _by_number


def speak_through(gettext: Callable[[str], str], ngettext: Callable[[str, str, int], str]) -> None:
    """From now on sentences go through these; the app tells it at its start."""
    global _translate, _translate_count
    _translate, _translate_count = gettext, ngettext


def gettext_noop(text: str, /) -> str:
    """A text that is data here and is said elsewhere: this only tells those who collect what is to be translated."""
    return text


def said(template: str, /, **values: object) -> str:
    """The sentence in the reader's language, then filled: `said("Only {points:,} points are available.", points=40)`."""
    translated = _translate(template)
    return translated.format(**values) if values else translated


def said_of(count: int, one: str, many: str, /, **values: object) -> str:
    """As `said`, by number: `one` or `many`, each of which may name `{count}`."""
    return _translate_count(one, many, count).format(count=count, **values)
