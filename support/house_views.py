"""How the house is: for Prometheus, and in words for whoever runs it."""

import hmac

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST

from integrations import health
from support import monitoring
from support.models import Alarm
from support.views import render
from tenants.access import Act
from tenants.admin_base import access_of


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Open to whoever reaches it, unless METRICS_TOKEN is set; no brand and no person is named."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if settings.METRICS_TOKEN and not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
        return HttpResponse("Send the METRICS_TOKEN as a bearer token.\n", status=401, content_type="text/plain; charset=utf-8")
    body = monitoring.metrics(now=timezone.now(), engines=health.engines())
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


@require_GET
def house(request: HttpRequest) -> HttpResponse:
    """What is behind, in words, and since when; the alarms of this brand."""
    access, now = access_of(request), timezone.now()
    access.require(Act.VIEW_RUNS)
    context = {
        "sentences": monitoring.sentences(now=now, engines=health.engines()), "now": now,
        "alarms": [(alarm, monitoring.ALARMS[alarm.code][1]) for alarm in Alarm.objects.filter(tenant=access.tenant)[:20]],
    }  # fmt: skip
    return render(request, "support/house.html", title=_("House"), **context)
