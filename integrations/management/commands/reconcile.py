from typing import Any

from django.core.management.base import CommandError, CommandParser
from django_scopes import scope

from integrations.analytics import clickhouse
from integrations.models import ReconciliationPolicy, RunState
from integrations.reconciling import runs
from tenants import clock
from tenants.commands import JsonCommand, tenant_of
from tenants.errors import DomainError
from tenants.models import Tenant


class Command(JsonCommand):
    help = "Hold two sides against each other now: the policies of one tenant or all, whether they run every day or not."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", help="the slug of one tenant; all, if not given")
        parser.add_argument("--policy", help="the name of one policy; all, if not given")

    def work(self, **options: Any) -> dict[str, Any]:
        tenants = [tenant_of(options["tenant"])] if options["tenant"] else list(Tenant.objects.filter(is_active=True))
        done = [each for tenant in tenants for each in _all(tenant, name=options["policy"])]
        if not done:
            raise CommandError("No such policy. Policies are made in the admin, under Reconciliation.")
        return {"ok": all(each["ok"] for each in done), "runs": done}


def _all(tenant: Tenant, *, name: str | None) -> list[dict[str, Any]]:
    with scope(tenant=tenant):
        chosen = ReconciliationPolicy.objects.filter(tenant=tenant, **({"name": name} if name else {})).select_related("tenant")
        return [_one(policy) for policy in chosen]


def _one(policy: ReconciliationPolicy) -> dict[str, Any]:
    try:
        run = runs.ask(policy, asked_by="command", now=clock.now())
        ours = runs.work_on(run)
    except DomainError as refusal:
        raise CommandError(refusal.sentence) from refusal
    except clickhouse.Away as problem:
        raise CommandError(f"ClickHouse cannot be asked: {problem}"[:300]) from problem
    if not ours or run.state == RunState.FAILED:
        raise CommandError(f"{policy.name}: {run.note or 'a worker is at it already'}")
    return {
        "tenant": policy.tenant.slug, "policy": policy.name, "run": run.pk, "ok": run.ok, "from": str(run.since), "to": str(run.until),
        "left": str(run.left_sum), "right": str(run.right_sum), "drift": str(run.drift), "agreed": run.agreed, "off": run.off,
        "pattern": run.pattern, "handoff": run.handoff,
    }  # fmt: skip
