"""Every role and every act: what docs/roles.md says is what a request meets, also one that no page offers."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import Delivery
from support.models import ApprovalRequest, RequestState
from tenants import staff
from tenants.access import ROLE_ASKS, ROLE_MAY, Act
from tenants.actors import SYSTEM
from tenants.models import Role, Tenant
from tests import builders
from tests.conftest import signed_in
from tests.roles import TOLD, table
from tests.support.test_approvals import decide, issue, set_limit

ROOT = Path(__file__).resolve().parents[2]
#: Of each act one thing that only it allows: by which method, where, with what id.
TRIED: dict[Act, tuple[str, str, str]] = {
    Act.VIEW_CUSTOMERS: ("GET", "loyalty_customer_changelist", ""),
    Act.VIEW_MOBILES: ("POST", "reveal_mobile", "customer"),
    Act.RELEASE_HOLDS: ("POST", "unblock", "hold"),
    Act.ISSUE_POINTS: ("POST", "issue_points", "customer"),
    Act.ADJUST_POINTS: ("POST", "adjust_points", "customer"),
    Act.RESET_POINTS: ("POST", "reset_points", "customer"),
    Act.MERGE_CUSTOMERS: ("POST", "merge_customer", "customer"),
    Act.CHANGE_MOBILES: ("POST", "change_mobile", "customer"),
    Act.ERASE_CUSTOMERS: ("POST", "erase_customer", "customer"),
    Act.APPROVE: ("POST", "request", "request"),
    Act.WRITE_NOTES: ("POST", "write_note", "customer"),
    Act.SEND_MESSAGES: ("POST", "write_message", "customer"),
    Act.RUN_JOBS: ("POST", "new_job", ""),
    Act.EXPORT: ("POST", "activity_csv", ""),
    Act.VIEW_INBOX: ("GET", "integrations_delivery_changelist", ""),
    Act.SETTLE_BILLS: ("POST", "decide_delivery", "delivery"),
    Act.REPLAY_BILLS: ("POST", "new_replay", ""),
    Act.VIEW_RULES: ("GET", "loyalty_programmeversion_changelist", ""),
    Act.MANAGE_RULES: ("POST", "loyalty_programmeversion_add", ""),
    Act.VIEW_RUNS: ("GET", "house", ""),
    Act.VIEW_REPORTS: ("GET", "liability", ""),
    Act.VIEW_AUDIT: ("GET", "audit_trail", ""),
    Act.MANAGE_STAFF: ("GET", "staff", ""),
    Act.MANAGE_STORES: ("POST", "tenants_store_add", ""),
}


def test_the_table_of_roles_is_true() -> None:
    assert (ROOT / "docs" / "roles.md").read_text() == table(), "run: python -m tests.roles > docs/roles.md"
    assert set(TOLD) == {act.value for act in Act}


@pytest.mark.parametrize("role", Role.values)
def test_every_cell_by_posting_what_no_page_offers(kulfi: Tenant, role: str) -> None:
    meera = builders.customer(kulfi, points=100)
    hold = builders.hold(kulfi, meera, 20)
    builders.deliver(kulfi, builders.bill("A1"))
    noor, _ = staff.create_staff(kulfi, email="noor@kulfi-house.example", role=Role.AGENT, name="Noor", actor=SYSTEM)
    set_limit(kulfi, "agent", an_act=0)
    issue(signed_in(noor), meera, points="5")
    asked = ApprovalRequest.objects.get()
    ids: dict[str, Any] = {
        "request": asked.pk,
        "customer": meera.pk,
        "hold": hold.pk,
        "delivery": Delivery.objects.latest("pk").pk,
    }
    user, _ = staff.create_staff(kulfi, email="mia@kulfi-house.example", role=role, name="Mia", actor=SYSTEM)
    client = signed_in(user)
    found = {act: opens(client, act, ids) for act in Act}
    assert found == {act: act in ROLE_MAY[role] or act in ROLE_ASKS.get(role, ()) for act in Act}
    assert ApprovalRequest.objects.get().state == (RequestState.DONE if Act.APPROVE in ROLE_MAY[role] else RequestState.ASKED)


def opens(client: Client, act: Act, ids: dict[str, Any]) -> bool:
    method, name, of = TRIED[act]
    args = [ids[of]] if of else []
    if name == "decide_delivery":
        args.append("discard")
    address = reverse(f"admin:{name}", args=args)
    if act is Act.APPROVE:
        decide(client, ApprovalRequest.objects.get())
        return bool(ApprovalRequest.objects.get(pk=ids[of]).state == RequestState.DONE)
    answer = client.generic(method, address)
    assert answer.status_code < 500
    return answer.status_code != 403
