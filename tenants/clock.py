"""The clock that every process of the house shares: the database's. What the worker does by itself goes by it, for a machine's own may be wrong,
and points that expired a year too early are not given back by setting it right."""

from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

#: So far two clocks may be apart before somebody is told.
APART_MAX = timedelta(minutes=1)


def now() -> datetime:
    """By the database. In UTC."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found


def ahead() -> timedelta:
    """By how much this machine's clock is ahead of the database's; below 0: it is behind."""
    before = timezone.now()
    there = now()
    return before + (timezone.now() - before) / 2 - there
