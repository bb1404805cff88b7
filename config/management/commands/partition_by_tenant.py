from typing import Any

from django.core.management.base import CommandError, CommandParser

from config import partitioning
from tenants.commands import JsonCommand


class Command(JsonCommand):
    help = "Turn the hot tables into partitions by tenant. Needs a stopped application: it locks them while it copies; all or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--parts", type=int, default=8, help="how many partitions a table gets")

    def work(self, **options: Any) -> dict[str, Any]:
        if not 1 < options["parts"] <= 1024:
            raise CommandError("--parts: from 2 to 1024.")
        try:
            return {"rows": partitioning.partition(parts=options["parts"])}
        except ValueError as problem:
            raise CommandError(str(problem)) from problem
