from typing import Any

from django.core.management.base import CommandParser

from tenants import staff
from tenants.actors import SYSTEM
from tenants.commands import JsonCommand, tenant_of
from tenants.models import Role


class Command(JsonCommand):
    help = "Give a person a role in a tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug")
        parser.add_argument("email")
        parser.add_argument("--role", choices=Role.values, required=True)
        parser.add_argument("--name", default="")

    def work(self, **options: Any) -> dict[str, Any]:
        user, password = staff.create_staff(
            tenant_of(options["slug"]),
            email=options["email"],
            role=options["role"],
            name=options["name"],
            actor=SYSTEM,
        )
        return {"email": user.email, "password": password or None}
