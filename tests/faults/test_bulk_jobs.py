"""Bulk jobs under fire: workers killed, PostgreSQL stopped, bills, holds and spending in between. Nobody is done twice, nobody is left out.

Workers are real processes. What it cost (holds, chunks, files) is printed: `pytest -n 0 -s`.
"""

import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, close_old_connections, connection, transaction
from django.db.models import F
from django.utils import timezone
from django_scopes import scope, scopes_disabled
from psycopg.conninfo import conninfo_to_dict

from config.bench.books import ADJUST_CHAIN, CUSTOMERS
from config.engines.places import Places
from config.engines.postgresql import PostgreSQL
from integrations import inbox
from integrations.models import Delivery, Source
from loyalty import holds, operations
from loyalty.audit import audit_ledger
from loyalty.models import Balance, Customer, Entry
from support.bulk import choice, jobs, running
from support.bulk.jobs import File, Select, Wanted
from support.bulk.models import BulkJob, JobBlock, JobState, Outcome
from support.bulk.progress import progress
from tenants import staff
from tenants.access import Access
from tenants.actors import SYSTEM
from tenants.counters import redis_breaker
from tenants.errors import DomainError
from tenants.models import Store, Tenant, User
from tests.builders import bill, raw
from tests.bulk.conftest import access_of
from tests.conftest import make_tenant
from tests.flows.test_races import at_once
from tests.tenants.test_uploads import DTD, HOSTILE, _with_row, changed, xlsx

#: Their open writes hold the feed of the whole cluster back: never beside the feed's own tests.
pytestmark = [pytest.mark.timeout(280), pytest.mark.xdist_group("feed")]
#: Customers of the job whose workers are killed, and of the one beside which tills go on.
MANY, BESIDE = 20_000, 8_000
POINTS = 100
FORK = multiprocessing.get_context("fork")
FACTS = """
    WITH blocks AS (SELECT * FROM support_jobblock WHERE job_id = %(job)s AND number >= 0), rows AS (
        SELECT r.* FROM blocks k CROSS JOIN LATERAL unnest(k.customers, k.operations, k.moved) AS r (customer_id, operation, moved)
    )
    SELECT (SELECT state FROM support_bulkjob WHERE id = %(job)s) AS state,
        (SELECT chosen FROM support_bulkjob WHERE id = %(job)s) AS chosen,
        (SELECT coalesce(sum(settled), 0) FROM blocks)::int AS settled, (SELECT coalesce(sum(done), 0) FROM blocks)::int AS done,
        (SELECT coalesce(sum(skipped), 0) FROM blocks)::int AS skipped, (SELECT coalesce(sum(failed), 0) FROM blocks)::int AS failed,
        (SELECT count(DISTINCT (customer_id, operation)) FROM loyalty_entry WHERE job_id = %(job)s) AS acts,
        (SELECT count(DISTINCT customer_id) FROM loyalty_entry WHERE job_id = %(job)s) AS customers,
        (SELECT count(*) FROM rows r WHERE r.operation <> 0 AND NOT EXISTS (SELECT FROM loyalty_entry e
            WHERE e.id = r.operation AND e.operation = r.operation AND e.customer_id = r.customer_id AND e.job_id = %(job)s)) AS astray
"""


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def crowd(tenant: Tenant, count: int, *, points: int = POINTS) -> list[int]:
    """So many customers of the tier `mine`, each with points, written set-wise. -> their ids."""
    today = timezone.now().astimezone(tenant.zone).date()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CUSTOMERS, {"tenant": tenant.pk, "count": count, "series": "71"})
        ids = sorted(row[0] for row in cursor.fetchall())
        cursor.execute("UPDATE loyalty_customer SET tier = 'mine' WHERE tenant_id = %s", [tenant.pk])
        if points:
            values = {"first": ids[0], "last": ids[-1], "today": today, "expires": today + timedelta(days=365), "points": points}
            cursor.execute(ADJUST_CHAIN, values | {"tenant": tenant.pk, "key": "seeded:"})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE loyalty_customer, loyalty_balance, loyalty_entry, loyalty_lot, loyalty_entrylot")
    return ids


def boss(tenant: Tenant) -> Access:
    user: User = staff.create_staff(tenant, email=f"boss@{tenant.slug}.example", role="admin", name="Boss", actor=SYSTEM)[0]
    return access_of(user, tenant)


def started(access: Access, points: int, *, key: str = "job") -> BulkJob:
    """A job that gives everybody so many points, confirmed."""
    wanted = Wanted("adjust", points=points, reason="for a test")
    job, _ = jobs.create(access, wanted, Select(filter={"tier": "mine"}), key=key, now=timezone.now())
    return jobs.confirm(job.pk, access=access, now=timezone.now())


def fresh(pk: int) -> BulkJob:
    found: BulkJob = BulkJob.objects.select_related("tenant", "bonus", "of_job").defer("body").get(pk=pk)
    return found


def facts(job: int) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(FACTS, {"job": job})
        return dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))


def all_once(count: int, *, skipped: int = 0) -> dict[str, Any]:
    """What the facts of a job are that has done everybody, and each of them once."""
    done = count - skipped
    return {
        "state": "done", "chosen": count, "settled": count, "done": done, "skipped": skipped, "failed": 0, "acts": done, "customers": done,
        "astray": 0,
    }  # fmt: skip


def sums(tenant: Tenant) -> tuple[int, int, int]:
    """(available, held, owed) of everybody together."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(available)::bigint, sum(held)::bigint, sum(owed)::bigint FROM loyalty_balance WHERE tenant_id = %s",
            [tenant.pk],
        )
        found: tuple[int, int, int] = cursor.fetchone()
        return found


def work(tenant: Tenant, pk: int) -> None:
    """A worker: it goes on while the job runs, and waits while it is paused."""
    with scope(tenant=tenant):
        while not (job := fresh(pk)).has_ended:
            running.work_on(job)
            time.sleep(0.02)
    connection.close()


@contextmanager
def at_work(tenant: Tenant, *rows: BulkJob) -> Iterator[None]:
    """Two worker processes for each job, until it has ended."""
    connection.close()
    workers = [FORK.Process(target=work, args=(tenant, job.pk)) for job in rows for _ in range(jobs.WORKERS)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


def until(answer: Callable[[], Any], *, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer():
            return True
        time.sleep(0.01)
    return False


# Killed


class Cluster:
    """A PostgreSQL of its own with the tables of the test database, that may be stopped under everybody."""

    def __init__(self, folder: Path) -> None:
        self._engine = PostgreSQL(Places(folder))
        self._engine.start()
        self.url = self._engine.url
        ours = dict(connection.get_connection_params())
        binaries = self._engine._binaries()
        dump = [str(binaries / "pg_dump"), "--schema-only", "-h", ours["host"], "-U", ours["user"], ours["dbname"]]
        tables = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
        psql = [str(binaries / "psql"), "-q", "-v", "ON_ERROR_STOP=1", self.url]
        subprocess.run(psql, input=tables, text=True, check=True, stdout=subprocess.DEVNULL)

    def start(self, act: Callable[..., Any], *values: Any) -> Any:
        """A process here that does it."""
        process = FORK.Process(target=_elsewhere, args=(self.url, act, *values))
        process.start()
        return process

    def run(self, act: Callable[..., Any], *values: Any) -> Any:
        """-> what it says."""
        told = FORK.SimpleQueue()
        process = self.start(lambda: told.put(act(*values)))
        process.join()
        assert process.exitcode == 0
        return told.get()

    def immediate(self) -> None:
        """Stopped as by a crash, and started again."""
        assert self._engine.child.pid is not None
        os.kill(self._engine.child.pid, signal.SIGQUIT)
        assert until(lambda: not self._engine.child.alive())
        self._engine.start()

    def stop(self) -> None:
        self._engine.child.stop()


def _elsewhere(url: str, act: Callable[..., Any], *values: Any) -> None:
    parts = conninfo_to_dict(url)
    connection.settings_dict |= {"NAME": parts["dbname"], "USER": parts["user"], "HOST": parts["host"], "PORT": ""}
    redis_breaker.trip()  # its connections are our parent's
    with scopes_disabled():
        act(*values)


@pytest.fixture
def cluster(committed: Tenant) -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="pointdesk-bulk-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as a lesser user where we are root
        made = Cluster(Path(folder))
        connection.close()
        try:
            yield made
        finally:
            made.stop()


def a_job_of_many(count: int) -> int:
    tenant = make_tenant("many")
    with scope(tenant=tenant):
        crowd(tenant, count)
        return int(started(boss(tenant), 7).pk)


def as_a_worker_does(job: int) -> None:
    """Turn by turn, as Celery gives them; an engine that is away is asked again."""
    while True:
        try:
            if (row := fresh(job)).has_ended:
                return
            running.work_on(row)
        except (OperationalError, InterfaceError):
            time.sleep(0.1)
        close_old_connections()


def the_end(job: int) -> dict[str, Any]:
    report = audit_ledger()
    rich = Balance.objects.filter(available=POINTS + 7).count()
    return facts(job) | {"entries": Entry.objects.filter(job_id=job).count(), "rich": rich, "audited": report.ok}


@pytest.mark.case(83)
def test_a_job_whose_workers_and_database_are_killed_does_everybody_once(cluster: Cluster) -> None:
    seed = random.randrange(1_000_000)
    tell(f"seed {seed}")
    chance = random.Random(seed)
    job = cluster.run(a_job_of_many, MANY)
    moments = sorted(chance.uniform(0.03, 0.7) for _ in range(5))
    began, kills, seen = time.monotonic(), 0, []
    workers = [cluster.start(as_a_worker_does, job) for _ in range(jobs.WORKERS)]

    def settled() -> int:
        with psycopg.connect(cluster.url) as link:
            found = link.execute("SELECT sum(settled) FROM support_jobblock WHERE job_id = %s AND number >= 0", [job]).fetchone()
            return int(found[0]) if found else 0

    try:
        for place, moment in enumerate(moments):
            assert until(lambda moment=moment: settled() >= moment * MANY, seconds=120)  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.25))  # anywhere in a chunk
            seen.append(settled())
            if place == 2:
                cluster.immediate()
                continue
            for victim in range(jobs.WORKERS) if place == 3 else [chance.randrange(jobs.WORKERS)]:
                workers[victim].kill()
                workers[victim].join()
                kills += 1
                workers[victim] = cluster.start(as_a_worker_does, job)
        for worker in workers:
            worker.join(120)
        assert [worker.exitcode for worker in workers] == [0] * jobs.WORKERS
    finally:
        for worker in workers:
            worker.kill()
    tell(f"{MANY:,} customers, {kills} kills and a stopped database at {seen}: {time.monotonic() - began:.1f} s")
    assert seen[-1] < MANY, "it was over before the last kill"
    assert cluster.run(the_end, job) == all_once(MANY) | {"entries": MANY, "rich": MANY, "audited": True}


@pytest.mark.case(83)
@pytest.mark.parametrize(("point", "settled"), [("bulk_before_commit", 0), ("bulk_after_commit", running.CHUNK_FIRST)])
def test_a_worker_that_dies_beside_its_commit_loses_and_doubles_nothing(
    committed: Tenant, monkeypatch: pytest.MonkeyPatch, point: str, settled: int
) -> None:
    crowd(committed, 600)
    job = started(boss(committed), 7)
    connection.close()
    with monkeypatch.context() as patched:
        patched.setattr(running, "_fitted", {})  # a worker that has just begun
        patched.setenv("CRASH_AT", point)
        killed = FORK.Process(target=work, args=(committed, job.pk))
        killed.start()
    killed.join()
    assert killed.exitcode == 137
    assert (facts(job.pk)["settled"], facts(job.pk)["acts"]) == (settled, settled)
    work(committed, job.pk)
    assert facts(job.pk) == all_once(600)
    assert sums(committed) == (600 * (POINTS + 7), 0, 0)


# Beside others


def small_blocks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """So that two workers have something to do each."""
    monkeypatch.setattr(choice, "BLOCK", size)


def turned_round(job: BulkJob) -> None:
    """The last customer first: a choice is frozen in the order of ids, and whatever order it had, nobody may meet a deadlock."""
    with connection.cursor() as cursor:
        for column in ("customers", "versions", "available", "owed"):
            cursor.execute(
                f"UPDATE support_jobblock SET {column} = (SELECT array_agg(v ORDER BY n DESC) FROM unnest({column}) WITH ORDINALITY r (v, n)) "
                "WHERE job_id = %s",
                [job.pk],
            )
        cursor.execute("UPDATE support_jobblock SET number = 1000000 - number WHERE job_id = %s", [job.pk])


@pytest.mark.case(83)
def test_two_jobs_in_opposite_order_and_the_bills_of_the_same_customers(
    committed: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch, 500)
    ids = crowd(committed, 4000)
    access = boss(committed)
    up, down = started(access, 7, key="up"), started(access, -3, key="down")
    turned_round(down)
    mobiles = list(Customer.objects.filter(pk__in=ids).order_by("-pk").values_list("mobile", flat=True)[::10])
    with transaction.atomic():
        for number, mobile in enumerate(mobiles):
            body = raw(bill(f"A{number}", net="1000.00", mobile=mobile))
            inbox.receive(committed, body, source=Source.API, sender=SYSTEM, now=timezone.now())
    with at_work(committed, up, down):
        found = at_once(committed, [lambda: inbox.process(committed, now=timezone.now(), rows_max=40)] * 12, threads=2)
    inbox.drain(committed, now=timezone.now())
    assert not [each for each in found if isinstance(each, Exception)]
    assert facts(up.pk) == facts(down.pk) == all_once(4000)
    assert Counter(Delivery.objects.values_list("state", flat=True)) == {"applied": len(mobiles)}
    assert sums(committed) == (4000 * (POINTS + 7 - 3) + 10 * len(mobiles), 0, 0)


def test_tills_go_on_beside_a_job(committed: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their holds wait for a chunk at most; how long both take is printed."""
    ids = crowd(committed, BESIDE)
    job = started(boss(committed), 1)
    store = Store.objects.get(code="K1")
    chunks: Any = FORK.SimpleQueue()
    real = running._chunk

    def timed(*args: Any, **named: Any) -> Any:
        began = time.perf_counter()
        rows = real(*args, **named)
        if rows:
            chunks.put((time.perf_counter() - began, rows))
        return rows

    monkeypatch.setattr(running, "_chunk", timed)
    chance = random.Random(4)
    waits: list[float] = []
    told: list[tuple[float, int]] = []
    with at_work(committed, job):
        while BulkJob.objects.values_list("state", flat=True).get(pk=job.pk) == JobState.RUNNING:
            began = time.perf_counter()
            holds.place_hold(
                committed, chance.choice(ids), points=5, reference=f"SB-{len(waits)}", store=store, bill_no="", at=None, actor=SYSTEM,
                now=timezone.now(),
            )  # fmt: skip
            waits.append(time.perf_counter() - began)
            while not chunks.empty():
                told.append(chunks.get())
    while not chunks.empty():
        told.append(chunks.get())
    _say("holds", waits)
    _say("chunks", [seconds for seconds, _ in told], [rows for _, rows in told])
    assert sum(rows for _, rows in told) == BESIDE
    assert len(waits) > 20
    assert facts(job.pk) == all_once(BESIDE)
    assert sums(committed) == (BESIDE * (POINTS + 1) - 5 * len(waits), 5 * len(waits), 0)
    assert not Balance.objects.exclude(available=POINTS + 1 - F("held")).exists()


def _say(what: str, seconds: list[float], rows: list[int] | None = None) -> None:
    cut = statistics.quantiles(seconds, n=100) if len(seconds) > 1 else seconds * 99
    sizes = f", {min(rows)} to {max(rows)} rows, {statistics.mean(rows):.0f} on average" if rows else ""
    figures = (
        f"p50 {cut[49] * 1000:.0f} ms, p95 {cut[94] * 1000:.0f} ms, p99 {cut[98] * 1000:.0f} ms, max {max(seconds) * 1000:.0f} ms"
    )
    tell(f"{len(seconds)} {what}: {figures}{sizes}")


# Stopped


def settled_after_the_answer(tenant: Tenant, *, rounds: int) -> list[int]:
    """How many customers were settled after each of so many pauses had answered."""
    crowd(tenant, 40_000, points=0)
    access = boss(tenant)
    job, late = started(access, 7), []
    with at_work(tenant, job):
        try:
            for _ in range(rounds):
                before = progress(job).settled
                assert until(lambda before=before: progress(job).settled > before)  # type: ignore[misc]
                time.sleep(random.uniform(0, 0.2))
                jobs.pause(job.pk, access=access, now=timezone.now())
                answered = progress(job).settled
                time.sleep(0.6)
                late.append(progress(job).settled - answered)
                jobs.resume(job.pk, access=access, now=timezone.now())
        finally:
            jobs.cancel(job.pk, access=access, now=timezone.now())
    found = facts(job.pk)
    assert (found["acts"], found["astray"], found["failed"]) == (found["settled"], 0, 0)
    return late


def test_nobody_is_settled_once_a_pause_has_answered(committed: Tenant) -> None:
    assert settled_after_the_answer(committed, rounds=3) == [0] * 3


def test_control_without_the_lock_a_chunk_ends_after_the_pause_has_answered(
    committed: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "lock_work", lambda *args, **named: None)
    assert any(settled_after_the_answer(committed, rounds=3))


# Once


def test_control_without_the_blocks_lock_two_workers_meet_the_unique_key(
    committed: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(committed, 1500)
    job = started(boss(committed), 7)
    met: list[Exception] = []
    meeting, real, real_chunk = threading.Barrier(2, timeout=3), running._settle, running._chunk

    def together(*args: Any, **named: Any) -> None:
        if not met:  # both have taken the same customers, neither has them locked
            try:
                meeting.wait()
            except threading.BrokenBarrierError:
                meeting.reset()
        real(*args, **named)

    def watched(*args: Any, **named: Any) -> Any:
        try:
            return real_chunk(*args, **named)
        except IntegrityError as problem:
            met.append(problem)
            raise

    monkeypatch.setattr(running, "TAKE", running.TAKE.replace("FOR NO KEY UPDATE SKIP LOCKED", ""))
    monkeypatch.setattr(running, "_settle", together)
    monkeypatch.setattr(running, "_chunk", watched)
    found = at_once(committed, [lambda: work(committed, job.pk)] * 2, threads=2)
    assert found == [None, None]
    assert met
    assert "entry_key_once" in str(met[0])
    assert facts(job.pk) == all_once(1500)
    assert sums(committed) == (1500 * (POINTS + 7), 0, 0)


def test_a_block_that_moved_on_while_it_was_waited_for_is_taken_from_where_it_is(committed: Tenant) -> None:
    ids = crowd(committed, 40)
    job, taken = started(boss(committed), 7), []

    def take() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(running.TAKE.replace("SKIP LOCKED", ""), {"tenant": committed.pk, "job": job.pk, "rows": 5})
            taken.append(cursor.fetchone())
        connection.close()

    waiting = threading.Thread(target=take)
    with transaction.atomic():
        JobBlock.objects.filter(tenant=committed, job=job).update(settled=10, skipped=10)
        waiting.start()
        time.sleep(0.5)
    waiting.join()
    assert taken[0][1:3] == (10, ids[10:15])


# Undone


@pytest.mark.case(87)
@pytest.mark.parametrize("spent", ["leave", "take", "debt"])
def test_an_undo_while_the_same_customers_spend(committed: Tenant, monkeypatch: pytest.MonkeyPatch, spent: str) -> None:
    committed.negative_allowed = True
    committed.save()
    small_blocks(monkeypatch, 400)
    ids = crowd(committed, 2000, points=0)
    access = boss(committed)
    job = started(access, 50)
    with at_work(committed, job):
        pass
    undo = jobs.undo(job.pk, access=access, spent=spent, key="undo", now=timezone.now())
    over = threading.Event()

    def shop(number: int) -> Callable[[], Any]:
        chance = random.Random(number)

        def spend() -> None:
            turn = 0
            while not over.is_set():
                turn += 1
                try:
                    operations.adjust(
                        committed, chance.choice(ids), points=-1, reason="spent", actor=SYSTEM, key=f"{number}:{turn}", now=timezone.now()
                    )  # fmt: skip
                except DomainError as refusal:
                    assert refusal.code == "insufficient_points", refusal.code
            connection.close()

        return spend

    acts = [shop(number) for number in range(2)]
    with at_work(committed, undo):
        shoppers = threading.Thread(target=lambda: results.extend(at_once(committed, acts, threads=2)))
        results: list[Any] = []
        shoppers.start()
        try:
            until(lambda: fresh(undo.pk).has_ended)
        finally:
            over.set()
            shoppers.join()
    assert results == [None, None]
    told = dict(undo.rows.values_list("customer_id", "points"))
    spending = Counter(Entry.objects.filter(job_id=None, reason="spent").values_list("customer_id", flat=True))
    balances = {row.customer_id: row for row in Balance.objects.all()}
    tell(f"{spent}: {sum(spending.values())} spent by {len(spending)} customers meanwhile; {len(told)} rows told of")
    assert spending
    left = {customer: 50 - spending[customer] for customer in ids}
    if spent == "leave":  # each either was reversed, and had spent nothing, or is listed
        assert set(undo.rows.values_list("outcome", flat=True)) <= {Outcome.SKIPPED}
        assert facts(undo.pk) == all_once(2000, skipped=len(told))
        assert set(told) == set(spending)
        assert {each: balances[each].available for each in ids} == {each: left[each] if each in told else 0 for each in ids}
        return
    assert facts(undo.pk) == all_once(2000)
    assert {balance.available for balance in balances.values()} == {0}
    if spent == "take":
        assert told == dict(spending)
        assert {balance.owed for balance in balances.values()} == {0}
    else:
        assert {each: balances[each].owed for each in ids} == {each: spending[each] for each in ids}


# Files


SENT = ("bomb", "thin bomb", "out of the zip", "many files", "entities", "10,000 columns", "NUL", "UTF-16", "unclosed quote")
FILES: dict[str, bytes] = {
    **{name: HOSTILE[name][0]() for name in SENT},
    "entities in the workbook": changed(xlsx(("mobile", "points"), ("9840000001", 1)), "xl/workbook.xml", DTD),
    "1,100,000 empty rows": b"mobile,points\n9840000001,1\n" + b",\n" * 1_100_000,
    "1,100,000 empty rows of a spreadsheet": _with_row(1_100_000),
    "an unclosed quote of 15 MB": b'mobile,points\n"' + b"9840000001,1\n" * 1_200_000,
}


@pytest.mark.parametrize("name", FILES)
def test_a_job_by_a_hostile_file_is_refused_and_leaves_nothing(kulfi: Tenant, alice: User, name: str) -> None:
    access, list_of = access_of(alice, kulfi), Select(file=File("list.xlsx", FILES[name]))
    began = time.perf_counter()
    with pytest.raises(DomainError) as refusal:
        jobs.create(access, Wanted("adjust", points=5, reason="for a test"), list_of, key="k", now=timezone.now())
    tell(f"{name}: {time.perf_counter() - began:.2f} s, {refusal.value.sentence}")
    assert refusal.value.code == "file_refused"
    assert not BulkJob.objects.exists()
