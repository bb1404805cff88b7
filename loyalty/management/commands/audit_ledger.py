from typing import Any

from django.core.management.base import CommandParser

from loyalty.audit import audit_ledger
from tenants.commands import JsonCommand, tenant_of


class Command(JsonCommand):
    help = "Check every law of the ledger; exit 1 when one is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", help="the slug of one tenant; all, if not given")

    def work(self, **options: Any) -> dict[str, Any]:
        report = audit_ledger(tenant_of(options["tenant"]) if options["tenant"] else None)
        return {"ok": report.ok, "laws": report.laws, "entries": report.entries, "rows": report.rows}

    def in_words(self, result: dict[str, Any]) -> str:
        head = f"{'All laws hold' if result['ok'] else 'BROKEN'} over {result['entries']:,} entries."
        return "\n".join([head, *(f"  law {law}: {count} violations" for law, count in result["laws"].items() if count)])

    def found_wrong(self, result: dict[str, Any]) -> bool:
        return not result["ok"]
