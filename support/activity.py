"""The activity log: every entry of a tenant in the words of people, filtered, page by page or as a file of exactly what is filtered."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from integrations.models import Bill
from loyalty.models import Entry
from loyalty.money import minor_digits, worth
from loyalty.state import Kind
from support import find, paging
from support.picture import TITLES, title_of
from tenants import access as gate
from tenants import spreadsheets
from tenants.actors import ActorKind
from tenants.masking import hide_numbers
from tenants.models import Store, Tenant
from tenants.spreadsheets import safe

#: What is written as a spreadsheet while somebody waits; more rows are a CSV.
XLSX_ROWS_MAX = 10_000
CUT = gettext_lazy("Only the newest rows stand here. Take the CSV for all of them, or narrow the filter.")
COLUMNS = (
    "time", "action", "customer", "mobile", "points", "amount", "currency", "store", "bill", "staff", "source", "reason", "pending", "available",
    "blocked", "owed", "entry", "operation", "job",
)  # fmt: skip
#: In English, as the API says them.
SOURCES = {
    ActorKind.PERSON: gettext_noop("staff"), ActorKind.KEY: gettext_noop("another system"), ActorKind.SYSTEM: gettext_noop("Pointdesk"),
}  # fmt: skip
_DATE = forms.DateInput(attrs={"type": "date"})


def no_number(text: str) -> None:
    """Reasons may hold a number that is not shown: who may not see it does not find it out digit by digit."""
    if re.search(r"[0-9]{4}", text):
        raise ValidationError(_("Look for words: numbers are searched by whoever may see them."))


class ActivityFilter(django_filters.FilterSet):
    """Every filter narrows. `customer`: a number in any spelling, its last digits, or a name; `from` and `to`: business dates, included."""

    customer = django_filters.CharFilter(method="of_customer", label=gettext_lazy("Customer"), max_length=120)
    action = django_filters.MultipleChoiceFilter(
        field_name="kind",
        label=gettext_lazy("Action"),
        choices=[(kind.value, TITLES[kind]) for kind in TITLES],
        distinct=False,
    )
    store = django_filters.CharFilter(
        field_name="store__code",
        label=gettext_lazy("Store code"),
        max_length=64,
        widget=forms.TextInput(attrs={"list": "activity-stores"}),
    )
    staff = django_filters.CharFilter(
        field_name="actor_name", lookup_expr="icontains", label=gettext_lazy("Staff or key"), max_length=120
    )
    source = django_filters.ChoiceFilter(
        field_name="actor_kind",
        label=gettext_lazy("Source"),
        choices=[(kind.value, gettext_lazy(words)) for kind, words in SOURCES.items()],
        empty_label=gettext_lazy("any"),
    )
    job = django_filters.NumberFilter(field_name="job_id", label=gettext_lazy("Bulk job"))
    reason = django_filters.CharFilter(
        field_name="reason", lookup_expr="icontains", label=gettext_lazy("Reason contains"), max_length=200
    )

    class Meta:
        model = Entry
        fields: tuple[str, ...] = ()

    def __init__(self, data: Any, *, tenant: Tenant, numbers: bool) -> None:
        """`numbers`: whoever asks may see whole mobiles, and so look for them."""
        self.tenant = tenant
        super().__init__(data, queryset=Entry.objects.filter(tenant=tenant).select_related("customer", "store", "hold"))
        if not numbers:
            self.form.fields["reason"].validators.append(no_number)

    @property
    def is_quick(self) -> bool:
        """Whether an index finds what is asked for: somebody's entries."""
        return bool(self.form.cleaned_data.get("customer"))

    @property
    def day(self) -> str:
        """The column by which it goes, where days are asked for, and of everybody."""
        asked = self.form.cleaned_data
        return "business_date" if (asked.get("from") or asked.get("to")) and not asked.get("customer") else ""

    @property
    def whole(self) -> QuerySet[Entry]:
        """All entries of the days that are asked for; without days, of the one action, if it is not the usual one: these have an index."""
        asked = self.form.cleaned_data
        named = {"business_date__gte": asked.get("from"), "business_date__lte": asked.get("to")}
        actions: list[str] = list(asked.get("action") or [])
        if not self.day and len(actions) == 1 and actions != [Kind.EARN]:
            named["kind"] = actions[0]
        found: QuerySet[Entry] = Entry.objects.filter(
            tenant=self.tenant, **{name: value for name, value in named.items() if value}
        )
        return found

    def of_customer(self, rows: QuerySet[Entry], name: str, value: str) -> QuerySet[Entry]:
        return rows.filter(customer__in=find.everybody(self.tenant, value))


ActivityFilter.base_filters["from"] = django_filters.DateFilter(
    field_name="business_date", lookup_expr="gte", label=gettext_lazy("From"), widget=_DATE
)
ActivityFilter.base_filters["to"] = django_filters.DateFilter(
    field_name="business_date", lookup_expr="lte", label=gettext_lazy("To"), widget=_DATE
)


@dataclass(frozen=True, slots=True)
class Row:
    """One entry for people. `points`: signed, what moved of the customer's points; `amount`: the bill's net, or what the points were worth."""

    id: int
    operation: int
    at: datetime
    action: str
    kind: str
    customer_id: int
    customer: str
    mobile: str
    points: int
    amount: str
    store: str
    store_name: str
    at_store: Store | None
    bill_no: str
    staff: str
    source: str
    api_source: str
    reason: str
    job: int | None
    #: What it did to pending, available, blocked and owed points: these sum up to the balance.
    buckets: tuple[int, int, int, int]

    def cells(self, tenant: Tenant) -> list[Any]:
        """In the order of COLUMNS, safe in a spreadsheet."""
        at = self.at.astimezone(tenant.zone).isoformat(timespec="seconds")
        values = [
            at, self.action, self.customer, self.mobile, self.points, self.amount, tenant.currency if self.amount else "", self.store,
            self.bill_no, self.staff, self.source, self.reason, *self.buckets, self.id, self.operation, self.job or "",
        ]  # fmt: skip
        return [safe(value) for value in values]

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id, "operation": self.operation, "at": self.at.isoformat(), "action": self.kind,
            "customer": {"id": self.customer_id, "name": self.customer, "mobile": self.mobile}, "points": self.points,
            "amount": self.amount or None, "store_code": self.store or None, "bill_no": self.bill_no or None, "staff": self.staff,
            "source": self.api_source, "reason": self.reason, "job": self.job,
            **dict(zip(("pending", "available", "held", "owed"), self.buckets, strict=True)),
        }  # fmt: skip


def moved(entry: Entry) -> int:
    """The points of an entry as people count them: what was given or taken, also where it paid a debt; else what was blocked or pending."""
    return entry.available - entry.owed or entry.held or entry.pending


def rows_of(tenant: Tenant, entries: Sequence[Entry]) -> list[Row]:
    """With the numbers and amounts of their bills; one query more."""
    ids = {entry.bill_id for entry in entries if entry.bill_id}
    bills = {row[0]: row[1:] for row in Bill.objects.filter(tenant=tenant, pk__in=ids).values_list("pk", "bill_no", "net_amount")}
    digits = minor_digits(tenant.currency)
    return [_row(entry, bills.get(entry.bill_id or 0), digits=digits) for entry in entries]


def _row(entry: Entry, bill: tuple[str, Decimal] | None, *, digits: int) -> Row:
    amount = ""
    if entry.hold is not None:
        amount = str(worth(abs(moved(entry)), rate=entry.hold.rate, minor_digits=digits))
    elif bill is not None:
        amount = f"{bill[1]:.{digits}f}"
    source = SOURCES[ActorKind(entry.actor_kind)]
    return Row(
        id=entry.pk, operation=entry.operation, at=entry.occurred_at, kind=entry.kind, action=title_of(entry),
        customer_id=entry.customer_id, customer=entry.customer.name, mobile=entry.customer.masked_mobile, points=moved(entry),
        amount=amount, store=entry.store.code if entry.store else "", store_name=str(entry.store) if entry.store else "",
        at_store=entry.store,
        bill_no=bill[0] if bill else (entry.hold.bill_no if entry.hold else ""), staff=entry.actor_name,
        source=_(source), api_source=source, reason=hide_numbers(entry.reason), job=entry.job_id,
        buckets=(entry.pending, entry.available, entry.held, entry.owed),
    )  # fmt: skip


def page(filters: ActivityFilter, *, before: paging.Cursor | None) -> paging.Page[Row]:
    """Newest first; of days that are asked for, the latest first. The filter is a valid one."""
    found = paging.page(filters.qs, whole=filters.whole, before=before, indexed=filters.is_quick, day=filters.day)
    return paging.Page(rows_of(filters.tenant, found.rows), found.older, found.cut)


def all_rows(filters: ActivityFilter, *, most: int | None = None) -> Iterator[Row]:
    """In the order of the pages."""
    tenant = filters.tenant
    for chunk in paging.chunks(tenant, filters.qs, most=most, day=filters.day):
        with transaction.atomic(), gate.walls_around([tenant]):
            rows = rows_of(tenant, chunk)
        yield from rows


def as_csv(filters: ActivityFilter) -> Iterator[str]:
    """Line by line."""
    return spreadsheets.as_csv(COLUMNS, (row.cells(filters.tenant) for row in all_rows(filters)))


def as_xlsx(filters: ActivityFilter) -> Iterator[bytes]:
    """The newest 10,000 rows, and a last one that says so where there are more."""
    rows = (row.cells(filters.tenant) for row in all_rows(filters, most=XLSX_ROWS_MAX + 1))
    return spreadsheets.as_xlsx(_("Activity"), COLUMNS, rows, most=XLSX_ROWS_MAX, cut=str(CUT))


def filtered(data: QueryDict) -> dict[str, Any]:
    """What was asked for, for the trace."""
    asked = {
        name: ["(somebody)" if name == "customer" and text else hide_numbers(text) for text in data.getlist(name)]
        for name in ActivityFilter.base_filters
    }
    return {name: texts for name, texts in asked.items() if any(texts)}


def stores_of(tenant: Tenant) -> list[tuple[str, str]]:
    return [(store.code, str(store)) for store in Store.objects.filter(tenant=tenant).order_by("code")]
