"""Deliveries booked again: counted, tried without effect, run once."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_scopes import scope

from integrations import inbox, replay
from integrations.decisions import Decision, decide
from integrations.models import Bill, Delivery, Incident, Replay, ReplayState, Source
from integrations.replay import choose, run, try_it
from integrations.tasks import continue_replays, work_on_replay
from loyalty.models import Balance, Customer, Entry, Hold, ProgrammeVersion
from tenants.actors import SYSTEM, Actor, ActorKind
from tenants.errors import DomainError
from tenants.models import AuditEvent, ScheduledRun, Store, StoreAlias, Tenant
from tests import builders
from tests.builders import MEERA, balance, bill, deliver, discounted, paid_with_points, raw
from tests.integrations.test_returns import returned

INA = Actor(ActorKind.PERSON, 7, "ina@kulfi.example")


def chosen(tenant: Tenant, **filters: Any) -> Replay:
    return choose(tenant, filters=filters, reason="the till's mistake", actor=INA, per_second=0)


def replayed(tenant: Tenant, **filters: Any) -> Replay:
    return run(try_it(chosen(tenant, **filters), now=timezone.now()))


def push(tenant: Tenant, *documents: dict[str, Any], label: str) -> None:
    for document in documents:
        inbox.receive(tenant, raw(document), source=Source.BATCH, sender=SYSTEM, now=timezone.now(), repush=label)
    inbox.drain(tenant, now=timezone.now())


def meera_of(tenant: Tenant) -> Customer:
    found: Customer = Customer.objects.get(tenant=tenant, mobile=MEERA)
    return found


@pytest.mark.case(24, 38)
def test_807_bills_pushed_again_with_their_redemptions(kulfi: Tenant) -> None:
    """Four weeks of bills came without the points they had redeemed; the vendor pushes all of them again, in one batch."""
    people = [f"+9198400{number:05d}" for number in range(200)]
    for mobile in people:
        builders.customer(kulfi, mobile, points=200)
    start = timezone.now() - timedelta(days=28)
    holds: dict[int, Hold] = {}
    wrong, right = [], []
    for number in range(807):
        mobile, at = people[number % len(people)], (start + timedelta(minutes=50 * number)).isoformat()
        spends = number % 3 == 0
        if spends:
            customer = Customer.objects.get(mobile=mobile)
            holds[number] = builders.hold(
                kulfi, customer, 20, reference=f"SB-{number}", at=start + timedelta(minutes=50 * number)
            )
        shared = {"mobile": mobile, "net": "560.00", "bill_date": at, "store": "K1"}
        wrong.append(bill(f"W{number}", **shared))
        right.append(
            paid_with_points(f"W{number}", 20, reference=f"SB-{number}", **shared)
            if spends
            else bill(f"W{number}", **shared) | {"till_code": "T1"}
        )
    deliver(kulfi, *wrong)
    assert Balance.objects.get(customer__mobile=people[0]).held > 0

    push(kulfi, *right, label="four weeks")
    assert Delivery.objects.filter(state="conflict").count() == 807
    before = {row.customer_id: (row.available, row.held) for row in Balance.objects.all()}

    asked = chosen(kulfi, repush="four weeks")
    assert (asked.total, asked.state) == (807, "chosen")
    tried = try_it(asked, now=timezone.now())
    assert tried.effect["outcomes"] == {"applied": 807}
    assert {row.customer_id: (row.available, row.held) for row in Balance.objects.all()} == before, "a dry run has no effect"
    assert not Entry.objects.filter(of_kind="earn").exists()

    done = run(tried)
    assert (done.state, done.done, done.counts) == ("done", 807, {"applied": 807})
    for each in tried.effect["customers"]:
        row = Balance.objects.get(customer=each["customer"])
        assert (row.pending, row.available, row.held, row.owed) == tuple(
            each["after"][name] for name in ("pending", "available", "held", "owed")
        )
    for place, mobile in enumerate(people):
        mine = [number for number in range(807) if number % len(people) == place]
        spent = [number for number in mine if number % 3 == 0]
        points = 200 - 20 * len(spent) + 5 * len(mine)
        assert balance(Customer.objects.get(mobile=mobile)) == (0, points, 0, 0)
    assert {row.state for row in Hold.objects.all()} == {"captured"}
    assert Bill.objects.filter(superseded_at=None).count() == 807
    assert Delivery.objects.filter(state="reversed").count() == 807


def test_a_booked_bill_is_reversed_by_link_and_booked_by_the_rule_as_it_is_now(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"), bill("A2", mobile="+919840054321"))
    ProgrammeVersion.objects.update(earn_per=50)
    done = replayed(kulfi, states=["applied"])
    assert done.counts == {"applied": 2}
    assert balance(meera_of(kulfi)) == (0, 20, 0, 0)
    kinds = list(Entry.objects.filter(customer__mobile=MEERA).order_by("id").values_list("kind", "available", "actor_name"))
    assert kinds == [("earn", 10, "Pointdesk"), ("reversal", -10, INA.name), ("earn", 20, INA.name)]
    assert Entry.objects.latest("id").reason == f"Replay {done.pk}: the till's mistake"
    assert [event.action for event in AuditEvent.objects.filter(action__contains="replay").order_by("id")] == [
        "choose_replay", "run_replay",
    ]  # fmt: skip


def test_what_is_about_a_replayed_bill_follows_it_once(kulfi: Tenant) -> None:
    deliver(
        kulfi,
        bill("A1"),
        bill("R1", net="500.00", bill_type="RETURN", return_type="AMOUNT", mobile=None, original={"bill_no": "A1"}),
    )
    ProgrammeVersion.objects.update(earn_per=50)
    done = replayed(kulfi, all=True)
    assert balance(meera_of(kulfi)) == (0, 10, 0, 0)
    assert done.counts == {"applied": 2}
    assert done.rows.get(delivery__bill_no="R1").outcome == "applied"


def test_a_bill_that_no_longer_books_stays_as_it_was(kulfi: Tenant) -> None:
    builders.customer(kulfi, points=30)
    deliver(kulfi, discounted("A1", 30))
    ProgrammeVersion.objects.update(point_value=2)
    done = replayed(kulfi, states=["applied"])
    assert done.counts == {"kept": 1}
    row = done.rows.get()
    assert (row.outcome, row.check_name, row.delivery.state) == ("kept", "points_rate", "applied")
    assert balance(meera_of(kulfi)) == (0, 5, 0, 0)


@pytest.mark.case(26)
def test_quarantined_bills_are_tried_again_once_their_store_is_known(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1", store="IB04"), bill("A2"))

    StoreAlias.objects.create(tenant=kulfi, code="IB04", store=Store.objects.get(code="K1"))
    assert replayed(kulfi, check="store_unknown").counts == {"applied": 1}
    assert replayed(kulfi, store="K1", states=["applied"]).total == 2


def test_a_run_goes_on_where_it_was_and_stops_when_cancelled(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "CHUNK", 2)
    deliver(kulfi, *(bill(f"A{number}", mobile=f"+91984000{number:04d}") for number in range(6)))
    ProgrammeVersion.objects.update(earn_per=50)
    asked = try_it(chosen(kulfi, all=True), now=timezone.now())
    naps = iter([None, RuntimeError("killed")])

    def nap(_: float) -> None:
        if problem := next(naps, None):
            raise problem

    asked.per_second = 1000
    asked.save()
    with pytest.raises(RuntimeError):
        run(asked, sleep=nap)
    asked.refresh_from_db()
    assert (asked.state, asked.done) == ("running", 4)
    assert replay.work_on(asked, now=timezone.now())
    asked.refresh_from_db()
    assert (asked.state, asked.done, asked.counts) == ("done", 6, {"applied": 6})
    assert Entry.objects.filter(kind="earn").count() == 12
    with pytest.raises(DomainError, match="done"):
        replay.cancel(asked, actor=INA, now=timezone.now())

    again = try_it(chosen(kulfi, all=True), now=timezone.now())
    replay.cancel(again, actor=INA, now=timezone.now())
    with pytest.raises(DomainError, match="cancelled"):
        run(again)


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        ({}, "bad_value"),
        ({"colour": "red"}, "bad_value"),
        ({"states": ["duplicate"]}, "bad_value"),
        ({"repush": "none"}, "nothing_chosen"),
    ],
)
def test_filters_that_choose_nothing_are_refused(kulfi: Tenant, filters: dict[str, Any], code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        chosen(kulfi, **filters)
    assert refusal.value.code == code
    assert not Replay.objects.exists()


def test_a_replay_is_tried_before_it_is_run(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"))
    with pytest.raises(DomainError, match="Try it without effect first"):
        run(chosen(kulfi, all=True))


def test_the_worker_finds_replays_of_every_tenant_without_a_scope_of_its_own(liberty: Tenant) -> None:
    mobile = "+12125550123"
    with scope(tenant=liberty):
        deliver(liberty, bill("A1", mobile=mobile), bill("A2", mobile=mobile))
        asked, killed = chosen(liberty, all=True), chosen(liberty, all=True)
        replay.ask(asked, ReplayState.TRYING, actor=SYSTEM)
        replay.ask(killed, ReplayState.TRYING, actor=SYSTEM)
    work_on_replay(asked.pk)
    continue_replays()
    with scope(tenant=liberty):
        assert {row.state for row in Replay.objects.all()} == {"tried"}


def test_a_bill_whose_store_reads_otherwise_today_moves_and_leaves_no_twin(kulfi: Tenant) -> None:
    alias = StoreAlias.objects.create(tenant=kulfi, code="IB04", store=Store.objects.get(code="K1"))
    deliver(kulfi, bill("A1", store="IB04"))
    alias.store = Store.objects.get(code="K2")
    alias.save()
    assert replayed(kulfi, all=True).counts == {"applied": 1}
    assert [row.store.code for row in Bill.objects.filter(superseded_at=None)] == ["K2"]
    assert balance(meera_of(kulfi)) == (0, 10, 0, 0)


def test_a_place_that_another_bill_has_is_not_taken_from_it(kulfi: Tenant) -> None:
    alias = StoreAlias.objects.create(tenant=kulfi, code="IB04", store=Store.objects.get(code="K1"))
    first, _ = deliver(kulfi, bill("A1", store="IB04"), bill("A1", store="K2", net="500.00"))
    alias.store = Store.objects.get(code="K2")
    alias.save()
    row = replayed(kulfi, ids=[first.pk])
    assert (row.counts, row.rows.get().check_name) == ({"kept": 1}, "place_taken")
    assert Bill.objects.filter(superseded_at=None).count() == 2
    assert balance(meera_of(kulfi)) == (0, 15, 0, 0)


POISON = """
    CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation; END $$;
    CREATE TRIGGER poison BEFORE INSERT ON integrations_bill FOR EACH ROW WHEN (NEW.bill_no = 'A2') EXECUTE FUNCTION pg_temp.refuse()
"""


def test_a_row_that_nobody_foresaw_stops_no_other(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"), bill("A2"), bill("A3"))
    with connection.cursor() as cursor:
        cursor.execute(POISON)
    row = try_it(chosen(kulfi, all=True), now=timezone.now())
    assert row.effect["outcomes"] == {"applied": 2, "failed": 1}
    assert run(row).counts == {"applied": 2, "failed": 1}
    assert (row.state, row.done) == ("done", 3)
    assert balance(meera_of(kulfi)) == (0, 30, 0, 0)


def test_a_replay_that_is_cancelled_meanwhile_stays_cancelled(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(kulfi, bill("A1"))
    row, chunk = chosen(kulfi, all=True), replay._try_chunk

    def cancelled_in_the_midst(*arguments: Any, **more: Any) -> Any:
        replay.cancel(row, actor=INA, now=timezone.now())
        return chunk(*arguments, **more)

    monkeypatch.setattr(replay, "_try_chunk", cancelled_in_the_midst)
    assert (try_it(row, now=timezone.now()).state, row.effect) == ("cancelled", {})
    assert not AuditEvent.objects.filter(action="run_replay").exists()


def test_a_replay_that_cannot_go_on_stops_no_other(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(kulfi, bill("A1"))
    broken, fine, work_on = chosen(kulfi, all=True), chosen(kulfi, all=True), replay.work_on
    for row in (broken, fine):
        replay.ask(row, ReplayState.TRYING, actor=INA)

    def stops(row: Replay, **more: Any) -> bool:
        if row.pk == broken.pk:
            raise RuntimeError("the disk is full of +919840012345")
        return work_on(row, **more)

    monkeypatch.setattr(replay, "work_on", stops)
    continue_replays()
    fine.refresh_from_db()
    assert fine.state == "tried"
    told = ScheduledRun.objects.get(job="continue_replays")
    assert (told.done, told.failed, "98400" in str(vars(told))) == (1, 1, False)


@pytest.mark.case(26, 37, 38)
def test_a_return_that_no_longer_fits_its_replayed_sale_says_so(kulfi: Tenant) -> None:
    """It was undone with its sale: it stands no more, and is never reported as if it did."""
    alias = StoreAlias.objects.create(tenant=kulfi, code="IB05", store=Store.objects.get(code="K1"))
    deliver(kulfi, bill("A1"), returned("R1", "A1", "400.00", store="IB05"))
    assert balance(meera_of(kulfi)) == (0, 6, 0, 0)
    alias.delete()
    row = chosen(kulfi, all=True)
    assert try_it(row, now=timezone.now()).effect["refused"][0]["check"] == "store_unknown"
    assert run(row).counts == {"applied": 1, "quarantined": 1}
    stuck = Delivery.objects.get(bill_no="R1")
    assert (stuck.state, stuck.check_name, balance(meera_of(kulfi))) == ("quarantined", "store_unknown", (0, 10, 0, 0))
    StoreAlias.objects.create(tenant=kulfi, code="IB05", store=Store.objects.get(code="K1"))
    assert replayed(kulfi, states=["quarantined"]).counts == {"applied": 1}
    assert balance(meera_of(kulfi)) == (0, 6, 0, 0)


@pytest.mark.case(32, 38)
def test_a_return_that_a_person_has_linked_follows_its_sale_to_another_place(kulfi: Tenant) -> None:
    alias = StoreAlias.objects.create(tenant=kulfi, code="IB05", store=Store.objects.get(code="K1"))
    deliver(kulfi, bill("A1", store="IB05"))
    (stuck,) = deliver(kulfi, returned("R1", "", "400.00", mobile=MEERA, original=None))
    decide(kulfi, stuck.pk, Decision.LINK, reason="it is A1", actor=SYSTEM, now=timezone.now(), original=Bill.objects.get().pk)
    inbox.drain(kulfi, now=timezone.now())
    for code in ("K2", "K1"):
        StoreAlias.objects.filter(pk=alias.pk).update(store=Store.objects.get(code=code))
        assert replayed(kulfi, all=True).counts == {"applied": 2}
        assert balance(meera_of(kulfi)) == (0, 6, 0, 0)
    assert replayed(kulfi, ids=[stuck.pk]).counts == {"applied": 1}


@pytest.mark.case(53)
def test_a_bill_that_is_booked_anew_is_one_bill_of_its_incident(kulfi: Tenant) -> None:
    builders.customer(kulfi, points=100)
    deliver(kulfi, discounted("A1", 10))
    for _ in range(2):
        replayed(kulfi, all=True)
    deliver(kulfi, discounted("A2", 5))
    incident = Incident.objects.get()
    assert (incident.bills, incident.points) == (2, 15)


def test_what_a_replay_posts_is_the_doing_of_who_pressed_run(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"))
    mia = Actor(ActorKind.PERSON, 8, "mia@kulfi.example")
    row = try_it(chosen(kulfi, all=True), now=timezone.now())
    replay.ask(row, ReplayState.RUNNING, actor=mia)
    replay.work_on(row, now=timezone.now())
    assert set(Entry.objects.exclude(actor_kind="system").values_list("actor_name", flat=True)) == {mia.name}
    assert AuditEvent.objects.get(action="choose_replay").actor_name != mia.name
