"""The clock that a fault puts wrong, and the faults that are planted: each is one line of a real change that a review could miss."""

import itertools
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from django.apps import AppConfig


class Planting(AppConfig):
    name = "tests.bad_day"
    label = "planting"

    def ready(self) -> None:
        if os.environ.get("POINTDESK_PROCESS") != "web":
            _with_a_clock_of_its_own(Path(os.environ["CLOCK_FILE"]))
        planted = {
            "lock": _without_lock,
            "ack": _acknowledged_before_commit,
            "scope": _without_scope,
            "clock": _by_the_worker_s_clock,
        }
        planted.get(os.environ.get("PLANTED", ""), lambda: None)()


def _with_a_clock_of_its_own(file: Path) -> None:
    """As many seconds ahead as the file says, for as long as it is there."""
    from django.utils import timezone

    right = timezone.now

    def wrong() -> datetime:
        try:
            return right() + timedelta(seconds=int(file.read_text()))
        except (OSError, ValueError):
            return right()

    timezone.now = wrong


def _without_lock() -> None:
    """Balances are read without being locked."""
    from loyalty import ledger
    from tenants import crash

    ledger.LOCK_BALANCES = ledger.PEEK_BALANCES
    ledger.LOCK_KEY = "SELECT %s"
    stays = crash.point

    def dawdle(name: str) -> None:
        if name == "ledger_after_lock":
            time.sleep(0.02)
        stays(name)

    crash.point = dawdle


def _acknowledged_before_commit() -> None:
    """The sender is thanked, and then the commit is lost: once in forty."""
    from django.db import transaction
    from django.http import HttpRequest

    from tenants import middleware

    answers, calls = middleware.TenantGateMiddleware._respond_inside, itertools.count(1)

    def respond(self: middleware.TenantGateMiddleware, request: HttpRequest) -> object:
        response = answers(self, request)
        if request.path == "/api/v1/bills" and response.status_code == 202 and next(calls) % 40 == 0:
            transaction.set_rollback(True)
        return response

    middleware.TenantGateMiddleware._respond_inside = respond  # type: ignore[method-assign,assignment]


def _by_the_worker_s_clock() -> None:
    """The timetable goes by the clock of the machine that it runs on."""
    from django.utils import timezone

    from tenants import clock

    clock.now = lambda: timezone.now()


def _without_scope() -> None:
    """A customer is looked up by number alone."""
    from loyalty import customers

    customers.FIND = customers.FIND.replace("tenant_id = %(tenant)s", "%(tenant)s IS NOT NULL")
