from typing import Any

from django.core.management.base import CommandParser

from tenants import staff
from tenants.actors import SYSTEM
from tenants.commands import JsonCommand, tenant_of


class Command(JsonCommand):
    help = "Whether a tenant's agents need a second factor; or take the lost one of a person away, who then sets up another."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug")
        parser.add_argument("--agents", choices=["on", "off"])
        parser.add_argument("--reset", metavar="EMAIL")

    def work(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_of(options["slug"])
        if options["agents"]:
            staff.ask_agents_for_second_factor(tenant, options["agents"] == "on", actor=SYSTEM)
        taken = staff.reset_second_factor(tenant, email=options["reset"], actor=SYSTEM) if options["reset"] else 0
        return {"agents_need_it": tenant.agents_need_second_factor, "taken_away": taken}
