from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from config import backup
from tenants.commands import JsonCommand


class Command(JsonCommand):
    help = "Write a backup of PostgreSQL (pg_dump, custom format). ClickHouse and Redis are built anew from it."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", type=Path)

    def work(self, **options: Any) -> dict[str, Any]:
        return {"file": str(options["file"]), "bytes": backup.dump(options["file"])}
