from typing import Any

from django.core.management.base import CommandParser

from tenants import staff
from tenants.actors import SYSTEM
from tenants.commands import JsonCommand, tenant_of
from tenants.models import RedemptionMode


class Command(JsonCommand):
    help = "Add a store to a tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug")
        parser.add_argument("code")
        parser.add_argument("--name", default="")
        parser.add_argument("--timezone", default="", help="the tenant's, if not given")
        parser.add_argument("--mode", choices=RedemptionMode.values, help="how its bills show points; the tenant's, if not given")

    def work(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_of(options["slug"])
        mode = RedemptionMode(options["mode"] or tenant.default_mode)
        store = staff.create_store(
            tenant, code=options["code"], name=options["name"], timezone=options["timezone"], mode=mode, actor=SYSTEM
        )
        return {"tenant": tenant.slug, "code": store.code, "name": store.name, "mode": mode.value}
