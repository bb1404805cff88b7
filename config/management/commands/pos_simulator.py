import os
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from config.simulator.day import EXPLAINED, Fault, visits
from config.simulator.tills import NoAnswer, compare, figures, play
from tenants.commands import JsonCommand
from tenants.errors import DomainError


class Command(JsonCommand):
    help = (
        "Play a day of a chain against the API, with chosen faults; then compare the tills' book with the server's. "
        "Exit 1 when they differ. Mobiles are invented: use a tenant for tests."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "key",
            nargs="?",
            default=os.environ.get("POINTDESK_KEY", ""),
            help="an API key of scopes pos and read, of a tenant in payment mode where a point is worth 1; default: POINTDESK_KEY, which no"
            " process list shows",
        )
        parser.add_argument("--url", default="http://127.0.0.1:8000")
        parser.add_argument("--store", action="append", dest="stores", required=True, metavar="CODE", help="once for each store")
        parser.add_argument("--bills", type=int, default=500)
        parser.add_argument("--customers", type=int, default=100)
        parser.add_argument("--clients", type=int, default=4, help="tills that send at once")
        parser.add_argument(
            "--redeem", type=int, default=50, metavar="N", help="of 1,000 sales, how many want to pay with points"
        )
        known = "; ".join(f"{fault.value}: {words}" for fault, words in EXPLAINED.items())
        parser.add_argument("--faults", default="", metavar="A,B", help=f"5 %% of the sales each, or `all`. {known}")
        parser.add_argument(
            "--seed", default="", help="the same seed, day and number play the same bills; default: the time of day"
        )
        parser.add_argument("--day", default="", metavar="DATE", help="whose bills; default: yesterday")

    def work(self, **options: Any) -> dict[str, Any]:
        if not options["key"]:
            raise DomainError("key_required", "Give an API key, or set POINTDESK_KEY.")
        for name in ("bills", "customers", "clients"):
            if options[name] < 1:
                raise DomainError("bad_value", f"--{name} is at least 1.", path=name)
        seed = options["seed"] or f"{timezone.now():%H%M%S}"
        faults = _faults(options["faults"])
        began = time.monotonic()
        day = visits(
            stores=options["stores"], bills=options["bills"], customers=options["customers"], faults=faults,
            redeem_per_mille=options["redeem"], seed=seed, opens=_opens(options["day"]),
        )  # fmt: skip
        try:
            book = play(options["url"], options["key"], day, clients=options["clients"])
            sent = figures(book, seconds=time.monotonic() - began)
            return {"seed": seed, **sent, **compare(options["url"], options["key"], book)}
        except NoAnswer as problem:
            raise DomainError("no_answer", f"{problem} Is the server up at {options['url']}?") from problem

    def found_wrong(self, result: Any) -> bool:
        return bool(result["differ"])


def _opens(day: str) -> datetime:
    """Of a day that is over; the shops open at 03:30 UTC."""
    try:
        chosen = date.fromisoformat(day) if day else timezone.now().date() - timedelta(days=1)
    except ValueError:
        raise DomainError("bad_value", f"--day: {day!r} is no date such as 2026-01-31.", path="day") from None
    return datetime.combine(chosen, time_of_day(3, 30), tzinfo=UTC)


def _faults(text: str) -> frozenset[Fault]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["all"]:
        return frozenset(Fault)
    unknown = sorted(set(words) - set(Fault))
    if unknown:
        raise DomainError("bad_value", f"Not a fault: {', '.join(unknown)}. Known: {', '.join(Fault)}.", path="faults")
    return frozenset(Fault(word) for word in words)
