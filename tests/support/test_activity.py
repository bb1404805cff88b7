"""The activity log: found, filtered and taken away as a file, by the page and by the API."""

import csv
import io
from datetime import date, timedelta
from typing import Any

import openpyxl
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_scopes import scope

from loyalty import identity
from loyalty.models import Customer, Entry
from support import activity, paging
from tenants.actors import SYSTEM
from tenants.models import AuditEvent, Membership, Tenant
from tests import builders
from tests.builders import bill, deliver, paid_with_points
from tests.client import ApiClient
from tests.conftest import key_of

LOG = "admin:activity"


@pytest.fixture
def busy(kulfi: Tenant) -> Customer:
    """Meera was issued 100, blocked 60, and spent them on a bill that earned 3; Raj was issued 7."""
    meera = builders.customer(kulfi, points=100)
    builders.hold(kulfi, meera, 60, reference="SB-1", bill_no="A1")
    deliver(kulfi, paid_with_points("A1", 60, net="400.00", reference="SB-1"))
    builders.customer(kulfi, "+919840054321", points=7, name="=HYPERLINK(1)")
    return meera


def content(response: Any) -> bytes:
    found: bytes = response.getvalue()
    return found


def rows(client: Client, **asked: Any) -> list[activity.Row]:
    response: Any = client.get(reverse(LOG), asked)
    assert response.status_code == 200
    found: list[activity.Row] = response.context_data["rows"]
    return found


def test_every_entry_is_told_as_people_count_it(as_bob: Client, busy: Customer) -> None:
    found = rows(as_bob)
    assert [(row.kind, row.points, row.amount, row.bill_no) for row in found] == [
        ("issue", 7, "", ""), ("earn", 3, "400.00", "A1"), ("capture", -60, "60.00", "A1"), ("hold", -60, "60.00", "A1"),
        ("issue", 100, "", ""),
    ]  # fmt: skip
    text = as_bob.get(reverse(LOG)).content.decode()
    for words in (
        "Redeemed",
        "−60" if "−60" in text else "-60",
        "Anna Nagar",
        "another system" if "another system" in text else "Pointdesk",
    ):
        assert words in text
    assert busy.mobile not in text, "numbers are masked"


def test_filters_narrow_and_stay_in_the_address(as_bob: Client, busy: Customer) -> None:
    today = timezone.localdate(timezone=busy.tenant.zone)
    assert [row.kind for row in rows(as_bob, action=["earn", "capture"])] == ["earn", "capture"]
    assert [row.kind for row in rows(as_bob, customer="54321")] == ["issue"]
    assert len(rows(as_bob, customer="98400 12345")) == 4
    assert rows(as_bob, customer="nobody at all") == []
    assert [row.kind for row in rows(as_bob, store="K1", source="system")] == ["earn", "capture", "hold"]
    assert rows(as_bob, **{"from": (today + timedelta(days=1)).isoformat()}) == []
    assert len(rows(as_bob, to=today.isoformat(), reason="for a test")) >= 2
    text = as_bob.get(reverse(LOG), {"action": "earn", "store": "K9"}).content.decode()
    assert "No entry fits" in text
    assert as_bob.get(reverse(LOG), {"from": "soon"}).status_code == 422
    assert as_bob.get(reverse(LOG), {"customer": "\0"}).status_code == 422
    assert as_bob.get(reverse(LOG), {"before": "9" * 40}).status_code == 200


def test_pages_go_on_without_counting(as_bob: Client, kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    for number in range(55):
        builders.issue(kulfi, meera, number + 1)
    first: Any = as_bob.get(reverse(LOG), {"action": "issue"})
    older = first.context_data["older"]
    assert f"action=issue&amp;before={older}" in first.content.decode()
    assert [row.points for row in rows(as_bob, action="issue", before=older)] == [5, 4, 3, 2, 1]


def test_a_file_holds_exactly_what_is_filtered_and_runs_nothing(as_alice: Client, as_bob: Client, busy: Customer) -> None:
    assert as_bob.post(reverse("admin:activity_csv")).status_code == 403, "an agent looks; a file is for others"
    response: Any = as_alice.post(reverse("admin:activity_csv"), query_params={"action": "issue"})
    lines = list(csv.DictReader(io.StringIO(response.getvalue().decode("utf-8-sig"))))
    assert [(line["customer"], line["points"]) for line in lines] == [("'=HYPERLINK(1)", "7"), ("Meera S.", "100")]
    assert {line["mobile"][-3:] for line in lines} == {"321", "345"}
    assert not any(busy.mobile in str(line) for line in lines)
    book: Any = openpyxl.load_workbook(
        io.BytesIO(content(as_alice.post(reverse("admin:activity_xlsx"), query_params={"store": "K1"})))
    )
    table = list(book.active.iter_rows(values_only=True))
    assert (table[0], [line[1] for line in table[1:]]) == (activity.COLUMNS, ["Earned", "Redeemed", "Blocked"])
    events = AuditEvent.objects.filter(action="export_activity").order_by("id")
    assert [event.after for event in events] == [{"action": ["issue"]}, {"store": ["K1"]}]
    Membership.objects.update(role="auditor")
    assert as_bob.post(reverse("admin:activity_csv")).status_code == 200


def test_a_long_file_is_sent_chunk_by_chunk(as_alice: Client, kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    meera = builders.customer(kulfi)
    for number in range(7):
        builders.issue(kulfi, meera, number + 1)
    monkeypatch.setattr(paging, "CHUNK", 3)
    response: Any = as_alice.post(reverse("admin:activity_csv"))
    assert [line.split(",")[4] for line in response.getvalue().decode().splitlines()[1:]] == ["7", "6", "5", "4", "3", "2", "1"]
    monkeypatch.setattr(activity, "XLSX_ROWS_MAX", 4)
    book: Any = openpyxl.load_workbook(io.BytesIO(content(as_alice.post(reverse("admin:activity_xlsx")))))
    table = list(book.active.iter_rows(values_only=True))
    assert ([line[4] for line in table[1:5]], table[5][0], len(table)) == ([7, 6, 5, 4], activity.CUT, 6)


def test_the_api_gives_the_same_and_nobody_elses(busy: Customer, kulfi: Tenant, liberty: Tenant) -> None:
    with scope(tenant=liberty):
        builders.customer(liberty, "+12025550143", points=9, name="Zoe")
    reader = ApiClient(key_of(kulfi, "read"))
    body = reader.get("/activity").body
    assert [each["action"] for each in body["results"]] == ["issue", "earn", "capture", "hold", "issue"]
    hold = body["results"][3]
    assert (hold["points"], hold["amount"], hold["store_code"], hold["bill_no"]) == (-60, "60.00", "K1", "A1")
    assert hold["customer"] == {"id": busy.pk, "name": "Meera S.", "mobile": busy.masked_mobile}
    page = reader.get("/activity", page_size="2").body
    assert page["next"]
    assert reader.get("/activity", action="nonsense").status == 400
    assert ApiClient(key_of(kulfi, "pos")).get("/activity").status == 403
    assert Entry.objects.count() >= 5


def test_a_filter_leaves_nobody_out_and_shows_what_was_merged_in(as_bob: Client, kulfi: Tenant) -> None:
    people = [builders.customer(kulfi, f"+9198400{number:05d}", points=1, name="Priya Common") for number in range(20)]
    assert len(rows(as_bob, customer="Priya Common")) == 20
    identity.merge(kulfi, people[1].pk, people[0].pk, reason="one person", actor=SYSTEM, now=timezone.now())
    kinds = [row.kind for row in rows(as_bob, customer=people[1].mobile)]
    assert sorted(kinds) == ["issue", "issue", "merge", "merge"]


def test_what_paid_a_debt_is_shown_as_given_and_all_columns_sum_up(as_alice: Client, lenient_kulfi: Tenant) -> None:
    meera = builders.customer(lenient_kulfi)
    deliver(lenient_kulfi, paid_with_points("A1", 6, net="6.00"), bill("A2", net="900.00"))
    found = rows(as_alice)
    assert [(row.kind, row.points) for row in found if row.kind == "earn"] == [("earn", 9)]
    sums = [sum(row.buckets[place] for row in found) for place in range(4)]
    assert tuple(sums) == builders.balance(meera) == (0, 3, 0, 0)


def test_the_api_gives_a_file_too(busy: Customer, kulfi: Tenant) -> None:
    client, key = Client(), key_of(kulfi, "support")
    for asked in ({"format": "csv"}, {}):
        headers = {"Authorization": f"Bearer {key}"} | ({} if asked else {"Accept": "text/csv"})
        response: Any = client.get("/api/v1/activity", {"action": "earn", **asked}, headers=headers)
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        (line,) = csv.DictReader(io.StringIO(response.getvalue().decode("utf-8-sig")))
        assert (line["points"], line["amount"], line["currency"], line["bill"]) == ("3", "400.00", "INR", "A1")
    assert AuditEvent.objects.filter(action="export_activity", actor_kind="key").count() == 2
    wrong = client.get("/api/v1/activity", {"action": "x", "format": "csv"}, headers={"Authorization": f"Bearer {key}"})
    assert (wrong.status_code, wrong["Content-Type"], "error" in wrong.json()) == (400, "application/json", True)


def test_what_is_rare_is_looked_for_a_stretch_at_a_time(as_bob: Client, kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "STRETCH", 5)
    raj = builders.customer(kulfi)
    builders.issue(kulfi, raj, 777)
    for _ in range(12):
        builders.issue(kulfi, raj, 1)
    builders.hold(kulfi, raj, 1)
    wanted, seen, pages = {"source": "person", "reason": "nothing says this"}, 0, 0
    where: dict[str, str] = dict(wanted)
    while True:
        context = as_bob.get(reverse("admin:activity"), where).context
        pages, seen = pages + 1, seen + len(context["rows"])
        if not context["older"]:
            break
        assert context["cut"]
        where = {**wanted, "before": context["older"]}
    assert (pages, seen) == (3, 0)
    for quick, found, cut in (({"customer": "2345"}, 14, False), ({"action": "hold"}, 1, False), ({"action": "issue"}, 5, True)):
        mine = as_bob.get(reverse("admin:activity"), quick).context
        assert (len(mine["rows"]), mine["cut"]) == (found, cut), "of one action so many of it are looked through"


def test_what_is_written_meanwhile_loses_no_row_of_a_page(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "STRETCH", 5)
    raj = builders.customer(kulfi)
    for _ in range(9):
        builders.issue(kulfi, raj, 1)
    looks = paging._among

    def and_others_write(*args: Any) -> Any:
        for _ in range(2):
            builders.issue(kulfi, raj, 2)
        return looks(*args)

    entries = Entry.objects.filter(tenant=kulfi)
    monkeypatch.setattr(paging, "_among", and_others_write)
    first = paging.page(entries, whole=entries, before=None)
    monkeypatch.setattr(paging, "_among", looks)
    seen, older = list(first.rows), first.older
    while older:
        page = paging.page(entries, whole=entries, before=paging.cursor_of(older))
        seen, older = [*seen, *page.rows], page.older
    assert sum(entry.available == 1 for entry in seen) == 9


@pytest.fixture
def days(kulfi: Tenant) -> list[date]:
    """Three days, the latest first, of 4, 3 and 60 bills; the last bill that comes is of the first day."""
    builders.customer(kulfi)
    latest = timezone.localdate(timezone=kulfi.zone) - timedelta(days=10)
    days = [latest - timedelta(days=back) for back in range(3)]
    for day, bills in zip(days[::-1], (59, 3, 4), strict=True):
        for number in range(bills):
            deliver(kulfi, bill(f"{day}-{number}", bill_date=f"{day}T12:00:00+05:30"))
    deliver(kulfi, bill("late", bill_date=f"{days[2]}T12:00:00+05:30"))
    return days


def of_days(days: list[date]) -> dict[str, str]:
    return {"from": days[-1].isoformat(), "to": days[0].isoformat()}


def test_days_come_latest_first_whenever_their_bills_came(as_bob: Client, as_alice: Client, days: list[date]) -> None:
    first: Any = as_bob.get(reverse(LOG), of_days(days))
    found = [row.bill_no for row in first.context_data["rows"]]
    assert [found[0][:10], found[4][:10], found[7]] == [str(days[0]), str(days[1]), "late"]
    rest = rows(as_bob, before=first.context_data["older"], **of_days(days))
    together = [*found, *(row.bill_no for row in rest)]
    assert (len(together), len(set(together))) == (67, 67)
    response: Any = as_alice.post(reverse("admin:activity_csv"), query_params=of_days(days))
    lines = csv.DictReader(io.StringIO(response.getvalue().decode("utf-8-sig")))
    assert [line["bill"] for line in lines] == together
    assert rows(as_bob, **of_days(days[2:]))[0].bill_no == "late"


def test_days_with_too_many_entries_are_looked_through_by_days(
    as_bob: Client, as_alice: Client, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "STRETCH", 5)
    monkeypatch.setattr(paging, "CHUNK", 7)
    asked = {**of_days(days), "reason": f"{days[2]}-0"}
    assert Entry.objects.filter(reason__contains=asked["reason"]).count() == 1
    page: Any = as_bob.get(reverse(LOG), asked).context
    assert (page["rows"], page["older"], page["cut"]) == ([], str(days[1]), True)
    page = as_bob.get(reverse(LOG), {**asked, "before": page["older"]}).context
    assert ([row.bill_no for row in page["rows"]], page["older"], page["cut"]) == ([f"{days[2]}-0"], "", False)
    response: Any = as_alice.post(reverse("admin:activity_csv"), query_params=of_days(days))
    assert len(response.getvalue().decode().splitlines()) == 68
    for nonsense in ("2026-02-30", "yesterday"):
        assert rows(as_bob, before=nonsense) == rows(as_bob) != []
