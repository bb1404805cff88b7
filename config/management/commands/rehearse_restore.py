from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from config import backup
from tenants.commands import JsonCommand


class Command(JsonCommand):
    help = "Restore a backup into a database of its own, verify chains, laws and walls there, and drop it again; exit 1 when it is not good."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", type=Path)
        parser.add_argument("--heads", type=Path, help="a file of heads that was kept elsewhere, not younger than the backup")

    def work(self, **options: Any) -> dict[str, Any]:
        found = backup.rehearse(options["file"], kept=options["heads"])
        return {"ok": not found.problems, **asdict(found)}

    def in_words(self, result: dict[str, Any]) -> str:
        head = "A good backup" if result["ok"] else "NOT A GOOD BACKUP"
        told = (
            f"{head}: {result['tenants']:,} brands, {result['entries']:,} entries, {result['events']:,} events of the audit trail, the newest"
            f" of {result['newest'] or 'no time'}; restored and verified in {result['seconds']} s."
        )
        return "\n".join([told, *(f"  {problem}" for problem in result["problems"])])

    def found_wrong(self, result: dict[str, Any]) -> bool:
        return not result["ok"]
