"""Every text that people read in a template goes through gettext."""

import html
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "templates"
#: Names, the same in every language, where they stand alone.
NAMES = {"ClickHouse", "CRM", "CSV", "Excel", "UTC"}

#: Filters whose arguments people read: they want `_("...")`.
WORDED = re.compile(r"""\|(?:default|default_if_none|yesno):(?:"([^"]*)"|'([^']*)')""")
TRANSLATED = re.compile(r"{% blocktranslate\b.*?{% endblocktranslate %}", re.DOTALL)
COMMENT = re.compile(r"{#.*?#}|<!--.*?-->|{% comment %}.*?{% endcomment %}", re.DOTALL)
TOKEN = re.compile(r"{%.*?%}|{{.*?}}", re.DOTALL)
NO_TEXT = re.compile(r'<(script|style|kbd)\b.*?</\1>|<span class="material-symbols-outlined[^>]*>.*?</span>', re.DOTALL)
TAG = re.compile(r"<[^>]*>")
READ_ATTRIBUTE = re.compile(r'(?<![\w-])(?:title|aria-label|placeholder|alt)="([^"]*)"')
WORD = re.compile(r"[^\W\d_]{2}")
CUT = "\0"


def bare_words(source: str) -> list[str]:
    """What is left for people to read of a template without what is translated."""
    source = COMMENT.sub("", source)
    pieces = [first or second for first, second in WORDED.findall(source)]
    markup = NO_TEXT.sub(CUT, TOKEN.sub(CUT, TRANSLATED.sub(CUT, source)))
    for tag in TAG.findall(markup):
        pieces += CUT.join(READ_ATTRIBUTE.findall(tag)).split(CUT)
    pieces += TAG.sub(CUT, markup).split(CUT)
    texts = (html.unescape(piece).strip() for piece in pieces)
    return [text for text in texts if WORD.search(text) and text not in NAMES]


def test_no_template_holds_a_bare_word() -> None:
    templates = sorted(ROOT.rglob("*.html"))
    assert templates
    found = {str(path.relative_to(ROOT)): bare_words(path.read_text()) for path in templates}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<p>Older entries</p>", ["Older entries"]),
        ("{% if a > b %}owed{% else %}–{% endif %}", ["owed"]),
        ("<b>{{ points }} points</b>", ["points"]),
        ('<a class="{% if a > b %}on{% endif %}" title="The lots of {{ day }}">x</a>', ["The lots of"]),
        ('<button aria-label="Close">×</button>', ["Close"]),
        ('{{ name|default:"(no name)" }}', ["(no name)"]),
        ("{{ count }} bill{{ count|pluralize }}", ["bill"]),
    ],
)
def test_a_bare_word_is_found(source: str, words: list[str]) -> None:
    assert bare_words(source) == words


@pytest.mark.parametrize(
    "source",
    [
        '{% load i18n %}<p title="{{ at }} UTC">{% translate "Older entries" %} · 3 + {{ n }}</p>',
        "{% blocktranslate trimmed with n=x %}Next <b>{{ n }}</b>{% endblocktranslate %}",
        '{{ name|default:_("(no name)") }}{{ n|default:"–" }}{# a remark #}<kbd>Esc</kbd>',
        '<span class="material-symbols-outlined" aria-hidden="true">folder_open</span><style>p { margin: 0 }</style>',
        '<div id="file" data-verb="Issue" class="pd-card"></div>',
    ],
)
def test_what_is_translated_or_no_text_is_left_alone(source: str) -> None:
    assert bare_words(source) == []
