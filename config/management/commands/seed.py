from typing import Any

from django.core.management.base import CommandParser
from django_scopes import scope

from config.bench.seeding import seed
from tenants.commands import JsonCommand, tenant_of
from tenants.errors import DomainError


class Command(JsonCommand):
    help = "Fill a tenant with consistent books for measuring: customers, and entries of equal number for each."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", required=True, help="the slug of the tenant")
        parser.add_argument("--customers", type=int, required=True)
        parser.add_argument("--entries", type=int, required=True)

    def work(self, **options: Any) -> dict[str, Any]:
        customers, entries = options["customers"], options["entries"]
        if not 0 < customers <= entries <= 10**9:
            raise DomainError("bad_value", "Give at least one customer, and at least as many entries as customers.")
        tenant = tenant_of(options["tenant"])
        with scope(tenant=tenant):
            return {"customers": customers, "entries": seed(tenant, customers=customers, entries=entries)}
