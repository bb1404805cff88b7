"""The embedded PostgreSQL, Valkey and ClickHouse: real servers for the application, started from wheels.

The application never imports this package. It reads ``DATABASE_URL``, ``REDIS_URL`` and ``CLICKHOUSE_URL``;
where one of them is missing, :func:`running` starts the embedded engine and sets the variable.
"""

from config.engines.house import EngineHouse, Failure, running

__all__ = ["EngineHouse", "Failure", "running"]
