"""Two sides held against each other: what each says by hand, what a drift points to, its incident, the timetable and the page."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_scopes import scope

from integrations import witnesses
from integrations.models import (
    CrmBalance,
    Handoff,
    Incident,
    IncidentKind,
    ReconciliationPolicy,
    ReconciliationRun,
    RunState,
    Side,
)
from integrations.reconciling import runs
from integrations.tasks import reconcile
from support import monitoring
from support.models import Alarm
from tenants import staff
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import AuditEvent, Store, Tenant
from tests import builders
from tests.analytics import clock_of_the_books, damage, feed_all
from tests.conftest import signed_in
from tests.integrations.test_returns import cancelled, returned

YESTERDAY = timedelta(days=1)


def policy(tenant: Tenant, left: Side, right: Side, **fields: Any) -> ReconciliationPolicy:
    row: ReconciliationPolicy = ReconciliationPolicy.objects.create(
        tenant=tenant, name=f"{left} and {right}", left=left, right=right, **fields
    )
    return row


def ran(of: ReconciliationPolicy) -> ReconciliationRun:
    run = runs.ask(of, asked_by="for a test", now=timezone.now())
    assert runs.work_on(run)
    assert run.state == RunState.DONE, run.note
    return run


def sold(tenant: Tenant, number: str, net: str = "1000.00", *, days: int = 1, **fields: Any) -> None:
    day = timezone.now().astimezone(tenant.zone) - timedelta(days=days)
    builders.deliver(tenant, builders.bill(number, net=net, bill_date=day.replace(hour=12).isoformat(), **fields))


def ordered(tenant: Tenant, bill_no: str, amount: str = "1000.00", *, days: int = 1, state: str = "confirmed") -> None:
    at = (timezone.now().astimezone(tenant.zone) - timedelta(days=days)).replace(hour=12)
    told = witnesses.Order(f"SO-{bill_no}", "K1", bill_no, "", Decimal(amount), state, at)
    assert witnesses.take_orders(tenant, [(0, told)], now=timezone.now()) == []


def ended(tenant: Tenant, net: str, *, bills: int = 1, days: int = 1) -> None:
    day = timezone.now().astimezone(tenant.zone).date() - timedelta(days=days)
    witnesses.settle_day(tenant, witnesses.DayTotals("K1", day, bills, 0, Decimal(net), Decimal(0)), now=timezone.now())


def shown(tenant: Tenant, mobile: str, points: int, *, at: datetime) -> None:
    told = witnesses.Shown(mobile, points, at, "crm")
    assert witnesses.take_crm_balances(tenant, [(0, told)], now=timezone.now()) == []


def figures(run: ReconciliationRun) -> tuple[bool | None, int, int, int, int, str, int]:
    return run.ok, run.agreed, run.different, run.left_only, run.right_only, run.pattern, run.handoff


# The sides, by hand


def test_orders_of_the_erp_against_bills(kulfi: Tenant) -> None:
    builders.customer(kulfi)
    for number, net in (("A1", "1000.00"), ("A2", "500.00"), ("A3", "300.00")):
        sold(kulfi, number, net)
    ordered(kulfi, "A1")
    ordered(kulfi, "A2", "520.00")
    ordered(kulfi, "A9", "75.50")
    run = ran(policy(kulfi, Side.ERP, Side.LEDGER))
    assert figures(run) == (False, 1, 1, 1, 1, "mixed", Handoff.ERP_TO_CONNECTOR)
    assert (run.left_sum, run.right_sum, run.drift) == (Decimal("1595.50"), Decimal(1800), Decimal("-204.50"))
    assert run.rows == [
        {"left": None, "right": "300", "difference": "-300", "store": "K1", "bill_no": "A3"},
        {"left": "75.5", "right": None, "difference": "75.5", "store": "K1", "bill_no": "A9"},
        {"left": "520", "right": "500", "difference": "20", "store": "K1", "bill_no": "A2"},
    ]


def test_a_bill_that_stands_in_the_inbox_points_to_the_third_handoff(kulfi: Tenant) -> None:
    ordered(kulfi, "A1")
    sold(kulfi, "A1", net_amount="950.00")  # its lines say 1000.00: set aside
    run = ran(policy(kulfi, Side.ERP, Side.LEDGER))
    assert figures(run) == (False, 0, 0, 1, 0, "left_only", Handoff.CONNECTOR_TO_LOYALTY)


def test_what_only_we_have_points_to_the_first_handoff(kulfi: Tenant) -> None:
    builders.customer(kulfi)
    sold(kulfi, "A1")
    assert figures(ran(policy(kulfi, Side.LEDGER, Side.ERP))) == (False, 0, 0, 1, 0, "left_only", Handoff.STORE_TO_ERP)


def test_voided_and_cancelled_is_settled_and_so_is_voided_and_returned(kulfi: Tenant) -> None:
    builders.customer(kulfi)
    for number in ("A1", "A2", "A3"):
        sold(kulfi, number)
        ordered(kulfi, number, state="confirmed" if number == "A3" else "voided")
    builders.deliver(kulfi, cancelled("C1", "A1"), returned("R2", "A2", "1000.00"))
    assert figures(ran(policy(kulfi, Side.ERP, Side.LEDGER)))[:5] == (True, 1, 0, 0, 0)


def test_an_order_of_the_next_day_is_the_same_sale(kulfi: Tenant) -> None:
    """Rung up before midnight, in the ERP after it: matched on both edges, and what is wholly beside the days counts nowhere."""
    builders.customer(kulfi)
    sold(kulfi, "A1", days=2)
    ordered(kulfi, "A1", days=1)
    sold(kulfi, "A2", days=3)
    ordered(kulfi, "A2", days=2)
    sold(kulfi, "A3", days=4)
    run = ran(policy(kulfi, Side.ERP, Side.LEDGER, first_day=2, last_day=2))
    assert (run.ok, run.agreed) == (True, 2)


def test_day_ends_of_the_pos_against_the_ledger(kulfi: Tenant) -> None:
    builders.customer(kulfi)
    sold(kulfi, "A1", "1000.00", days=1)
    sold(kulfi, "A2", "500.00", days=2)
    sold(kulfi, "A3", "300.00", days=3)
    ended(kulfi, "1000.00", days=1)
    ended(kulfi, "620.00", bills=2, days=2)
    run = ran(policy(kulfi, Side.POS, Side.LEDGER))
    assert figures(run) == (False, 1, 1, 0, 0, "higher", Handoff.STORE_TO_ERP)
    assert (run.untold, run.drift) == (1, Decimal(120)), "the third day is not settled: nothing follows of it"


def test_what_the_erp_has_of_the_day_points_to_the_connector(kulfi: Tenant) -> None:
    builders.customer(kulfi)
    sold(kulfi, "A1", "500.00")
    ended(kulfi, "620.00", bills=2)
    ordered(kulfi, "A1", "500.00")
    ordered(kulfi, "A2", "120.00")
    assert ran(policy(kulfi, Side.POS, Side.LEDGER)).handoff == Handoff.ERP_TO_CONNECTOR
    sold(kulfi, "A2", "120.00", net_amount="100.00")  # now it has come, and is set aside
    assert ran(policy(kulfi, Side.LEDGER, Side.POS)).handoff == Handoff.CONNECTOR_TO_LOYALTY


def test_day_ends_of_the_pos_against_the_erp(kulfi: Tenant) -> None:
    ended(kulfi, "620.00", bills=2)
    ordered(kulfi, "A1", "500.00")
    run = ran(policy(kulfi, Side.POS, Side.ERP))
    assert figures(run) == (False, 0, 1, 0, 0, "higher", Handoff.STORE_TO_ERP)
    ordered(kulfi, "A2", "120.00")
    assert ran(run.policy).ok


def test_up_to_the_tolerance_rows_agree(kulfi: Tenant) -> None:
    builders.customer(kulfi)
    sold(kulfi, "A1", "500.00")
    ordered(kulfi, "A1", "500.50")
    assert not ran(policy(kulfi, Side.ERP, Side.LEDGER)).ok
    ReconciliationPolicy.objects.update(tolerance="0.50")
    assert ran(ReconciliationPolicy.objects.get()).ok


@pytest.mark.xdist_group("feed")
def test_balances_of_the_crm_as_they_were_when_it_showed_them(committed: Tenant) -> None:
    """Meera had 50 when the CRM said so, and 57 now. Raj is lower there; a stranger is there only; Devi is not spoken of."""
    now = timezone.now()
    two_days_ago = (now - 2 * YESTERDAY).astimezone(UTC)
    meera, raj, devi = (builders.customer(committed, f"+91984000000{n}", name=f"C{n}") for n in (1, 2, 3))
    with clock_of_the_books() as turn:
        turn(two_days_ago - timedelta(hours=2))
        for customer, points in ((meera, 50), (raj, 20), (devi, 5)):
            builders.issue(committed, customer, points)
        turn(two_days_ago + timedelta(hours=1))
        builders.issue(committed, meera, 7)
    for mobile, points in ((meera.mobile, 50), (raj.mobile, 12), ("+919840000009", 4)):
        shown(committed, mobile, points, at=two_days_ago)
    run = ran(policy(committed, Side.LEDGER, Side.CRM))
    assert figures(run) == (False, 1, 1, 0, 1, "mixed", Handoff.LOYALTY_TO_REPORTS)
    assert (run.untold, run.left_sum, run.right_sum) == (1, Decimal(70), Decimal(66))
    assert [(row["customer"], row["left"], row["right"]) for row in run.rows] == [(raj.pk, "20", "12"), (None, None, "4")]
    assert "9840000009" not in json.dumps(run.rows), "no run keeps a stranger's number"
    shown(committed, meera.mobile, 57, at=now - timedelta(hours=36))
    assert ran(run.policy).agreed == 1
    found = Incident.objects.get(kind=IncidentKind.DRIFT)
    assert (found.customers, found.points, found.store) == (2, 4, None)


@pytest.mark.xdist_group("feed")
def test_the_ledger_against_clickhouse_as_of_yesterday(committed: Tenant) -> None:
    meera, raj = (builders.customer(committed, f"+91984000000{n}") for n in (1, 2))
    with clock_of_the_books() as turn:
        turn(timezone.now() - 2 * YESTERDAY)
        builders.issue(committed, meera, 50)
        builders.issue(committed, raj, 20)
    builders.issue(committed, raj, 9)  # today
    feed_all()
    of_balances = policy(committed, Side.LEDGER, Side.CLICKHOUSE)
    run = ran(of_balances)
    assert (run.ok, run.agreed, run.left_sum) == (True, 2, Decimal(70))
    damage(committed, "ALTER TABLE entries UPDATE available = 51 WHERE tenant_id = {tenant:UInt64} AND available = 50")
    run = ran(of_balances)
    assert figures(run) == (False, 1, 1, 0, 0, "lower", Handoff.LOYALTY_TO_REPORTS)
    assert [(row["customer"], row["difference"]) for row in run.rows] == [(meera.pk, "-1")]


@pytest.mark.xdist_group("feed")
@pytest.mark.parametrize(("left", "right"), [(Side.ERP, Side.CLICKHOUSE), (Side.CLICKHOUSE, Side.ERP)])
def test_orders_against_clickhouse_say_whether_the_ledger_has_them(committed: Tenant, left: Side, right: Side) -> None:
    builders.customer(committed)
    sold(committed, "A1")
    ordered(committed, "A1")
    feed_all()
    of_bills = policy(committed, left, right)
    assert ran(of_bills).ok
    damage(committed, "DELETE FROM bills WHERE tenant_id = {tenant:UInt64}")
    run = ran(of_bills)
    assert (run.off, run.handoff) == (1, Handoff.LOYALTY_TO_REPORTS), "the ledger has it"
    ordered(committed, "A2")
    assert ran(of_bills).handoff == Handoff.ERP_TO_CONNECTOR, "the ledger lacks one, too"


@pytest.mark.xdist_group("feed")
def test_day_ends_against_clickhouse(committed: Tenant) -> None:
    """A sale that was cancelled on another day stays in the day-end of its own."""
    builders.customer(committed)
    sold(committed, "A1", "400.00", days=2)
    sold(committed, "A2", "100.00", days=2)
    day = timezone.now().astimezone(committed.zone) - YESTERDAY
    builders.deliver(committed, cancelled("C1", "A1", bill_date=day.isoformat()))
    ended(committed, "500.00", bills=2, days=2)
    feed_all()
    assert ran(policy(committed, Side.POS, Side.CLICKHOUSE)).ok
    assert ran(policy(committed, Side.POS, Side.LEDGER)).ok


# Policies, incidents, the timetable


@pytest.mark.parametrize(("left", "right"), [(Side.POS, Side.CRM), (Side.ERP, Side.CRM), (Side.CLICKHOUSE, Side.CRM)])
def test_sides_that_say_nothing_of_the_same_are_refused(kulfi: Tenant, left: Side, right: Side) -> None:
    with pytest.raises(DomainError, match="nothing of the same"):
        runs.ask(policy(kulfi, left, right), asked_by="x", now=timezone.now())


def test_a_drift_opens_one_incident_and_agreement_closes_it(kulfi: Tenant) -> None:
    builders.customer(kulfi)
    of_bills = policy(kulfi, Side.ERP, Side.LEDGER)
    sold(kulfi, "A1")
    ran(of_bills)
    ran(of_bills)
    found = Incident.objects.get()
    assert (found.kind, found.bills, found.closed_at) == (IncidentKind.DRIFT, 1, None)
    assert found.message == "erp and ledger: ERP orders and the ledger do not agree on one row."
    ordered(kulfi, "A1")
    ran(of_bills)
    found.refresh_from_db()
    assert found.closed_by == runs.BY_ITSELF
    sold(kulfi, "A2")
    ran(of_bills)
    assert Incident.objects.filter(closed_at=None).count() == 1


def test_it_runs_once_a_day_at_its_hour_by_the_brands_clock(kulfi: Tenant) -> None:
    of_bills = policy(kulfi, Side.ERP, Side.LEDGER, hour=6)
    policy(kulfi, Side.POS, Side.LEDGER, is_active=False)
    before, after = (datetime(2026, 3, 10, hour, 30, tzinfo=kulfi.zone) for hour in (5, 6))
    assert runs.ask_due(kulfi, now=before) == 0
    assert runs.ask_due(kulfi, now=after) == 1
    assert runs.ask_due(kulfi, now=after + timedelta(hours=5)) == 0
    run = ReconciliationRun.objects.get()
    assert (run.policy, str(run.since), str(run.until), run.by_itself) == (of_bills, "2026-03-03", "2026-03-09", True)
    assert run.as_of.astimezone(kulfi.zone).isoformat() == "2026-03-09T23:59:59.999999+05:30"
    assert runs.work_on(run)
    assert runs.ask_due(kulfi, now=after + YESTERDAY) == 1


def test_a_run_that_failed_is_tried_again_thrice_a_day_and_told(kulfi: Tenant) -> None:
    policy(kulfi, Side.ERP, Side.LEDGER, hour=6)
    at = datetime(2026, 3, 10, 6, 30, tzinfo=kulfi.zone)

    def fail(now: datetime) -> int:
        asked = runs.ask_due(kulfi, now=now)
        ReconciliationRun.objects.filter(state=RunState.WAITING).update(state=RunState.FAILED, ended_at=now)
        return asked

    hours = (0, 0.5, 1, 2, 4, 8, 24)
    assert [fail(at + timedelta(hours=each)) for each in hours] == [1, 0, 1, 1, 0, 0, 1]
    monitoring.watch(now=at)
    alarm = Alarm.objects.get()
    assert (alarm.code, alarm.since, alarm.count) == ("compare", at, 1)
    ran(ReconciliationPolicy.objects.get())
    monitoring.watch(now=at)
    monitoring.watch(now=at + monitoring.QUIET)
    assert Alarm.objects.get().ended_at == at


def test_days_that_are_not_over_in_the_westernmost_store_are_not_compared(kulfi: Tenant) -> None:
    Store.objects.create(tenant=kulfi, code="NY", timezone="America/New_York")
    of_bills = policy(kulfi, Side.ERP, Side.LEDGER)
    morning = datetime(2026, 3, 10, 6, 30, tzinfo=kulfi.zone)
    assert str(runs.ask(of_bills, asked_by="x", now=morning).until) == "2026-03-08"
    ReconciliationRun.objects.update(state=RunState.DONE)
    assert str(runs.ask(of_bills, asked_by="x", now=morning + timedelta(hours=4)).until) == "2026-03-09"


def test_two_who_ask_at_once_get_the_same_run(committed: Tenant) -> None:
    of_bills = policy(committed, Side.ERP, Side.LEDGER)

    def ask(_: int) -> int:
        try:
            with scope(tenant=committed):
                return runs.ask(of_bills, asked_by="x", now=timezone.now()).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as people:
        assert len(set(people.map(ask, range(8)))) == 1


def test_the_worker_does_what_is_due_and_goes_on_with_what_was_killed(kulfi: Tenant) -> None:
    of_bills = policy(kulfi, Side.ERP, Side.LEDGER, hour=0)
    killed = runs.ask(policy(kulfi, Side.POS, Side.LEDGER, is_active=False), asked_by="x", now=timezone.now())
    ReconciliationRun.objects.update(state=RunState.RUNNING)
    reconcile()
    assert set(ReconciliationRun.objects.values_list("policy_id", "state")) == {
        (of_bills.pk, RunState.DONE), (killed.policy_id, RunState.DONE),
    }  # fmt: skip


def test_by_command(kulfi: Tenant) -> None:
    builders.customer(kulfi)
    policy(kulfi, Side.ERP, Side.LEDGER)
    sold(kulfi, "A1")
    out = StringIO()
    call_command("reconcile", "--tenant", kulfi.slug, "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["ok"], told["runs"][0]["off"], told["runs"][0]["handoff"]) == (False, 1, 1)
    with pytest.raises(CommandError, match="No such policy"):
        call_command("reconcile", "--tenant", kulfi.slug, "--policy", "none", "--json")


# The pages


def test_the_page_says_what_differs_and_where_that_points_to(as_alice: Client, kulfi: Tenant) -> None:
    builders.customer(kulfi)
    of_bills = policy(kulfi, Side.ERP, Side.LEDGER)
    where = reverse("admin:reconciliation", args=[of_bills.pk])
    assert "It has not run yet" in as_alice.get(where).content.decode()
    sold(kulfi, "A1")
    answer = as_alice.post(reverse("admin:reconcile_now", args=[of_bills.pk]), follow=True)
    assert "being compared" in answer.content.decode()
    reconcile()
    page = " ".join(as_alice.get(where).content.decode().split())
    for words in ("They do not agree on 1 row", "Only in the ledger", "handoff 1", "store → ERP", "A1", "Open incident"):
        assert words in page, words
    assert AuditEvent.objects.filter(action="reconcile_now").exists()
    file = as_alice.post(reverse("admin:reconciliation_csv", args=[of_bills.pk])).getvalue().decode("utf-8-sig").splitlines()
    assert file == ["store,bill_no,erp,ledger,difference", "K1,A1,,1000,-1000"]
    listed = as_alice.get(reverse("admin:integrations_reconciliationpolicy_changelist")).content.decode()
    assert "differs" in listed
    assert of_bills.name in listed
    incident = Incident.objects.get()
    assert as_alice.get(reverse("admin:incident", args=[incident.pk]))["Location"] == where
    as_alice.post(reverse("admin:close_incident", args=[incident.pk]), {"reason": "known"})
    incident.refresh_from_db()
    assert incident.closed_at is not None
    assert "Two sides" not in as_alice.get(reverse("admin:index")).content.decode()


def test_a_policy_is_made_in_the_admin_and_wrong_ones_are_refused(as_alice: Client, kulfi: Tenant) -> None:
    where = reverse("admin:integrations_reconciliationpolicy_add")
    form = {
        "name": "CRM",
        "left": "pos",
        "right": "crm",
        "first_day": 1,
        "last_day": 7,
        "tolerance": 0,
        "hour": 6,
        "is_active": "on",
    }
    refused = as_alice.post(where, form).content.decode()
    assert "say nothing of the same" in refused
    assert "The first day is after the last" in refused
    as_alice.post(where, form | {"left": "ledger", "first_day": 7, "last_day": 1})
    row = ReconciliationPolicy.objects.get()
    assert (row.left, row.right, row.tenant) == ("ledger", "crm", kulfi)
    edit = reverse("admin:integrations_reconciliationpolicy_change", args=[row.pk])
    assert as_alice.get(edit)["Location"] == reverse("admin:reconciliation", args=[row.pk])
    assert as_alice.get(f"{edit}?edit=1").status_code == 200
    assert as_alice.post(edit, form | {"left": "ledger", "first_day": 9, "last_day": 1}).status_code == 302
    row.refresh_from_db()
    assert row.first_day == 9


@pytest.mark.parametrize(
    ("role", "sees", "runs_it"), [("agent", 403, 403), ("merchant", 200, 403), ("auditor", 200, 403), ("integrator", 200, 302)]
)
def test_who_may_look_and_who_may_run(kulfi: Tenant, role: str, sees: int, runs_it: int) -> None:
    person, _ = staff.create_staff(kulfi, email=f"{role}@kulfi.example", role=role, name=role, actor=SYSTEM)
    client, of_bills = signed_in(person), policy(kulfi, Side.ERP, Side.LEDGER)
    assert client.get(reverse("admin:reconciliation", args=[of_bills.pk])).status_code == sees
    assert client.post(reverse("admin:reconcile_now", args=[of_bills.pk])).status_code == runs_it
    assert client.get(reverse("admin:integrations_reconciliationpolicy_add")).status_code == (200 if runs_it == 302 else 403)


def test_another_brands_policy_is_not_there(as_alice: Client, liberty: Tenant) -> None:
    with scope(tenant=liberty):
        theirs = policy(liberty, Side.ERP, Side.LEDGER)
    assert as_alice.get(reverse("admin:reconciliation", args=[theirs.pk])).status_code == 404
    for name in ("reconcile_now", "reconciliation_csv"):
        assert as_alice.post(reverse(f"admin:{name}", args=[theirs.pk])).status_code == 404


# What a review found


@pytest.mark.xdist_group("feed")
def test_a_voided_and_returned_sale_is_settled_in_clickhouse_too(committed: Tenant) -> None:
    builders.customer(committed)
    sold(committed, "A1")
    ordered(committed, "A1", state="voided")
    builders.deliver(committed, returned("R1", "A1", "1000.00"))
    feed_all()
    assert ran(policy(committed, Side.ERP, Side.CLICKHOUSE)).ok


def test_an_order_that_was_entered_anew_counts_although_something_came_back(kulfi: Tenant) -> None:
    builders.customer(kulfi)
    sold(kulfi, "A1")
    ordered(kulfi, "A1", state="voided")
    builders.deliver(kulfi, returned("R1", "A1", "1000.00"))
    at = (timezone.now().astimezone(kulfi.zone) - YESTERDAY).replace(hour=13)
    witnesses.take_orders(
        kulfi, [(0, witnesses.Order("SO-2", "K1", "A1", "", Decimal(1000), "confirmed", at))], now=timezone.now()
    )
    assert ran(policy(kulfi, Side.ERP, Side.LEDGER)).ok


def test_bills_that_came_with_another_amount_have_not_been_lost_by_the_connector(kulfi: Tenant) -> None:
    builders.customer(kulfi)
    sold(kulfi, "A1", "900.00")
    ordered(kulfi, "A1", "1000.00")
    assert ran(policy(kulfi, Side.ERP, Side.LEDGER)).handoff == Handoff.CONNECTOR_TO_LOYALTY


def test_the_crm_is_asked_for_the_number_that_the_customer_has_now(kulfi: Tenant) -> None:
    """One export speaks of a customer twice, by the old number and by the new one."""
    meera = builders.customer(kulfi)
    at = timezone.now() - timedelta(hours=36)
    for mobile, points in ((meera.mobile, 0), ("+919840000009", 350)):
        shown(kulfi, mobile, points, at=at)
    CrmBalance.objects.filter(mobile="+919840000009").update(customer=meera)
    assert ran(policy(kulfi, Side.LEDGER, Side.CRM)).ok


def test_a_run_that_cannot_be_made_ends_and_says_why(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.ask(policy(kulfi, Side.ERP, Side.LEDGER), asked_by="x", now=timezone.now())

    def out_of_order(*args: Any, **kwargs: Any) -> None:
        raise ValueError("rows out of order")

    monkeypatch.setattr(runs, "match", out_of_order)
    assert runs.work_on(run)
    run.refresh_from_db()
    assert (run.state, run.note) == (RunState.FAILED, "ValueError: rows out of order")


def test_an_agent_is_not_shown_what_the_agent_may_not_open(kulfi: Tenant, as_bob: Client, as_alice: Client) -> None:
    builders.customer(kulfi)
    sold(kulfi, "A1")
    ran(policy(kulfi, Side.ERP, Side.LEDGER))
    for name in ("admin:index", "admin:integrations_incident_changelist"):
        assert "do not agree on" in as_alice.get(reverse(name)).content.decode()
        assert "do not agree on" not in as_bob.get(reverse(name)).content.decode()


def test_the_sides_of_a_policy_stay(as_alice: Client, kulfi: Tenant) -> None:
    row = policy(kulfi, Side.ERP, Side.LEDGER)
    edit = reverse("admin:integrations_reconciliationpolicy_change", args=[row.pk])
    form = {"name": "x", "left": "ledger", "right": "crm", "first_day": 7, "last_day": 1, "tolerance": 0, "hour": 6}
    assert as_alice.post(edit, form).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.left, row.right) == ("x", Side.ERP, Side.LEDGER)


def test_where_nothing_could_be_compared_no_verdict_is_given(as_alice: Client, kulfi: Tenant) -> None:
    builders.customer(kulfi, points=5)
    of_crm = policy(kulfi, Side.LEDGER, Side.CRM)
    run = ran(of_crm)
    assert (run.ok, run.compared_nothing) == (True, True)
    page = as_alice.get(reverse("admin:reconciliation", args=[of_crm.pk])).content.decode()
    assert "nothing to compare" in page
    assert "agrees" not in page.partition('id="reconciliation"')[2]
    listed = as_alice.get(reverse("admin:integrations_reconciliationpolicy_changelist")).content.decode()
    assert "nothing to compare" in listed
