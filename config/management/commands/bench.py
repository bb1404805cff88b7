import json
import os
import sys
from collections.abc import Callable
from itertools import groupby
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from django_scopes import scope
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from config.bench.analytics import Feed, Liability, Parity, ResyncAll, SteadyFeed
from config.bench.books import Audit, BookAdjust, ExpireLots, VerbTx
from config.bench.bulk import BulkAdjust, BulkPreview, BulkRemove, BulkReset
from config.bench.desk import Customer360
from config.bench.harness import ROUNDS, Job, Result, measure
from config.bench.holds import HoldApi
from config.bench.ingest import IngestBatch, Replays
from config.bench.load import Load
from config.bench.post import PostBill
from config.engines.postgresql import drop_database
from tenants import staff
from tenants.actors import SYSTEM
from tenants.commands import tenant_of
from tenants.models import Tenant

DATABASE = "pointdesk_bench"
SCALES = {
    "small": {
        "bills": 1000,
        "holds": 150,
        "posts": 400,
        "customers": 100_000,
        "lots": 50_000,
        "verbs": 400,
        "entries": 500_000,
        "seconds": 15,
    },
    "full": {
        "bills": 5000,
        "holds": 1000,
        "posts": 4000,
        "customers": 1_000_000,
        "lots": 1_000_000,
        "verbs": 2000,
        "entries": 20_000_000,
        "seconds": 300,
    },
}

#: Jobs that look at the same many entries, which take long to write.
ON_ONE_DATABASE = (ResyncAll.name, Parity.name, Liability.name)


class Command(BaseCommand):
    help = "Measure each job beside its physical limit, in a database of its own. Ratio: 1 is the limit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("jobs", nargs="*", metavar="JOB", help="all, if none is named")
        parser.add_argument("--scale", choices=SCALES, default="small")
        parser.add_argument("--rounds", type=int, default=ROUNDS, help="counted rounds, after one that warms up")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = _jobs(SCALES[options["scale"]])
        unknown = sorted(set(options["jobs"]) - set(jobs))
        if unknown:
            self.stderr.write(f"Not a job: {', '.join(unknown)}. Jobs: {', '.join(jobs)}.")
            sys.exit(2)
        rounds = max(options["rounds"], 1)
        wanted = groupby(options["jobs"] or jobs, key=lambda name: "analytics" if name in ON_ONE_DATABASE else name)
        results = [
            result for slug, names in wanted for result in self._run(slug, {name: jobs[name] for name in names}, rounds=rounds)
        ]
        if options["json"]:
            self.stdout.write(json.dumps([result.as_dict() for result in results]))
            return
        self.stdout.write(f"{'job':<14}{'unit':<10}{'ours':>12}{'limit':>12}{'ratio':>8}{'target':>8}   the limit is")
        for result in results:
            row = f"{result.job:<14}{result.unit:<10}{result.ours:>12,.0f}{result.limit:>12,.0f}{result.ratio:>8.2f}{result.target:>8.2f}"
            self.stdout.write(f"{row}   {result.limit_is}")

    def _run(self, slug: str, jobs: dict[str, Callable[[Tenant, str], Job]], *, rounds: int) -> list[Result]:
        url = _fresh_database()
        try:
            call_command("create_tenant", slug.replace("_", "-"), stdout=sys.stderr)
            tenant = tenant_of(slug.replace("_", "-"))
            staff.create_store(tenant, code="B1", actor=SYSTEM)
            with scope(tenant=tenant):
                results = []
                for make in jobs.values():
                    results.append(measure(make(tenant, url), rounds=rounds))
                    print(results[-1].as_dict(), file=sys.stderr)  # a job that fails later takes nothing of it away
                return results
        finally:
            _drop_database()


def _jobs(scale: dict[str, int]) -> dict[str, Callable[[Tenant, str], Job]]:
    return {
        IngestBatch.name: lambda tenant, url: IngestBatch(tenant, bills=3 * scale["bills"]),
        Replays.name: lambda tenant, url: Replays(tenant, bills=scale["bills"]),
        Customer360.name: lambda tenant, url: Customer360(
            tenant, customers=scale["customers"], entries=scale["entries"], database_url=url
        ),
        Load.name: lambda tenant, url: Load(
            tenant, customers=scale["customers"], entries=scale["entries"], hot_bills=4 * scale["bills"], database_url=url
        ),
        HoldApi.name: lambda tenant, url: HoldApi(tenant, holds=scale["holds"], database_url=url),
        PostBill.name: lambda tenant, url: PostBill(tenant, bills=scale["posts"], database_url=url),
        "verb_tx": lambda tenant, url: VerbTx(tenant, verbs=scale["verbs"], clients=1),
        "verb_tx_4": lambda tenant, url: VerbTx(tenant, verbs=scale["verbs"], clients=4),
        BookAdjust.name: lambda tenant, url: BookAdjust(tenant, customers=scale["customers"]),
        BulkPreview.name: lambda tenant, url: BulkPreview(tenant, customers=scale["customers"]),
        BulkAdjust.name: lambda tenant, url: BulkAdjust(tenant, customers=scale["customers"]),
        BulkRemove.name: lambda tenant, url: BulkRemove(tenant, customers=scale["lots"]),
        BulkReset.name: lambda tenant, url: BulkReset(tenant, customers=scale["lots"]),
        ExpireLots.name: lambda tenant, url: ExpireLots(tenant, customers=scale["lots"]),
        Audit.name: lambda tenant, url: Audit(tenant, entries=scale["entries"]),
        Feed.name: lambda tenant, url: Feed(tenant, customers=scale["customers"]),
        SteadyFeed.name: lambda tenant, url: SteadyFeed(tenant, seconds=scale["seconds"]),
        ResyncAll.name: lambda tenant, url: ResyncAll(tenant, entries=scale["entries"]),
        Parity.name: lambda tenant, url: Parity(tenant, entries=scale["entries"]),
        Liability.name: lambda tenant, url: Liability(tenant, entries=scale["entries"], database_url=url),
    }


def _fresh_database() -> str:
    """A migrated database of the bench's own; -> its URL. The data of the installation is not touched."""
    _drop_database()
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {DATABASE}")
    connection.close()
    connection.settings_dict["NAME"] = DATABASE
    call_command("migrate", verbosity=0)
    parts = conninfo_to_dict(os.environ["DATABASE_URL"]) | {"dbname": DATABASE}
    return make_conninfo(**{name: str(value) for name, value in parts.items()})


def _drop_database() -> None:
    connection.close()
    with connection._nodb_cursor() as cursor:
        drop_database(cursor, DATABASE)
