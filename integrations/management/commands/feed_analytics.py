from typing import Any

from integrations.analytics import clickhouse, feed
from tenants import clock
from tenants.commands import JsonCommand
from tenants.errors import DomainError


class Command(JsonCommand):
    help = "Send what is new to ClickHouse now. Beat does it every three seconds."

    def work(self, **options: Any) -> dict[str, Any]:
        try:
            return {"done": feed.run(now=clock.now())}
        except clickhouse.Away as problem:
            sentence = f"ClickHouse does not answer ({type(problem).__name__}). Start it, then try again."
            raise DomainError("clickhouse_away", sentence) from problem
