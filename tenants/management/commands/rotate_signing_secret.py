from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from tenants import signing
from tenants.actors import SYSTEM
from tenants.commands import JsonCommand, tenant_of


class Command(JsonCommand):
    help = "Make a new secret for signed deliveries. It is shown this once; the one before stays good for the overlap."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug")
        parser.add_argument("--overlap-hours", type=int, default=24)

    def work(self, **options: Any) -> dict[str, Any]:
        overlap = timedelta(hours=max(options["overlap_hours"], 0))
        made = signing.rotate(tenant_of(options["slug"]), actor=SYSTEM, now=timezone.now(), overlap=overlap)
        return {"signing_secret": made.secret}
