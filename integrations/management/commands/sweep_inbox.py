from typing import Any

from integrations import inbox
from tenants.commands import JsonCommand, now_or_as_of


class Command(JsonCommand):
    help = "Process whatever waits in the inboxes. Beat runs it every few seconds."
    takes_as_of = True

    def work(self, **options: Any) -> dict[str, Any]:
        counts = inbox.sweep(now=now_or_as_of(options["as_of"]))
        failed = counts.pop("failed", 0)
        return {"done": counts.total(), "points": 0, "failed": failed, "counts": dict(counts)}

    def found_wrong(self, result: dict[str, Any]) -> bool:
        return bool(result["failed"])
