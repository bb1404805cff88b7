from typing import Any

from loyalty.sweeps import release_expired_holds_everywhere
from tenants.commands import JsonCommand, now_or_as_of


class Command(JsonCommand):
    help = "Free the points of every hold whose completion bill did not come in time. Beat runs it every minute."
    takes_as_of = True

    def work(self, **options: Any) -> dict[str, Any]:
        result = release_expired_holds_everywhere(now=now_or_as_of(options["as_of"]))
        return {
            "done": result.done,
            "points": result.points,
            "failed": [{"hold": name, "error": why} for name, why in result.failed.items()],
        }

    def found_wrong(self, result: dict[str, Any]) -> bool:
        return bool(result["failed"])
