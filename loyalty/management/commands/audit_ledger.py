from typing import Any

from django.core.management.base import CommandParser

from loyalty.audit import audit_each, audit_in_steps
from tenants.commands import JsonCommand, tenant_of
from tenants.models import Tenant


class Command(JsonCommand):
    help = "Check every law of the ledger; exit 1 when one is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", help="the slug of one tenant; all, if not given")
        parser.add_argument("--run", default="", help="a name: an audit that was broken off goes on under the same name")

    def work(self, **options: Any) -> dict[str, Any]:
        tenants = [tenant_of(options["tenant"])] if options["tenant"] else list(Tenant.objects.order_by("pk"))
        report = audit_in_steps(options["run"], tenants=tenants) if options["run"] else audit_each(tenants)
        return {"ok": report.ok, "laws": report.laws, "entries": report.entries, "rows": report.rows}

    def in_words(self, result: dict[str, Any]) -> str:
        shown = [f"    law {law}, {number}: {what}" for law, what, number in result["rows"]]
        head = f"{'All laws hold' if result['ok'] else 'BROKEN'} over {result['entries']:,} entries."
        return "\n".join([head, *(f"  law {law}: {count} violations" for law, count in result["laws"].items() if count), *shown])

    def found_wrong(self, result: dict[str, Any]) -> bool:
        return not result["ok"]
