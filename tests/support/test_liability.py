"""The liability report: every kind of entry, counted by hand; its page, its files and its call."""

import csv
import io
from datetime import timedelta
from typing import Any

import openpyxl
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.analytics.day_sums import Basis, Wanted, of_ledger
from integrations.models import Bill, Delivery, Discrepancy
from loyalty import identity, operations, sweeps
from loyalty.models import Balance, Customer, Entry, Lot, ProgrammeVersion
from support.reports import flow, liability
from support.reports.asking import NO_STORE
from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import AuditEvent, Store, Tenant
from tests import builders
from tests.analytics import fed
from tests.builders import bill, deliver, paid_with_points
from tests.client import ApiClient
from tests.conftest import key_of, signed_in
from tests.integrations.test_returns import cancelled, returned

PAGE = "admin:liability"


def report_of(tenant: Tenant, *, days: int = 2, **options: Any) -> liability.Report:
    today = timezone.now().astimezone(tenant.zone).date()
    since = today - timedelta(days=days)
    basis = options.pop("basis", Basis.POSTING)
    sums = of_ledger(tenant, Wanted(since, today, basis, **options))
    return liability.made_of(sums, since=since, until=today, basis=basis, tenant=tenant)


@pytest.fixture
def eventful(lenient_kulfi: Tenant) -> Tenant:
    """A day on which everything happened that can happen to points."""
    tenant, now = lenient_kulfi, timezone.now()
    meera, raj = builders.customer(tenant, points=100), builders.customer(tenant, "+919840054321", points=40)
    builders.release(tenant, builders.hold(tenant, meera, 20))
    builders.hold(tenant, meera, 30, reference="SB-1")
    builders.hold(tenant, raj, 4)
    deliver(tenant, paid_with_points("A1", 30, net="1000.00", reference="SB-1"), returned("R1", "A1", "500.00"))
    deliver(tenant, bill("A2", net="2000.00"), cancelled("C2", "A2"))
    deliver(tenant, bill("A3", mobile=raj.mobile, net="900.00"))
    builders.expire_on(now.astimezone(tenant.zone).date() - timedelta(days=1))
    sweeps.expire_lots(tenant, now=now)
    deliver(tenant, paid_with_points("A4", 25, net="500.00"))  # there is nothing left: a debt
    builders.issue(tenant, meera, 7)  # pays a part of it
    operations.adjust(tenant, raj.pk, points=11, reason="for a test", actor=SYSTEM, key="adjust", now=now)
    operations.adjust(tenant, raj.pk, points=-2, reason="for a test", actor=SYSTEM, key="adjust-", now=now)
    ProgrammeVersion.objects.update(pending_days=3)
    deliver(tenant, bill("A5", mobile=raj.mobile, net="600.00"), bill("A6", mobile=raj.mobile, net="300.00"))
    Lot.objects.filter(pending__gt=3).update(activates_on=now.astimezone(tenant.zone).date())
    sweeps.activate_pending(tenant, now=now)
    ProgrammeVersion.objects.update(pending_days=0)
    operations.reset(tenant, raj.pk, reason="for a test", actor=SYSTEM, key="reset", now=now)
    builders.issue(tenant, raj, 5)
    sonal = builders.customer(tenant, "+919840077777", points=13)
    builders.customer(tenant, "+919840088888", points=3)
    identity.merge(tenant, sonal.pk, raj.pk, reason="for a test", actor=SYSTEM, now=now)
    return tenant


BY_HAND = {
    "earned": ["earn"], "bonus": ["bonus"], "issued": ["issue"], "adjusted": ["adjust", "reset"], "returned": ["rollback"],
    "redeemed": ["capture", "redeem"], "expired": ["expire"], "restored": ["restore"],
}  # fmt: skip


@pytest.mark.case(100)
@pytest.mark.parametrize("basis", Basis)
def test_every_kind_is_counted_where_a_person_would_count_it(eventful: Tenant, basis: Basis) -> None:
    report = report_of(eventful, basis=basis)
    hand = dict.fromkeys(liability.MOVEMENTS, 0)
    created = offset = 0
    for entry in Entry.objects.all():
        effect = entry.of_kind or entry.kind
        liable = entry.pending + entry.available + entry.held
        if effect == "merge":
            hand["merged"] += liable
            continue
        created, offset = created + max(entry.owed, 0), offset + max(-entry.owed, 0)
        for name, counted in BY_HAND.items():
            hand[name] += liable - entry.owed if effect in counted else 0
    kinds = set(Entry.objects.values_list("kind", flat=True)) | set(
        Entry.objects.exclude(of_kind=None).values_list("of_kind", flat=True)
    )
    assert kinds >= {"earn", "issue", "activate", "hold", "capture", "release", "redeem", "expire", "adjust", "reset", "rollback", "debt",
                     "restore", "reversal", "merge"}  # fmt: skip
    total = report.total
    assert total.moved == hand
    assert (total.debt_created, total.debt_offset) == (created, offset)
    assert created > 0 < offset
    balances = list(Balance.objects.all())
    assert (total.pending, total.available, total.blocked, total.debt) == tuple(
        sum(getattr(row, name) for row in balances) for name in ("pending", "available", "held", "owed")
    )
    assert min(total.pending, total.available, total.blocked, total.debt) > 0
    assert total.closing == total.pending + total.available + total.blocked  # the debt lowers nothing
    assert all(liability.adds_up(line) for line in [*report.lines, total])
    assert total.moved["merged"] == 0


def test_a_redemption_that_was_not_covered_counts_whole(lenient_kulfi: Tenant) -> None:
    builders.customer(lenient_kulfi, points=20)
    deliver(lenient_kulfi, paid_with_points("A1", 30, net="30.00"))
    total = report_of(lenient_kulfi).total
    assert (total.moved["redeemed"], total.debt_created, total.closing, total.debt) == (-30, 10, 0, 10)


def test_a_debt_that_a_merge_pays_is_offset(lenient_kulfi: Tenant) -> None:
    meera, raj = builders.customer(lenient_kulfi), builders.customer(lenient_kulfi, "+919840054321", points=40)
    deliver(lenient_kulfi, paid_with_points("A1", 10, net="10.00"))
    identity.merge(lenient_kulfi, meera.pk, raj.pk, reason="for a test", actor=SYSTEM, now=timezone.now())
    total = report_of(lenient_kulfi).total
    assert (total.moved["merged"], total.debt_created, total.debt_offset, total.closing, total.debt) == (0, 10, 10, 30, 0)
    assert liability.adds_up(total)


@pytest.mark.case(39)
def test_what_belongs_to_earlier_days_stands_apart_and_by_business_date_on_its_day(kulfi: Tenant) -> None:
    builders.customer(kulfi, points=20)
    today = timezone.now().astimezone(kulfi.zone).date()
    past = today - timedelta(days=40)
    deliver(kulfi, bill("A1", net="900.00", bill_date=f"{past}T12:00:00+05:30"))
    (posted,) = report_of(kulfi, days=60).lines
    assert (posted.first, posted.closing, posted.earlier, posted.moved["earned"]) == (today, 29, 9, 9)
    business = report_of(kulfi, days=60, basis=Basis.BUSINESS).lines
    assert [(line.first, line.opening, line.closing, line.earlier) for line in business] == [(past, 0, 9, 0), (today, 9, 29, 0)]


def test_months_and_their_worth(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=20)
    today = timezone.now().astimezone(kulfi.zone).date()
    deliver(
        kulfi,
        *(
            bill(f"A{number}", net="900.00", bill_date=f"{today - timedelta(days=number)}T12:00:00+05:30")
            for number in (1, 35, 36)
        ),
    )
    sums = of_ledger(kulfi, Wanted(today - timedelta(days=70), today, Basis.BUSINESS))
    report = liability.made_of(
        sums, since=today - timedelta(days=70), until=today, basis=Basis.BUSINESS, tenant=kulfi, by_month=True
    )
    months = [line.title for line in report.lines]
    assert months == sorted({f"{today - timedelta(days=number):%Y-%m}" for number in (0, 1, 35, 36)})
    assert all(liability.adds_up(line) for line in report.lines)
    assert (report.total.closing, str(report.total.worth)) == (47, "47.00")
    assert builders.balance(meera)[1] == 47


# The page


@pytest.fixture
def auditor(eventful: Tenant) -> Client:
    user, _ = staff.create_staff(eventful, email="audra@kulfi-house.example", role="auditor", name="Audra", actor=SYSTEM)
    return signed_in(user)


def test_the_page_shows_it_and_says_where_it_comes_from(auditor: Client, eventful: Tenant) -> None:
    response: Any = auditor.get(reverse(PAGE), {"source": "postgresql"})
    text = " ".join(response.content.decode().split())
    total = report_of(eventful).total
    assert "From the ledger itself" in text
    assert f"{total.closing:,}" in text
    assert "Debt created" in text
    assert "Opening + every movement" in text
    assert "The same from ClickHouse" in text


@pytest.mark.case(101)
@pytest.mark.xdist_group("feed")
def test_what_the_report_and_customer_360_say_differs_by_named_lines_alone(committed: Tenant) -> None:
    """By points that are not yet available, by debt, and by what ClickHouse has not got yet; blocked points are in both."""
    user, _ = staff.create_staff(committed, email="audra@kulfi-house.example", role="auditor", name="Audra", actor=SYSTEM)
    meera = builders.customer(committed, points=100)
    builders.hold(committed, meera, 30)
    ProgrammeVersion.objects.update(pending_days=3)
    deliver(committed, bill("A1", net="900.00"))
    fed(committed)
    ProgrammeVersion.objects.update(pending_days=0)
    builders.issue(committed, meera, 7)
    response: Any = signed_in(user).get(reverse(PAGE))
    total = response.context_data["found"].report.total
    balance = Balance.objects.get()
    assert (total.blocked, total.pending, total.debt) == (30, 9, 0)
    assert total.closing - total.pending - total.debt + 7 == balance.closing == 107
    text = " ".join(response.content.decode().split())
    assert "1 entry is on its way and not in these figures." in text
    for line in ("Blocked", "Pending", "Debt, apart"):
        assert line in text


def test_with_clickhouse_away_the_ledger_answers(auditor: Client, settings: Any) -> None:
    settings.CLICKHOUSE_URL = "http://x:y@127.0.0.1:9/none"
    response: Any = auditor.get(reverse(PAGE))
    assert response.status_code == 200
    assert "ClickHouse cannot be asked now" in response.content.decode()
    assert response.context_data["found"].report.total.closing > 0


@pytest.mark.parametrize(
    "asked",
    [{"since": "x"}, {"since": "2026-02-30"}, {"since": "2026-02-03", "until": "2026-02-01"}, {"basis": "x"}, {"store": "nowhere"},
     {"as_of": "yesterday"}, {"source": "oracle"}, {"since": "0001-01-01", "until": "0001-01-02"}, {"until": "9999-12-31"},
     {"as_of": "0001-01-01T00:00"},
     {"as_of": "9999-12-31T23:59:59-12:00"}, {"by": "year"}],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_at_its_field(auditor: Client, asked: dict[str, str]) -> None:
    response = auditor.get(reverse(PAGE), asked)
    assert response.status_code == 422
    assert 'role="alert"' in response.content.decode()


def test_agents_do_not_see_it(as_bob: Client) -> None:
    assert as_bob.get(reverse(PAGE)).status_code == 403
    assert as_bob.post(reverse("admin:liability_csv")).status_code == 403


def test_files_hold_what_the_page_shows_and_are_kept_in_the_audit(auditor: Client, eventful: Tenant) -> None:
    total = report_of(eventful).total
    text = auditor.post(reverse("admin:liability_csv"), query_params={"source": "postgresql"}).getvalue().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0][:3] == ["Day", "Opening", "Earned"]
    assert (rows[-2][0], rows[-2][rows[0].index("Closing")]) == ("Total", str(total.closing))
    assert rows[-1] == ["From the ledger itself."]
    body = auditor.post(reverse("admin:liability_xlsx"), query_params={"source": "postgresql"}).getvalue()
    sheet = openpyxl.load_workbook(io.BytesIO(body)).active
    assert sheet is not None
    assert [cell.value for cell in sheet[2]][rows[0].index("Closing")] == total.closing
    assert AuditEvent.objects.filter(action="export_liability").count() == 2


def test_days_with_bills_and_no_points_spent_are_named_with_their_cause(as_alice: Client, kulfi: Tenant) -> None:
    today = timezone.now().astimezone(kulfi.zone).date()
    quiet, drift, lost = (today - timedelta(days=days) for days in (3, 4, 6))
    meera = builders.customer(kulfi, points=50)
    deliver(kulfi, *(bill(f"Q{day:%d}", bill_date=f"{day}T12:00:00+05:30") for day in (quiet, lost)))
    builders.hold(kulfi, meera, 5, at=timezone.now() - timedelta(days=6))
    Discrepancy.objects.create(
        tenant=kulfi, kind="mode_drift", message="x", store=Store.objects.get(code="K2"),
        bill=Bill.objects.create(
            tenant=kulfi, store=Store.objects.get(code="K2"), bill_class="SALE", bill_type="SALE", bill_no="D", period="", business_date=drift,
            billed_at=timezone.now(), fingerprint=1, gross_amount=1, discount_amount=0, net_amount=1, tax_amount=0, payable_amount=1,
        ),
    )  # fmt: skip
    asked = {"since": f"{lost}", "until": f"{quiet}"}
    response: Any = as_alice.get(reverse("admin:liability_flags"), asked)
    faults = {flag.day: (flag.code, flag.bills, flag.url) for flag in response.context_data["faults"]}
    assert faults == {
        lost: ("bills_missing", 1, reverse("admin:missing_bills")),
        drift: ("mode_drift", 1, reverse("admin:integrations_discrepancy_changelist")),
    }
    assert [flag.day for flag in response.context_data["quiet"]] == [quiet]
    assert "1 redemption over 5 points was begun" in response.content.decode()
    of_k1: Any = as_alice.get(reverse("admin:liability_flags"), asked | {"store": "K1"})
    assert [flag.day for flag in of_k1.context_data["faults"]] == [lost]


def test_bills_set_aside_for_their_split_explain_a_day_without_spend(as_alice: Client, kulfi: Tenant) -> None:
    builders.customer(kulfi, points=50)
    deliver(kulfi, bill("A1"), paid_with_points("A2", 10) | {"tenders": [], "redemption": {"points": 10, "amount": "10.00"}})
    assert Delivery.objects.get(bill_no="A2").check_name == "split_missing"
    response: Any = as_alice.get(reverse("admin:liability_flags"))
    assert [flag.code for flag in response.context_data["faults"]] == ["split_missing"]


def test_the_call_answers_the_same(eventful: Tenant) -> None:
    reader = ApiClient(key_of(eventful, "read"))
    body = reader.get("/reports/liability", source="postgresql").body
    total = report_of(eventful).total
    assert body["total"]["closing"] == total.closing
    assert (body["source"], body["verdict"], body["lines"][0]["settled"]) == ("postgresql", None, False)
    refused = reader.get("/reports/liability", **{"from": "2026-02-03", "to": "2026-02-01"})
    assert refused.status == 400
    assert "to" in refused.text
    assert ApiClient(key_of(eventful, "pos")).get("/reports/liability").status == 403


# Points


def test_points_by_store_when_they_expire_and_what_needed_an_eye(auditor: Client, eventful: Tenant) -> None:
    response: Any = auditor.get(reverse("admin:points_report"), {"source": "postgresql"})
    found = response.context_data
    total = report_of(eventful).total
    for name, values in zip(flow.FLOWS, zip(*(each.figures for each in found["flows"]), strict=True), strict=True):
        assert sum(values) == total.moved[name], name
    assert {each.store for each in found["flows"]} >= {"Anna Nagar", "no store"}
    granted = sum(total.moved[name] for name in ("earned", "bonus", "issued", "returned"))
    assert (found["rates"].granted, found["rates"].expired) == (granted, -total.moved["expired"])
    assert sum(each.points for each in found["expiring"]) == total.closing
    assert sum(each.blocked for each in found["expiring"]) == total.blocked
    assert {each.kind for each in found["troubles"]} == set(Discrepancy.objects.values_list("kind", flat=True)) != set()
    text = " ".join(response.content.decode().split())
    assert "points were granted" in text
    assert "From the ledger itself." in text


def test_points_of_a_store_or_tier(auditor: Client, eventful: Tenant) -> None:
    """Its parts add up to the whole, and a tier that nobody has shows nothing."""

    def asked(**fields: str) -> Any:
        response: Any = auditor.get(reverse("admin:points_report"), {"source": "postgresql"} | fields)
        return response.context_data

    def figures(found: Any) -> list[int]:
        return [
            sum(each.net for each in found["flows"]),
            sum(each.points for each in found["expiring"]), sum(each.count for each in found["troubles"]),
            sum(each.points for each in found["stores_by_age"]), sum(each.points for each in found["by_hand"]),
        ]  # fmt: skip

    whole = figures(asked())
    parts = [figures(asked(store=code)) for code in (*Store.objects.values_list("code", flat=True), NO_STORE)]
    assert [sum(column) for column in zip(*parts, strict=True)] == whole
    assert all(whole[:4])  # nobody issued anything by hand
    assert len([part for part in parts if any(part)]) > 1
    assert figures(asked(tier="Platinum")) == [0] * len(whole)
    Customer.objects.update(tier="Platinum")
    assert figures(asked(tier="Platinum")) == whole


def test_points_of_a_brand_without_any(as_alice: Client) -> None:
    response: Any = as_alice.get(reverse("admin:points_report"), {"source": "postgresql"})
    text = response.content.decode()
    assert response.status_code == 200
    assert "No points moved in this time." in text
    assert "No customer has points." in text
    assert as_alice.get(reverse("admin:points_report"), {"since": "x"}).status_code == 422


@pytest.mark.parametrize(("months", "title"), [(0, "month"), (3, "month"), (30, "later"), (None, "never"), (-1, "overdue")])
def test_when_points_expire(kulfi: Tenant, months: int | None, title: str) -> None:
    builders.customer(kulfi, points=9)
    today = timezone.now().astimezone(kulfi.zone).date()
    expires = None if months is None else today + timedelta(days=30 * months + 1) if months >= 0 else today - timedelta(days=1)
    Lot.objects.update(expires_on=expires, granted_until=expires)
    (found,) = flow.expiring(kulfi, today=today)
    assert (found.title if title != "month" else "month", found.points, found.lots) == (title, 9, 1)
    if title == "month" and expires:
        assert found.title == f"{expires:%Y-%m}"
