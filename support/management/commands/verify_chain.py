from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from support import heads
from tenants import clock, trail
from tenants.chain import Chain
from tenants.commands import JsonCommand, tenant_of
from tenants.errors import DomainError
from tenants.models import Tenant


class Command(JsonCommand):
    help = "Recompute the chains of the ledger and of the audit trail; exit 1 when a row was changed, removed or slipped in."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", help="the slug of one tenant; all, if not given")
        parser.add_argument("--head", default="", help="a digest of the ledger that was kept elsewhere; needs --tenant")
        parser.add_argument("--trail-head", default="", help="the same of the audit trail")
        parser.add_argument("--heads", type=Path, help="a file of heads that was kept elsewhere: all of them must be found")
        parser.add_argument("--seal", action="store_true", help="first seal what is old enough")

    def work(self, **options: Any) -> dict[str, Any]:
        if (options["head"] or options["trail_head"]) and not options["tenant"]:
            raise DomainError("bad_value", _("A head is one brand's: give --tenant, too."))
        if options["seal"]:
            for chain in heads.CHAINS.values():
                chain.seal_everywhere(now=clock.now())
        tenants = [tenant_of(options["tenant"])] if options["tenant"] else list(Tenant.objects.order_by("pk"))
        file = heads.kept_in(options["heads"]) if options["heads"] else heads.Kept({}, [])
        given = {"ledger": options["head"].lower(), "trail": options["trail_head"].lower()}
        kept = {
            tenant.slug: {
                name: {*file.heads.get(tenant.slug, {}).get(name, ()), *filter(None, [given[name]])} for name in heads.CHAINS
            }
            for tenant in tenants
        }
        found = {
            tenant.slug: {name: _verdict(chain, tenant, kept[tenant.slug][name]) for name, chain in heads.CHAINS.items()}
            for tenant in tenants
        }
        lost = sorted(file.heads.keys() - found.keys()) if not options["tenant"] else []
        silent = trail.silent()
        ok = not silent and not lost and not any(each["broken"] for chains in found.values() for each in chains.values())
        return {
            "ok": ok,
            "tenants": {slug: {**chains["ledger"], "trail": chains["trail"]} for slug, chains in found.items()},
            "heads": sum(len(digests) for chains in kept.values() for digests in chains.values()),
            "unread": file.unread,
            "silent": silent,
            "lost": lost,
        }

    def in_words(self, result: dict[str, Any]) -> str:
        lines = ["Nothing was tampered with." if result["ok"] else "TAMPERED."]
        for slug, each in result["tenants"].items():
            for what, rows, verdict in (("ledger", "entries", each), ("audit trail", "events", each["trail"])):
                lines.append(
                    f"  {slug}, {what}: {verdict[rows]:,} {rows} in {verdict['blocks']:,} blocks, head {verdict['head'] or '(none)'}"
                )
                lines += [f"    block {one['block']}, id {one['entry']}: {one['what']}" for one in verdict["broken"][:20]]
        proof = "no chain was written anew" if result["heads"] else "a chain that was written anew is not found without them"
        lines.append(f"  heads that were kept elsewhere and looked for: {result['heads']:,}; {proof}")
        lines += [f"  line {number} of the file of heads is none" for number in result["unread"][:20]]
        told = "changes of {} are not told: its trigger is missing or off; `manage.py migrate` puts it back"
        lines += ["  " + told.format(table) for table in result["silent"]]
        lines += [f"  the brand {slug} of the file of heads is not here" for slug in result["lost"]]
        return "\n".join(lines)

    def found_wrong(self, result: dict[str, Any]) -> bool:
        return not result["ok"]


def _verdict(chain: Chain, tenant: Tenant, kept: Collection[str]) -> dict[str, Any]:
    verdict = chain.verify(tenant, kept=kept)
    return {
        "blocks": verdict.blocks, "events" if chain is trail.TRAIL else "entries": verdict.rows, "head": verdict.head,
        "broken": [{"what": each.what, "block": each.block, "entry": each.row} for each in verdict.broken],
    }  # fmt: skip
