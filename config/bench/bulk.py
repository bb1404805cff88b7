"""Bulk jobs: the preview of everybody, and points added, removed and reset through the worker's own code, by two processes."""

import itertools
import multiprocessing
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django_scopes import scope

from config.bench.books import ADJUST_CHAIN, ManyCustomers, vacuum
from support.bulk import choice, jobs, running
from support.bulk.jobs import Select, Wanted
from support.bulk.models import BulkJob, JobState
from support.bulk.progress import progress
from tenants import access as gate
from tenants import staff
from tenants.access import Access
from tenants.actors import SYSTEM
from tenants.models import Tenant

LOTS = 3
#: What a job keeps of a chunk, as the chain would: whom, and which entry.
OUTCOMES = """
    INSERT INTO support_jobblock (tenant_id, job_id, number, customers, versions, available, owed, points, reasons, lines, undoes, size,
        settled, operations, moved, done, skipped, failed, changed, sum)
    SELECT %(tenant)s, %(job)s, 1000000 + %(number)s * 100000 + n, array_agg(customer_id), '{}', '{}', '{}', '{}', '{}', '{}', '{}', count(*),
        count(*), array_agg(id), array_agg(points), count(*), 0, 0, 0, sum(points)
    FROM (SELECT customer_id, id, available AS points, row_number() OVER (ORDER BY customer_id) / 10000 AS n FROM loyalty_entry
        WHERE tenant_id = %(tenant)s AND id > %(after)s) made GROUP BY n
"""
#: As many points from each customer as its first lot has and half of the second: entry, movements, lots, balance.
REMOVE_CHAIN = """
    WITH wanted AS (
        SELECT nextval('loyalty_entry_id_seq') AS id, ids.customer_id FROM (
            SELECT customer_id FROM loyalty_balance WHERE tenant_id = %(tenant)s AND customer_id BETWEEN %(first)s AND %(last)s
        ) ids
    ), drawn AS (
        SELECT w.id, w.customer_id, l.entry_id AS lot_id,
            least(l.available, greatest(0, %(points)s - coalesce(sum(l.available) OVER earlier, 0)))::bigint AS points
        FROM wanted w JOIN loyalty_lot l ON l.tenant_id = %(tenant)s AND l.customer_id = w.customer_id AND NOT l.spent
        WINDOW earlier AS (PARTITION BY w.customer_id ORDER BY l.expires_on, l.entry_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), entries AS (
        INSERT INTO loyalty_entry (id, tenant_id, customer_id, operation, seq, kind, pending, available, held, owed, reason, actor_kind,
            actor_name, occurred_at, business_date, key, fingerprint)
        SELECT id, %(tenant)s, customer_id, id, 0, %(kind)s, 0, -sum(points), 0, 0, 'Bench', 'system', 'Pointdesk', now(), %(today)s::date,
            %(key)s || customer_id, 0 FROM drawn GROUP BY id, customer_id
    ), movements AS (
        INSERT INTO loyalty_entrylot (tenant_id, entry_id, lot_id, bucket, delta)
        SELECT %(tenant)s, id, lot_id, 'available', -points FROM drawn WHERE points > 0
    ), lots AS (
        UPDATE loyalty_lot l SET available = l.available - d.points FROM drawn d WHERE l.entry_id = d.lot_id AND d.points > 0
    )
    UPDATE loyalty_balance b SET available = b.available - d.points, entries = b.entries + 1
    FROM (SELECT customer_id, sum(points) AS points FROM drawn GROUP BY customer_id) d
    WHERE b.tenant_id = %(tenant)s AND b.customer_id = d.customer_id
"""


class _Jobs(ManyCustomers):
    """Two crowds; a job is about the first, the statement beside it about the second."""

    unit = "customers/s"
    target = 0.5

    def __init__(self, tenant: Tenant, *, customers: int) -> None:
        super().__init__(tenant, customers=customers)
        with connection.cursor() as cursor:  # the filter that finds them
            cursor.execute(
                "UPDATE loyalty_customer SET tier = 'mine' WHERE tenant_id = %s AND id = ANY(%s)", [tenant.pk, self._mine]
            )
        user, _ = staff.create_staff(tenant, email="bench@example.com", role="admin", name="Bench", actor=SYSTEM)
        access = gate.of_person(user, wanted_tenant_id=tenant.pk)
        assert access is not None
        self._access: Access = access
        self._jobs = itertools.count()

    def _made(self, type: str, **wanted: Any) -> BulkJob:
        asked = Wanted(type, reason="Bench", **wanted)
        return jobs.create(
            self._access, asked, Select(filter={"tier": "mine"}), key=f"bench {next(self._jobs)}", now=timezone.now()
        )[0]

    def _run(self, job: BulkJob) -> int:
        """By two processes, as two workers have it."""
        jobs.confirm(job.pk, access=self._access, now=timezone.now())
        connection.close()
        fork = multiprocessing.get_context("fork")
        workers = [fork.Process(target=_work, args=(self._tenant, job.pk)) for _ in range(jobs.WORKERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        job.refresh_from_db()
        assert job.state == JobState.DONE, job.state
        return progress(job).done

    def _beside(self, statement: str, **values: Any) -> int:
        """The statement over the other crowd, with the outcomes as a job keeps them."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SELECT coalesce(max(id), 0) FROM loyalty_entry")
            (after,) = cursor.fetchone()
            number = next(self._number)
            bounds: dict[str, Any] = {
                "tenant": self._tenant.pk, "first": self._theirs[0], "last": self._theirs[-1], "today": self._today,
                "expires": self._today + timedelta(days=365), "key": f"bench chain {number}:", "after": after, "number": number,
                "job": BulkJob.objects.values_list("pk", flat=True).first(), **values,
            }  # fmt: skip
            cursor.execute(statement, bounds)
            cursor.execute(OUTCOMES, bounds)
        return len(self._theirs)

    def prepare(self, *, round_number: int) -> None:
        vacuum()


def _work(tenant: Tenant, job_id: int) -> None:
    with scope(tenant=tenant):
        job = BulkJob.objects.select_related("tenant", "bonus", "of_job").get(pk=job_id)
        while running.work_on(job):
            pass
    connection.close()


class BulkAdjust(_Jobs):
    """+7 points to everybody."""

    name = "bulk_adjust"
    limit_is = "one SQL statement chain that writes the same entries, lots, movements, balances and outcomes"

    def prepare(self, *, round_number: int) -> None:
        super().prepare(round_number=round_number)
        self._job = self._made("adjust", points=7)

    def ours(self) -> int:
        return self._run(self._job)

    def limit(self) -> int:
        return self._beside(ADJUST_CHAIN, points=7)


class _OverLots(_Jobs):
    """Everybody has three lots of ten points, made anew for each round."""

    limit_is = "one SQL statement chain that draws on the same lots and writes the same entries, movements, balances and outcomes"

    def prepare(self, *, round_number: int) -> None:
        for crowd in (self._mine, self._theirs):
            for place in range(LOTS):
                self._chain(ADJUST_CHAIN, crowd, expires=self._today + timedelta(days=100 + place), points=10)
        super().prepare(round_number=round_number)


class BulkRemove(_OverLots):
    """-15 points from everybody: one lot and a half."""

    name = "bulk_remove"

    def prepare(self, *, round_number: int) -> None:
        super().prepare(round_number=round_number)
        self._job = self._made("adjust", points=-15)

    def ours(self) -> int:
        return self._run(self._job)

    def limit(self) -> int:
        return self._beside(REMOVE_CHAIN, points=15, kind="adjust")


class BulkReset(_OverLots):
    """Everybody to zero."""

    name = "bulk_reset"

    def prepare(self, *, round_number: int) -> None:
        super().prepare(round_number=round_number)
        self._job = self._made("reset")

    def ours(self) -> int:
        return self._run(self._job)

    def limit(self) -> int:
        return self._beside(REMOVE_CHAIN, points=2**40, kind="reset")


class BulkPreview(_Jobs):
    """Counted, frozen with balances, the largest, a sample, who is skipped and why."""

    name = "bulk_preview"
    target = 0.3
    limit_is = "one SQL statement that reads the same customers and balances and freezes them"

    def ours(self) -> int:
        return self._made("adjust", points=-5).chosen

    def limit(self) -> int:
        freeze = choice.FREEZE.replace("FROM job_choice", f"FROM ({PLAIN}) plain")
        with transaction.atomic(), connection.cursor() as cursor:
            job = BulkJob.objects.values_list("pk", flat=True).first()
            values = {"tenant": self._tenant.pk, "job": job, "block": choice.BLOCK}
            cursor.execute(freeze, values)
            transaction.set_rollback(True)
        return len(self._mine)


PLAIN = """
    SELECT row_number() OVER (ORDER BY c.id) - 1 + 10000000 AS place, c.id AS customer_id, b.entries AS version, b.available, b.owed,
        NULL::bigint AS points, NULL::text AS reason, NULL::integer AS line, NULL::bigint AS undoes
    FROM loyalty_customer c JOIN loyalty_balance b ON b.tenant_id = c.tenant_id AND b.customer_id = c.id
    WHERE c.tenant_id = %(tenant)s AND c.tier = 'mine'
"""
