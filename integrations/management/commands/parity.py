import sys
from typing import Any

from django.core.management.base import CommandParser

from integrations.analytics import clickhouse
from integrations.analytics import parity as comparison
from tenants import clock
from tenants.commands import JsonCommand, tenant_of


class Command(JsonCommand):
    help = "Compare ClickHouse with the ledger; exit 1 when they differ."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", help="the slug of one tenant; all, if not given")

    def work(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_of(options["tenant"]) if options["tenant"] else None
        try:
            verdict = comparison.compare(now=clock.now(), tenant=tenant)
        except clickhouse.Away as problem:
            self.stderr.write(f"ClickHouse cannot be asked: {problem}"[:300])
            sys.exit(2)
        return {"ok": verdict.ok, "entries": verdict.rows, "differences": verdict.differences, "wrong": verdict.wrong}

    def found_wrong(self, result: dict[str, Any]) -> bool:
        return not result["ok"]
