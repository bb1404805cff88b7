"""What a report is asked for, and what answers: ClickHouse with its verdict, or the ledger itself."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from clickhouse_connect.driver.exceptions import DatabaseError
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.analytics import clickhouse, day_sums, feed, parity
from integrations.analytics.day_sums import Basis, DaySum, Wanted
from support.reports import liability
from support.reports.liability import Report
from tenants.models import Store, Tenant

log = structlog.get_logger("pointdesk.reports")
CLICKHOUSE, POSTGRESQL = "clickhouse", "postgresql"
DAYS_SHOWN = 30
#: More days than this are no report any more but an export of everything.
DAYS_MAX = 3700
FIRST_YEAR, LAST_YEAR = 1971, 2199
NO_STORE = "~none"  # no store can be called that
AWAY = gettext_lazy("ClickHouse cannot be asked now: these figures are the ledger's own.")


class Asked(forms.Form):
    """The filters of the liability report, for its page, its files and the API."""

    since = forms.DateField(
        label=gettext_lazy("From"), required=False, widget=forms.DateInput(attrs={"type": "date", "class": "pd-tenant-box"})
    )
    until = forms.DateField(
        label=gettext_lazy("To"), required=False, widget=forms.DateInput(attrs={"type": "date", "class": "pd-tenant-box"})
    )
    basis = forms.ChoiceField(
        label=gettext_lazy("Days by"), required=False, widget=forms.Select(attrs={"class": "pd-tenant-box"}),
        choices=[
            (Basis.POSTING.value, gettext_lazy("posting date (never changes)")), (Basis.BUSINESS.value, gettext_lazy("business date")),
        ],
    )  # fmt: skip
    by = forms.ChoiceField(
        label=gettext_lazy("A line for each"), required=False, widget=forms.Select(attrs={"class": "pd-tenant-box"}),
        choices=[("day", gettext_lazy("day")), ("month", gettext_lazy("month"))],
    )  # fmt: skip
    store = forms.ChoiceField(label=gettext_lazy("Store"), required=False, widget=forms.Select(attrs={"class": "pd-tenant-box"}))
    tier = forms.CharField(
        label=gettext_lazy("Tier today"), required=False, max_length=40, widget=forms.TextInput(attrs={"class": "pd-tenant-box"})
    )
    as_of = forms.DateTimeField(
        label=gettext_lazy("As it was known at"), required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "class": "pd-tenant-box"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "iso-8601"],
    )  # fmt: skip
    source = forms.ChoiceField(
        label=gettext_lazy("From the figures of"), required=False, widget=forms.Select(attrs={"class": "pd-tenant-box"}),
        choices=[(CLICKHOUSE, gettext_lazy("the dashboards (ClickHouse)")), (POSTGRESQL, gettext_lazy("the ledger (PostgreSQL)"))],
    )  # fmt: skip

    def __init__(self, data: Any, *, tenant: Tenant, now: datetime) -> None:
        self._tenant, self._today = tenant, now.astimezone(tenant.zone).date()
        super().__init__({**self._defaults(), **{name: text for name, text in data.items() if text}})
        self._stores = {store.code: store for store in Store.objects.filter(tenant=tenant).order_by("code")}
        stores = [(code, str(store)) for code, store in self._stores.items()]
        self.fields["store"].choices = [("", _("all")), (NO_STORE, _("none named")), *stores]  # type: ignore[attr-defined]

    def _defaults(self) -> dict[str, Any]:
        return {
            "since": self._today - timedelta(days=DAYS_SHOWN - 1), "until": self._today, "basis": Basis.POSTING.value, "by": "day",
            "source": CLICKHOUSE,
        }  # fmt: skip

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        since, until = found.get("since"), found.get("until")
        for name in ("since", "until", "as_of"):
            if (value := found.get(name)) and not FIRST_YEAR <= value.year < LAST_YEAR:
                self.add_error(name, _("A year from {first} to {last}.").format(first=FIRST_YEAR, last=LAST_YEAR - 1))
        if since and until and until < since:
            self.add_error("until", _("The last day is before the first."))
        elif since and until and (until - since).days > DAYS_MAX:
            self.add_error("since", _("A report covers ten years at most."))
        return found

    @property
    def short(self) -> list[forms.BoundField]:
        """The fields of the page of points."""
        return [self[name] for name in ("since", "until", "basis", "store", "tier", "source")]

    @property
    def wanted(self) -> Wanted:
        """What was asked for; the form is valid."""
        found = self.cleaned_data
        code = found["store"]
        return Wanted(
            since=found["since"], until=found["until"], basis=Basis(found["basis"]), as_of=found["as_of"],
            store_id=None if not code else 0 if code == NO_STORE else self._stores[code].pk, tier=found["tier"] or None,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """A report, where it comes from, and how far that can be trusted. `instead`: why it is not from where it was asked."""

    report: Report
    source: str
    instead: str
    standing: parity.Standing | None
    lag: feed.Lag
    #: The last day on which nothing can be posted any more.
    closed: date | None

    @property
    def trusted(self) -> bool:
        return self.source == POSTGRESQL or (self.standing is not None and bool(self.standing.equal) and not self.lag.entries)


def sums_of(tenant: Tenant, wanted: Wanted, *, source: str) -> tuple[list[DaySum], str]:
    """-> (sums, where they are from): ClickHouse if it was asked for, and the ledger where that cannot say."""
    if source == CLICKHOUSE:
        try:
            return day_sums.of_clickhouse(tenant, wanted), CLICKHOUSE
        except (*clickhouse.Away, DatabaseError) as problem:
            log.warning("the report comes from the ledger", error=type(problem).__name__)
    return day_sums.of_ledger(tenant, wanted), POSTGRESQL


def answer(tenant: Tenant, asked: Asked) -> Answer:
    """The liability report."""
    wanted = asked.wanted
    sums, source = sums_of(tenant, wanted, source=asked.cleaned_data["source"])
    instead = "" if source == asked.cleaned_data["source"] else AWAY
    report = liability.made_of(
        sums,
        since=wanted.since,
        until=wanted.until,
        basis=wanted.basis,
        tenant=tenant,
        by_month=asked.cleaned_data["by"] == "month",
    )
    until = wanted.until if wanted.basis == Basis.BUSINESS else date.max  # what was posted on a day may be of any business day
    standing = parity.standing(tenant, since=date.min, until=until) if source == CLICKHOUSE else None
    return Answer(report, source, str(instead), standing, feed.lag(), day_sums.closed_through(tenant))
