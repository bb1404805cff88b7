from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from loyalty import chain
from tenants.commands import JsonCommand, tenant_of
from tenants.models import Tenant


class Command(JsonCommand):
    help = "Recompute the tamper-evidence chain from the entries; exit 1 when a row was changed, removed or slipped in."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", help="the slug of one tenant; all, if not given")
        parser.add_argument("--head", default="", help="a digest that was kept elsewhere; needs --tenant")
        parser.add_argument("--seal", action="store_true", help="first seal what is old enough")

    def work(self, **options: Any) -> dict[str, Any]:
        if options["seal"]:
            chain.seal_everywhere(now=timezone.now())
        tenants = [tenant_of(options["tenant"])] if options["tenant"] else list(Tenant.objects.order_by("pk"))
        found = {tenant.slug: chain.verify(tenant, head=options["head"] if options["tenant"] else "") for tenant in tenants}
        return {
            "ok": all(verdict.ok for verdict in found.values()),
            "tenants": {
                slug: {
                    "blocks": verdict.blocks, "entries": verdict.entries, "head": verdict.head,
                    "broken": [{"what": each.what, "block": each.block, "entry": each.entry} for each in verdict.broken],
                }
                for slug, verdict in found.items()
            },
        }  # fmt: skip

    def in_words(self, result: dict[str, Any]) -> str:
        lines = ["Nothing was tampered with." if result["ok"] else "TAMPERED."]
        for slug, each in result["tenants"].items():
            lines.append(f"  {slug}: {each['entries']:,} entries in {each['blocks']:,} blocks, head {each['head'] or '(none)'}")
            lines += [f"    block {broken['block']}, entry {broken['entry']}: {broken['what']}" for broken in each["broken"][:20]]
        return "\n".join(lines)

    def found_wrong(self, result: dict[str, Any]) -> bool:
        return not result["ok"]
