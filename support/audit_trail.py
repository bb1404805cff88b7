"""The audit trail for people: filtered, page by page, as a file of exactly what is filtered, and one person's day."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import django_filters
from django import forms
from django.apps import apps
from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from loyalty.models import Entry
from support import activity, paging
from tenants import exports, spreadsheets, trail
from tenants.actors import ActorKind
from tenants.masking import hide_digits, hide_numbers
from tenants.models import ACTOR_KINDS, AuditEvent, Tenant, User
from tenants.spreadsheets import safe

COLUMNS = (
    "id", "time", "actor_kind", "actor_id", "actor", "action", "object_type", "object_id", "reason", "before", "after", "address", "request",
)  # fmt: skip
#: So much of a value stands in a list; all of it on the event's own page.
VALUE_SHOWN = 60
#: So many values of an event stand in a list.
VALUES_SHOWN = 5
#: So many days are looked through at once, however many events they have.
DAYS_AT_ONCE = 31
#: So many rows of a person's day stand on its page.
DAY_ROWS = 500
MAIN = ("from", "to", "who", "action", "reason")
LOOKS = ("reveal_mobile",)


class TrailFilter(django_filters.FilterSet):
    """Every filter narrows. `from` and `to`: days of the brand's clock, included; `object`: its id, `type` its kind, as `loyalty.bonus`."""

    who = django_filters.CharFilter(field_name="actor_name", lookup_expr="icontains", label=gettext_lazy("Who"), max_length=120)
    kind = django_filters.ChoiceFilter(
        field_name="actor_kind", label=gettext_lazy("Kind"), choices=ACTOR_KINDS, empty_label=gettext_lazy("any")
    )
    action = django_filters.CharFilter(method="of_action", label=gettext_lazy("Action contains"), max_length=64)
    type = django_filters.CharFilter(
        field_name="object_type",
        label=gettext_lazy("Of what"),
        max_length=64,
        widget=forms.TextInput(attrs={"list": "audit-types"}),
    )
    object = django_filters.CharFilter(field_name="object_id", label=gettext_lazy("Its id"), max_length=64)
    reason = django_filters.CharFilter(
        field_name="reason", lookup_expr="icontains", label=gettext_lazy("Reason contains"), max_length=200
    )
    address = django_filters.CharFilter(field_name="address", label=gettext_lazy("From address"), max_length=45)
    request = django_filters.CharFilter(field_name="request_id", label=gettext_lazy("Request"), max_length=64)
    database = django_filters.BooleanFilter(
        method="of_database", label=gettext_lazy("Only what the database told"), widget=forms.CheckboxInput
    )

    class Meta:
        model = AuditEvent
        fields: tuple[str, ...] = ()

    def __init__(self, data: Any, *, tenant: Tenant, numbers: bool) -> None:
        """`numbers`: whoever asks may see whole mobiles, and so look for them."""
        super().__init__(data, queryset=AuditEvent.objects.filter(tenant=tenant))
        if not numbers:
            self.form.fields["reason"].validators.append(activity.no_number)
        self.form.fields["address"] = forms.GenericIPAddressField(label=self.filters["address"].label, required=False)

    def of_action(self, rows: QuerySet[AuditEvent], name: str, value: str) -> QuerySet[AuditEvent]:
        return rows.filter(action__contains=value.strip().lower().replace(" ", "_"))

    def of_database(self, rows: QuerySet[AuditEvent], name: str, value: bool) -> QuerySet[AuditEvent]:
        return rows.filter(action__in=trail.SAID_BY_DATABASE) if value else rows

    @property
    def main(self) -> list[forms.BoundField]:
        """What most people ask by."""
        return [self.form[name] for name in MAIN]

    @property
    def more(self) -> list[forms.BoundField]:
        return [field for field in self.form if field.name not in MAIN]

    @property
    def asks_more(self) -> bool:
        return any(field.value() or field.errors for field in self.more)

    @property
    def is_quick(self) -> bool:
        """Whether an index finds what is asked for: one thing's events, or those of a few days."""
        asked = self.form.cleaned_data
        since, until = asked.get("from"), asked.get("to") or timezone.localdate()
        few_days = since is not None and until - since <= timedelta(days=DAYS_AT_ONCE)
        return bool(asked.get("type") and asked.get("object")) or few_days


class _Since(django_filters.DateFilter):
    """From midnight of the brand's clock on."""

    def filter(self, rows: QuerySet[Any], value: date | None) -> QuerySet[Any]:
        return rows.filter(at__gte=midnight(value)) if value else rows


class _Until(django_filters.DateFilter):
    def filter(self, rows: QuerySet[Any], value: date | None) -> QuerySet[Any]:
        return rows.filter(at__lt=midnight(min(value, date(9998, 12, 30)) + timedelta(days=1))) if value else rows


_DATE = forms.DateInput(attrs={"type": "date", "max": "9998-12-31"})
TrailFilter.base_filters["from"] = _Since(label=gettext_lazy("From"), widget=_DATE)
TrailFilter.base_filters["to"] = _Until(label=gettext_lazy("To"), widget=_DATE)


def midnight(day: date) -> datetime:
    """The beginning of a day by the clock of the brand whose request it is."""
    known = min(max(day, date(1970, 1, 1)), date(9998, 12, 31))
    return datetime.combine(known, time.min, tzinfo=timezone.get_current_timezone())


@dataclass(frozen=True, slots=True)
class Change:
    """One value. `before` and `after`: as texts, empty where there was none."""

    name: str
    before: str
    after: str


def changes(event: AuditEvent, *, shown: int | None = None) -> list[Change]:
    """What an event says of values, name by name; `shown`: cut to so many characters."""
    before, after = (each if isinstance(each, dict) else {} for each in (event.before, event.after))
    found = [
        Change(name, _text(before.get(name), of=event), _text(after.get(name), of=event))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name) or event.action in trail.SAID_BY_DATABASE  # also what changed and is hidden
    ]
    if shown is None:
        return found
    return [Change(each.name, _cut(each.before, shown), _cut(each.after, shown)) for each in found]


def _text(value: Any, *, of: AuditEvent) -> str:
    """Addresses of the brand's own people stay: who was given a role is what an auditor asks."""
    if value is None:
        return ""
    hide = hide_digits if of.object_type.startswith("tenants.") else hide_numbers
    return hide(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


@dataclass(frozen=True, slots=True)
class Line:
    """An event as a list shows it. `more`: values that only its own page shows. `thing`: what it was done to, in words; `where`: that one's
    page, if there is one."""

    event: AuditEvent
    changes: list[Change]
    more: int
    thing: str
    reason: str
    where: str
    by_database: bool


#: The pages of what events are about, by kind.
PAGES = {
    "loyalty.customer": "admin:customer360", "integrations.delivery": "admin:delivery", "support.bulkjob": "admin:job",
    "support.case": "admin:case", "integrations.incident": "admin:incident", "integrations.replay": "admin:replay",
    "support.approvalrequest": "admin:request", "integrations.fileimport": "admin:file_import",
    "integrations.repushrequest": "admin:repush_request", "integrations.parityrun": "admin:parity_run",
    "integrations.reconciliationpolicy": "admin:reconciliation", "loyalty.numbermove": "admin:number_move",
    "tenants.store": "admin:tenants_store_change", "tenants.membership": "admin:tenants_membership_change",
    "loyalty.bonus": "admin:loyalty_bonus_change", "loyalty.programme": "admin:loyalty_programme_change",
    "loyalty.cohort": "admin:loyalty_cohort_change",
}  # fmt: skip


def lines(events: Sequence[AuditEvent]) -> list[Line]:
    return [_line(event) for event in events]


def _line(event: AuditEvent) -> Line:
    told = changes(event, shown=VALUE_SHOWN)
    return Line(
        event, told[:VALUES_SHOWN], len(told[VALUES_SHOWN:]), thing_of(event), hide_numbers(event.reason), where_is(event),
        by_database=event.action in trail.SAID_BY_DATABASE,
    )  # fmt: skip


def thing_of(event: AuditEvent) -> str:
    """Such as `membership 7`; of a file the beginning of its SHA-256."""
    if event.object_type == exports.FILE:
        return _("file {digest}…").format(digest=event.object_id[:12])
    try:
        name = apps.get_model(event.object_type)._meta.verbose_name
    except (LookupError, ValueError):
        name = event.object_type
    return f"{name} {event.object_id}"


def where_is(event: AuditEvent) -> str:
    if event.object_type == exports.FILE:
        return f"{reverse('admin:audit_file')}?sha256={event.object_id}"
    page = PAGES.get(event.object_type)
    return reverse(page, args=[int(event.object_id)]) if page and event.object_id.isdecimal() else ""


def cells(event: AuditEvent, tenant: Tenant) -> list[Any]:
    """In the order of COLUMNS, safe in a spreadsheet, numbers of people hidden."""
    values = [
        event.pk, event.at.astimezone(tenant.zone).isoformat(timespec="microseconds"), event.actor_kind, event.actor_id or "",
        event.actor_name, event.action, event.object_type, event.object_id, hide_numbers(event.reason), _text(event.before, of=event),
        _text(event.after, of=event), event.address or "", event.request_id,
    ]  # fmt: skip
    return [safe(value) for value in values]


def as_csv(tenant: Tenant, events: QuerySet[AuditEvent]) -> Iterator[str]:
    """Line by line."""
    rows = (cells(event, tenant) for chunk in paging.chunks(tenant, events) for event in chunk)
    return spreadsheets.as_csv(COLUMNS, rows)


def as_xlsx(tenant: Tenant, events: QuerySet[AuditEvent]) -> Iterator[bytes]:
    """The newest 10,000 events, and a last row that says so where there are more."""
    chunks = paging.chunks(tenant, events, most=activity.XLSX_ROWS_MAX + 1)
    rows = (cells(event, tenant) for chunk in chunks for event in chunk)
    return spreadsheets.as_xlsx(_("Audit"), COLUMNS, rows, most=activity.XLSX_ROWS_MAX, cut=str(activity.CUT))


def filtered(data: QueryDict) -> dict[str, Any]:
    """What was asked for, for the trace."""
    asked = {name: hide_numbers(data.get(name, "")) for name in TrailFilter.base_filters}
    return {name: text for name, text in asked.items() if text}


def types() -> list[str]:
    """Kinds of things that events are about, as far as they are known beforehand."""
    return sorted({*PAGES, *(each.label for each in trail.WATCHED), "tenants.tenant"})


@dataclass(frozen=True, slots=True)
class Day:
    """What one person did on a day of the brand's clock. `given`, `taken`: points by hand. `counts`: how often what was done, the most often
    first. `cut`: there was more than stands in the lists."""

    first: datetime | None
    last: datetime | None
    given: int
    taken: int
    entries: list[activity.Row]
    lines: list[Line]
    counts: list[tuple[str, int]]
    looks: int
    exports: int
    sign_ins: int
    cut: bool


def day_of(tenant: Tenant, user: User, day: date) -> Day:
    """Entries that they posted and events that they caused, oldest first."""
    since, until = midnight(day), midnight(day + timedelta(days=1))
    by_hand = Entry.objects.filter(
        tenant=tenant, actor_kind=ActorKind.PERSON, actor_id=user.pk, posted_at__gte=since, posted_at__lt=until
    )
    net = F("pending") + F("available") + F("held") - F("owed")  # what is blocked or freed is neither given nor taken
    points = by_hand.annotate(net=net).aggregate(
        given=Sum("net", filter=Q(net__gt=0)),
        taken=Sum("net", filter=Q(net__lt=0)),
        first=Min("posted_at"),
        last=Max("posted_at"),
    )
    posted = list(by_hand.select_related("customer", "store", "hold").order_by("pk")[: DAY_ROWS + 1])
    done = AuditEvent.objects.filter(tenant=tenant, actor_kind=ActorKind.PERSON, actor_id=user.pk, at__gte=since, at__lt=until)
    events = list(done.order_by("pk")[: DAY_ROWS + 1])
    counted = dict(done.values_list("action").annotate(n=Count("pk")).order_by())
    ends = done.aggregate(first=Min("at"), last=Max("at"))
    moments = sorted(each for each in (points["first"], points["last"], ends["first"], ends["last"]) if each is not None)
    return Day(
        first=moments[0] if moments else None,
        last=moments[-1] if moments else None,
        given=points["given"] or 0,
        taken=-(points["taken"] or 0),
        entries=activity.rows_of(tenant, posted[:DAY_ROWS]),
        lines=lines(events[:DAY_ROWS]),
        counts=sorted(counted.items(), key=lambda each: (-each[1], each[0])),
        looks=sum(counted.get(name, 0) for name in LOOKS),
        exports=sum(count for name, count in counted.items() if name.startswith("export_")),
        sign_ins=counted.get("sign_in", 0),
        cut=len(posted) > DAY_ROWS or len(events) > DAY_ROWS,
    )
