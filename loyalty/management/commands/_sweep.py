from collections.abc import Callable
from typing import Any, ClassVar

from loyalty.sweeps import Run, everywhere
from tenants.commands import JsonCommand, now_or_as_of


class SweepCommand(JsonCommand):
    """One sweep over all tenants, now or as of an instant."""

    takes_as_of = True
    sweep: ClassVar[Callable[..., Run]]
    failed_is: ClassVar[str]

    def work(self, **options: Any) -> dict[str, Any]:
        result = everywhere(type(self).sweep, now=now_or_as_of(options["as_of"]))
        return {
            "done": result.done,
            "points": result.points,
            "failed": [{self.failed_is: name, "error": why} for name, why in result.failed.items()],
        }

    def found_wrong(self, result: dict[str, Any]) -> bool:
        return bool(result["failed"])
