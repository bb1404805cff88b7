"""The table of roles, acts and limits: `python -m tests.roles > docs/roles.md`."""

import os
import sys

import django

#: What each act is, in the words of the desk; whether points count against the role's limits; what is done above them or by those who only ask.
TOLD = {
    "view_customers": ("find customers, Customer 360, activity log", ""),
    "view_mobiles": ("see a whole mobile (each look is in the audit trail)", ""),
    "release_holds": ("free blocked points", ""),
    "issue_points": ("issue points", "yes"),
    "adjust_points": ("add or take points; award a bonus; undo an entry", "yes"),
    "reset_points": ("set the balance to 0", "yes"),
    "merge_customers": ("merge two customers, take a merge back", "yes"),
    "change_mobiles": ("change a customer's number", ""),
    "erase_customers": ("erase a person", ""),
    "approve": ("decide on what others asked for, never on one's own", ""),
    "write_notes": ("notes and cases", ""),
    "send_messages": ("write to a customer", ""),
    "run_jobs": ("bulk jobs, with the limits of bulk jobs", ""),
    "export": ("CSV and Excel", ""),
    "view_inbox": ("bills, deliveries, incidents", ""),
    "settle_bills": ("conflict and quarantine, claims, reversals", ""),
    "replay_bills": ("replays, uploads, building dashboards anew, reconciliation by hand", ""),
    "view_rules": ("programmes and rules", ""),
    "manage_rules": ("change them", ""),
    "view_runs": ("scheduled runs, comparisons, the house", ""),
    "view_reports": ("liability, points, reconciliation", ""),
    "view_audit": ("the audit trail", ""),
    "manage_staff": ("people, keys, contacts, limits", ""),
    "manage_stores": ("stores, their modes, aliases, POS changes", ""),
}


def table() -> str:
    from tenants.access import ROLE_ASKS, ROLE_MAY, Act
    from tenants.models import Role

    def cell(role: str, act: Act) -> str:
        if act in ROLE_MAY[role]:
            return "yes"
        return "asks" if act in ROLE_ASKS.get(role, ()) else "–"

    lines = [
        "# Who may do what",
        "",
        "Made by `python -m tests.roles` of the table by which requests are judged; a test keeps it true, and another tries every cell, by",
        "posting what no page offers.",
        "",
        f"| act | what it is | {' | '.join(Role.values)} | counts against limits |",
        f"|---|---|{'---|' * len(Role.values)}---|",
    ]
    for act in Act:
        meaning, limited = TOLD[act.value]
        lines.append(f"| `{act.value}` | {meaning} | {' | '.join(cell(role, act) for role in Role.values)} | {limited} |")
    lines += [
        "",
        "*asks*: it is tried, and waits for a second person who may do it alone. So does whatever is above a limit of the role (points at a",
        "time, points a day; *Limits*, per brand and role), and whatever concerns a colleague's number. One's own number nobody touches. The",
        "platform admin (a superuser) may do everything in every brand; limits are of roles, and theirs is none.",
        "",
        "API keys have scopes and no role: docs/api.md.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    os.environ.setdefault("DATABASE_URL", "postgresql://x/y")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    sys.stdout.write(table())
