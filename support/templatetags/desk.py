"""Small words of the templates."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import formats, timezone
from django.utils.dateformat import format as date_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from support.bulk.models import BulkJob
from support.bulk.types import words_of
from support.picture import money as money_text
from tenants.masking import hide_numbers
from tenants.models import Store, Tenant

register = template.Library()
GROUP_OF_THREE = 3


@register.filter
def utc_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %b %Y %H:%M:%S}"


@register.filter
def at_store(moment: datetime, store: Store | None) -> str:
    """When it was by the clock of the store, which is named where it is not the brand's; without a store, by the brand's."""
    own = ZoneInfo(store.timezone) if store is not None and store.timezone else None
    here = timezone.localtime(moment, own)
    shown = date_format(here, "j M Y H:i")
    return f"{shown} {here.tzname()}" if own is not None and here.utcoffset() != timezone.localtime(moment).utcoffset() else shown


@register.filter
def first_part(text: str) -> str:
    """`3 days, 4 hours` -> `3 days`."""
    return text.partition(",")[0]


@register.filter
def ago(moment: datetime, now: datetime) -> str:
    """`3 days ago`; within a minute, `just now`."""
    since = timesince(moment, now).partition(",")[0].replace("\xa0", " ")
    return _("just now") if moment + timedelta(minutes=1) > now else _("{since} ago").format(since=since)


@register.filter
def without_numbers(text: object) -> str:
    """What people typed, without the mobiles and e-mail addresses in it."""
    return hide_numbers(str(text or ""))


@register.filter
def cut_underscores(name: str) -> str:
    """`release_hold` -> `release hold`."""
    return name.replace("_", " ")


@register.simple_tag
def figures(values: Sequence[int | Decimal | None]) -> SafeString:
    """The cells of a row of figures. A year has thousands of them, and a template's own loop takes ten times as long."""
    plain = formats.get_format("NUMBER_GROUPING") == GROUP_OF_THREE
    comma, point = formats.get_format("THOUSAND_SEPARATOR"), formats.get_format("DECIMAL_SEPARATOR")
    swap = None if (comma, point) == (",", ".") else str.maketrans({",": comma, ".": point})

    def shown(value: int | Decimal | None) -> str:
        if value is None:
            return "–"
        if not value:
            return '<span class="pd-muted">0</span>'
        text = f"{value:,}" if plain else str(intcomma(value))
        return text.translate(swap) if plain and swap else text

    return mark_safe("".join(f'<td class="pd-num">{shown(value)}</td>' for value in values))  # noqa: S308 - numbers alone


@register.filter
def money(amount: Decimal, tenant: Tenant) -> str:
    return money_text(amount, tenant)


@register.filter
def iso_day(moment: str) -> str:
    """A kept moment, as its day."""
    return date_format(timezone.localtime(datetime.fromisoformat(moment)), "j M Y")


@register.filter
def iso_ago(moment: str | None, now: datetime) -> str:
    """A kept moment, as `3 minutes ago`."""
    return ago(datetime.fromisoformat(moment), now) if moment else "–"


@register.filter
def last_digits(text: str) -> str:
    """Of a number that somebody sent: enough to find it in their file."""
    return f"•••{text[-4:]}" if sum(each.isdigit() for each in text) > 4 else text


@register.filter
def job_words(job: BulkJob) -> str:
    """What a bulk job does."""
    return words_of(job)
