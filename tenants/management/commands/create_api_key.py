from typing import Any

from django.core.management.base import CommandParser

from tenants import staff
from tenants.actors import SYSTEM
from tenants.commands import JsonCommand, tenant_of


class Command(JsonCommand):
    help = "Make an API key. It is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug")
        parser.add_argument(
            "--scope", action="append", default=[], help="pos, erp, crm, support, support:debt or read; may be repeated"
        )
        parser.add_argument("--name", default="")

    def work(self, **options: Any) -> dict[str, Any]:
        made = staff.create_api_key(tenant_of(options["slug"]), scopes=options["scope"], name=options["name"], actor=SYSTEM)
        return {"key": made.key, "scopes": made.row.scopes}
