"""Signatures of deliveries, as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`, two live secrets while one is rotated."""

import base64
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django_scopes import scope
from standardwebhooks.webhooks import Webhook

from tenants import audit
from tenants.actors import Actor
from tenants.models import SigningSecret, Tenant

#: How long the secret before is good for, unless somebody says otherwise.
OVERLAP = timedelta(hours=24)
LIVE_MAX = 2
TOLERANCE_SECONDS = 300
#: A sender that rotates its secrets sends a few signatures, never many.
GIVEN_MAX = 10
#: Seconds as everybody writes them: another spelling of the same number would sign another text.
STAMP = re.compile(r"[1-9][0-9]{8,11}\Z")
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass(frozen=True, slots=True)
class NewSecret:
    """`secret` is shown this once."""

    row: SigningSecret
    secret: str


def rotate(tenant: Tenant, *, actor: Actor, now: datetime, overlap: timedelta = OVERLAP) -> NewSecret:
    """A fresh secret. The one before stays good for the overlap, older ones end now."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    with scope(tenant=tenant), transaction.atomic():
        live = SigningSecret.objects.select_for_update().filter(tenant=tenant).order_by("-id")
        for place, row in enumerate(live):
            ends = now + overlap if place < LIVE_MAX - 1 else now
            if row.expires_at is None or row.expires_at > ends:
                row.expires_at = ends
                row.save(update_fields=["expires_at"])
        made: SigningSecret = SigningSecret.objects.create(tenant=tenant, secret=secret)
        audit.record(tenant, actor=actor, action="rotate_signing_secret", target=made, reason="Rotated")
    return NewSecret(made, secret)


def is_signed(tenant: Tenant, body: bytes, headers: Mapping[str, str], *, now: datetime) -> bool:
    """Whether one of the tenant's live secrets signed this very body within five minutes of now."""
    ident, stamp, signatures = (headers.get(name, "") for name in HEADERS)
    if not (ident and STAMP.match(stamp)) or abs(int(stamp) - now.timestamp()) > TOLERANCE_SECONDS:
        return False
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    live = SigningSecret.objects.filter(tenant=tenant)
    usable = [row.secret for row in live if row.expires_at is None or row.expires_at > now]
    # Whole texts are compared: what a lenient decoder would read as the same signature is another one.
    wanted = [Webhook(secret).sign(ident, datetime.fromtimestamp(int(stamp), tz=UTC), text).encode() for secret in usable]
    given = [each.encode() for each in signatures.split(" ")[:GIVEN_MAX]]
    return any([hmac.compare_digest(each, one) for each in wanted for one in given])
