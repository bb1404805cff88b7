from datetime import date
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django_scopes import scope

from integrations.analytics import clickhouse, resync
from integrations.models import RunState
from tenants.actors import SYSTEM
from tenants.commands import JsonCommand, tenant_of
from tenants.errors import DomainError
from tenants.models import Tenant


class Command(JsonCommand):
    help = "Build ClickHouse's rows anew from the ledger, of one tenant or all, of some business days or all."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", help="the slug of one tenant; all, if not given")
        parser.add_argument("--from", dest="since", type=date.fromisoformat, help="first business day, YYYY-MM-DD")
        parser.add_argument("--to", dest="until", type=date.fromisoformat, help="last business day, YYYY-MM-DD")

    def work(self, **options: Any) -> dict[str, Any]:
        tenants = [tenant_of(options["tenant"])] if options["tenant"] else list(Tenant.objects.filter(is_active=True))
        done = []
        for tenant in tenants:
            with scope(tenant=tenant):
                try:
                    row = resync.ask(tenant, since=options["since"], until=options["until"], reason="by command", actor=SYSTEM)
                    ours = resync.work_on(row)
                except DomainError as refusal:
                    raise CommandError(refusal.sentence) from refusal
                except clickhouse.Away as problem:
                    raise CommandError(f"ClickHouse cannot be asked: {problem}"[:300]) from problem
                row.refresh_from_db()
            if not ours:
                raise CommandError(f"{tenant.slug}: a worker is at this resync already (number {row.pk}).")
            if row.state == RunState.FAILED:
                raise CommandError(f"{tenant.slug}: {row.note}")
            done.append({
                "tenant": tenant.slug, "resync": row.pk, "months": row.months_done, "rows": row.rows, "way": row.way, "seconds": row.seconds,
            })  # fmt: skip
        return {"rows": sum(each["rows"] for each in done), "tenants": done}
