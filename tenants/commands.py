"""What all our commands share: one JSON document on stdout, logs on stderr, exit 0 / 1 / 2."""

import json
import sys
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from tenants import clock
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said


class JsonCommand(BaseCommand):
    """Subclasses return a dict from `work`; `found_wrong` of it decides between exit 0 and 1. A refusal is exit 2."""

    takes_as_of = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        if self.takes_as_of:
            parser.add_argument("--as-of", help="act as if it were this time (ISO 8601); needs POINTDESK_ALLOW_AS_OF=1")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result = self.work(**options)
        except DomainError as refusal:
            self.stderr.write(f"{refusal.code}: {refusal.sentence}")
            sys.exit(2)
        except (DatabaseError, InterfaceError, OSError, EOFError) as problem:
            self.stderr.write(f"could not run: {type(problem).__name__}: {problem}"[:500])
            sys.exit(2)
        self.stdout.write(json.dumps(result, default=str) if options["json"] else self.in_words(result))
        if self.found_wrong(result):
            sys.exit(1)

    def work(self, **options: Any) -> Any:
        raise NotImplementedError

    def in_words(self, result: Any) -> str:
        return "\n".join(f"{name}: {value}" for name, value in result.items()) if isinstance(result, dict) else str(result)

    def found_wrong(self, result: Any) -> bool:
        return False


def now_or_as_of(as_of: str | None) -> datetime:
    """Raises: CommandError, when time travel is not allowed or the time is unreadable."""
    if not as_of:
        return clock.now()
    if not settings.ALLOW_AS_OF:
        raise CommandError("--as-of needs POINTDESK_ALLOW_AS_OF=1 in the environment.", returncode=2)
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError as problem:
        raise CommandError(f"--as-of: {as_of!r} is not an ISO 8601 time.", returncode=2) from problem
    return moment if moment.tzinfo else timezone.make_aware(moment)


def tenant_of(slug: str) -> Tenant:
    """Raises: DomainError `unknown_tenant`."""
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise DomainError(
            "unknown_tenant",
            said(
                "There is no tenant {slug!r}. Known: {known}",
                slug=slug,
                known=", ".join(Tenant.objects.values_list("slug", flat=True)),
            ),
        )
    return tenant
