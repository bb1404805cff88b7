"""Every address of the house, asked with another tenant's ids: 404 or 403, and no canary in any byte.

A new address without a row here fails the first test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from django_scopes import scope

from integrations.decisions import ask_claim
from integrations.missing import Missing, ask
from integrations.models import (
    Bill,
    CrmBalance,
    Delivery,
    Discrepancy,
    ErpOrder,
    FeedEpoch,
    FileImport,
    Incident,
    Message,
    MissingKind,
    ParityRun,
    PosChange,
    ReconciliationPolicy,
    Resync,
)
from integrations.replay import choose
from integrations.witnesses import DayTotals, settle_day
from loyalty import identity
from loyalty.models import BonusEvaluation, Cohort, Customer, Entry, Hold, NumberMove, Programme, ProgrammeVersion, StoreProgramme
from loyalty.programmes import create_bonus
from support.models import ApprovalRequest, BulkJob, BulkSettings, Case, PointsLimit, SavedView, TopicContact
from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import ApiKey, AuditEvent, Membership, ScheduledRun, Store, Tenant, User
from tests import builders
from tests.client import ApiClient
from tests.conftest import key_of

CANARY = "Zanzibar"
MOBILE = "+15005557731"
DIGITS = "5005557731"
#: Addresses that show nothing of any tenant, or are the signed-out ones.
WITHOUT_ROWS = {
    "home", "favicon", "live", "ready", "status", "metrics", "api:nothing", "api:schema", "api:docs",
    "admin:login", "admin:logout", "admin:password_change", "admin:password_change_done",
    "admin:job_template", "admin:jsi18n",
    "account_login", "account_logout", "account_inactive", "account_reauthenticate", "account_change_password", "mfa_index", "mfa_authenticate",
    "mfa_reauthenticate", "mfa_activate_totp", "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes",
    "mfa_download_recovery_codes", "mfa_list_webauthn", "mfa_add_webauthn", "mfa_reauthenticate_webauthn", "mfa_remove_webauthn",
    "mfa_edit_webauthn", "mfa_login_webauthn",
    "admin:search", "admin:autocomplete", "admin:view_on_site", "admin:app_list", "admin:auth_group_changelist",
    "admin:auth_group_add", "admin:auth_group_history", "admin:auth_group_delete", "admin:auth_group_change",
}  # fmt: skip
#: Addresses without an id: their bytes must not hold a canary. The value: parameters.
PAGES: dict[str, dict[str, str]] = {
    "admin:index": {}, "admin:find": {"q": CANARY}, "admin:suggest": {"q": CANARY}, "admin:switch_tenant": {},
    "admin:loyalty_customer_changelist": {}, "admin:loyalty_hold_changelist": {"q": "SB-CANARY"}, "admin:loyalty_programme_changelist": {},
    "admin:integrations_delivery_changelist": {}, "admin:integrations_bill_changelist": {}, "admin:integrations_incident_changelist": {},
    "admin:integrations_discrepancy_changelist": {}, "admin:integrations_parityrun_changelist": {}, "admin:tenants_store_changelist": {},
    "admin:tenants_membership_changelist": {}, "admin:tenants_apikey_changelist": {}, "admin:audit_trail": {}, "admin:audit_csv": {},
    "admin:audit_file": {"sha256": 64 * "a"},
    "admin:audit_xlsx": {}, "admin:staff": {}, "admin:security": {}, "admin:api_keys": {},
    "admin:tenants_scheduledrun_changelist": {}, "admin:tenants_store_import": {}, "admin:tenants_store_export": {},
    "admin:tenants_store_process_import": {}, "admin:loyalty_customer_import": {}, "admin:loyalty_customer_export": {},
    "admin:loyalty_customer_process_import": {}, "admin:loyalty_programmeversion_changelist": {}, "admin:loyalty_bonus_changelist": {},
    "admin:loyalty_bonusevaluation_changelist": {}, "admin:loyalty_cohort_changelist": {},
    "admin:loyalty_storeprogramme_changelist": {}, "admin:simulator": {"bill_no": "CANARY-1"},
    "admin:integrations_replay_changelist": {}, "admin:integrations_billclaim_changelist": {},
    "admin:integrations_repushrequest_changelist": {}, "admin:integrations_dayend_changelist": {},
    "admin:integrations_erporder_changelist": {}, "admin:integrations_crmbalance_changelist": {},
    "admin:integrations_poschange_changelist": {},
    "admin:integrations_fileimport_changelist": {}, "admin:new_replay": {}, "admin:queue": {}, "admin:activity": {}, "admin:activity_csv": {},
    "admin:activity_xlsx": {}, "admin:liability": {}, "admin:points_report": {},
    "admin:liability_flags": {}, "admin:liability_csv": {}, "admin:liability_xlsx": {},
    "admin:compare_now": {}, "admin:house": {}, "admin:integrations_resync_changelist": {},
    "admin:integrations_reconciliationpolicy_changelist": {},
    "admin:missing_bills": {}, "admin:ask_missing": {}, "admin:requests": {}, "admin:message_settings": {}, "admin:save_view": {},
    "admin:new_job": {}, "admin:support_bulkjob_changelist": {"q": CANARY}, "admin:support_bulksettings_changelist": {},
    "admin:support_pointslimit_changelist": {}, "admin:support_topiccontact_changelist": {}, "admin:support_case_changelist": {},
    **{
        f"admin:integrations_{model}_{page}": {}
        for model in ("dayend", "erporder", "crmbalance")
        for page in ("import", "export", "process_import")
    },
}  # fmt: skip
#: Our pages with an id of a customer or hold.
OURS = {
    "admin:customer360": "customer", "admin:customer_dashboard": "customer", "admin:customer_findings": "customer",
    "admin:reveal_mobile": "customer",
    "admin:issue_points": "customer", "admin:adjust_points": "customer", "admin:reset_points": "customer", "admin:undo": "entry",
    "admin:unblock": "hold", "admin:delivery": "delivery", "admin:ask_vendor": "delivery",
    "admin:decide_delivery": "delivery", "admin:claim_bill": "bill", "admin:settle_claim": "billclaim", "admin:replay": "replay",
    "admin:act_on_replay": "replay", "admin:repush_request": "repushrequest", "admin:repush_csv": "repushrequest",
    "admin:reverse_bill": "bill", "admin:balance_chart": "customer", "admin:merge_customer": "customer", "admin:change_mobile": "customer",
    "admin:erase_customer": "customer",
    "admin:ask_number_move": "customer", "admin:unblock_all": "customer", "admin:write_note": "customer", "admin:open_case": "customer",
    "admin:write_message": "customer", "admin:take_messages": "customer", "admin:send_again": "message", "admin:case": "case",
    "admin:note_in_case": "case", "admin:close_case": "case", "admin:reopen_case": "case", "admin:unmerge": "customermerge",
    "admin:award_bonus": "bonusevaluation", "admin:request": "approvalrequest", "admin:number_move": "numbermove",
    "admin:unblock_incident": "incident", "admin:forget_view": "savedview",
    "admin:job": "bulkjob", "admin:act_on_job": "bulkjob", "admin:job_file": "bulkjob",
    "admin:reconciliation": "reconciliationpolicy", "admin:reconcile_now": "reconciliationpolicy",
    "admin:reconciliation_csv": "reconciliationpolicy",
    "admin:parity_run": "parityrun", "admin:mend_parity": "parityrun",
    "admin:audit_event": "auditevent", "admin:staff_person": "membership", "admin:staff_day": "user", "admin:revoke_key": "apikey",
    "admin:file_import": "fileimport", "admin:incident": "incident", "admin:set_mode": "incident", "admin:close_incident": "incident",
}  # fmt: skip
#: What stands behind the id.
SUFFIXES = {
    "admin:act_on_job": ["confirm"],
    "admin:job_file": ["results"],
    "admin:decide_delivery": ["retry"],
    "admin:act_on_replay": ["try"],
}
API = {
    "api:bills", "api:bills-batch", "api:delivery", "api:holds", "api:hold", "api:hold-release", "api:balance", "api:entries",
    "diagnosis", "activity", "liability", "bulk-jobs", "bulk-job", "bulk-job-rows", "bulk-job-step",
    "api:adjustments", "api:issues", "api:bill", "api:day-ends", "api:erp-orders", "api:crm-balances",
}  # fmt: skip
MODELS = {
    "loyalty_customer": "customer", "loyalty_hold": "hold", "loyalty_programme": "programme", "integrations_delivery": "delivery",
    "integrations_bill": "bill", "integrations_incident": "incident", "integrations_discrepancy": "discrepancy",
    "integrations_parityrun": "parityrun", "tenants_store": "store", "tenants_membership": "membership", "tenants_apikey": "apikey",
    "tenants_scheduledrun": "scheduledrun", "loyalty_programmeversion": "programmeversion",
    "loyalty_bonus": "bonus", "loyalty_bonusevaluation": "bonusevaluation", "loyalty_cohort": "cohort",
    "loyalty_storeprogramme": "storeprogramme", "integrations_replay": "replay", "integrations_billclaim": "billclaim",
    "integrations_repushrequest": "repushrequest", "integrations_dayend": "dayend", "integrations_erporder": "erporder",
    "support_bulkjob": "bulkjob", "support_bulksettings": "bulksettings",
    "support_pointslimit": "pointslimit", "support_topiccontact": "topiccontact", "support_case": "case",
    "integrations_crmbalance": "crmbalance", "integrations_poschange": "poschange", "integrations_fileimport": "fileimport",
    "integrations_resync": "resync", "integrations_reconciliationpolicy": "reconciliationpolicy",
}  # fmt: skip
ID_PAGES = ("change", "delete", "history")


def names(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern, f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield prefix + pattern.name


def test_every_address_has_a_row_in_this_matrix() -> None:
    admin_pages = {f"admin:{model}_{page}" for model in MODELS for page in (*ID_PAGES, "add")}
    known = WITHOUT_ROWS | set(PAGES) | set(OURS) | API | admin_pages
    assert set(names()) - known == set()


@dataclass
class Theirs:
    """What belongs to the other tenant, by name."""

    rows: dict[str, Any]


@pytest.fixture
def theirs(kulfi: Tenant, liberty: Tenant) -> Theirs:
    """Everything of Liberty Deli carries the canary."""
    with scope(tenant=liberty):
        Store.objects.filter(tenant=liberty).update(name=f"{CANARY} Street")
        customer = builders.customer(liberty, MOBILE, points=500, name=f"{CANARY} Z.")
        hold = builders.hold(liberty, customer, 20, reference="SB-CANARY")
        cohort = Cohort.objects.create(tenant=liberty, name=f"{CANARY} VIPs", tiers=["gold"])
        day = hold.at.date()
        bonus = create_bonus(
            liberty,
            name=f"{CANARY} bonus",
            starts_on=day - timedelta(days=2),
            ends_on=day + timedelta(days=2),
            points=5,
            cohort=cohort,
        )
        builders.deliver(liberty, builders.bill("CANARY-1", mobile=MOBILE), builders.discounted("CANARY-2", 10, mobile=MOBILE))
        key_of(liberty, "pos")
        ApiKey.objects.filter(tenant=liberty).update(name=f"{CANARY} key")
        Programme.objects.filter(tenant=liberty).update(name=f"{CANARY} points")
        staff.create_staff(liberty, email="zoe@example.com", role="agent", name=f"{CANARY} Zoe", actor=SYSTEM)
        epoch = FeedEpoch.objects.create(system=CANARY, stream="entries")
        run = ParityRun.objects.create(
            ok=False, rows=1, tenant=liberty, differences=[{"tenant": liberty.slug, "measure": CANARY}], whole=True, days=1, seconds=1,
            epoch=epoch, xid="0", row_id=0,
        )  # fmt: skip
        resync = Resync.objects.create(tenant=liberty, reason=CANARY, asked_by=CANARY, customer=customer, note=CANARY)
        policy = ReconciliationPolicy.objects.create(tenant=liberty, name=CANARY, left="erp", right="ledger")
        schedule = ScheduledRun.objects.create(job="x", started_at=hold.at, error=f"RuntimeError: {CANARY}", process="p")
        return Theirs(
            {
                "customer": customer, "hold": hold, "entry": Entry.objects.filter(customer=customer).first(),
                "programme": Programme.objects.get(), "delivery": Delivery.objects.first(),
                "bill": Bill.objects.first(), "incident": Incident.objects.get(), "discrepancy": Discrepancy.objects.first(),
                "parityrun": run, "store": Store.objects.first(), "membership": Membership.objects.get(user__email="zoe@example.com"),
                "apikey": ApiKey.objects.get(tenant=liberty), "auditevent": AuditEvent.objects.first(),
                "user": User.objects.get(email="zoe@example.com"), "scheduledrun": schedule,
                "resync": resync, "reconciliationpolicy": policy,
                "programmeversion": ProgrammeVersion.objects.get(), "bonus": bonus, "bonusevaluation": BonusEvaluation.objects.first(),
                "cohort": cohort,
                "storeprogramme": StoreProgramme.objects.create(
                    tenant=liberty, store=Store.objects.filter(tenant=liberty).first(), programme=Programme.objects.get()
                ),
                **_witnesses(liberty, customer.pk),
                **_of_the_desk(liberty, customer),
            }
        )  # fmt: skip


def _witnesses(liberty: Tenant, customer_id: int) -> dict[str, Any]:
    """What is known of their bills beside the bills."""
    now, store = timezone.now(), Store.objects.filter(tenant=liberty).first()
    assert store is not None
    builders.deliver(liberty, builders.bill("CANARY-3", mobile=None))
    walk_in = Bill.objects.get(bill_no="CANARY-3")
    replay = choose(liberty, filters={"all": True}, reason=CANARY, actor=SYSTEM)
    lost = Missing(MissingKind.GAP, store.pk, "CANARY-9", now.date(), why=CANARY)
    return {
        "replay": replay,
        "billclaim": ask_claim(liberty, walk_in.pk, MOBILE, reason=CANARY, actor=SYSTEM, now=now),
        "repushrequest": ask(liberty, store, [lost], note=CANARY, actor=SYSTEM),
        "dayend": settle_day(
            liberty, DayTotals(store.code, now.date() - timedelta(days=1), 1, 0, Decimal(1), Decimal(0), CANARY), now=now
        ),
        "erporder": ErpOrder.objects.create(
            tenant=liberty, order_no=CANARY, store=store, mobile=MOBILE, amount=1, state="confirmed", at=now, seen_at=now
        ),
        "crmbalance": CrmBalance.objects.create(
            tenant=liberty, customer_id=customer_id, mobile=MOBILE, points=1, as_of=now, written_by=CANARY
        ),
        "fileimport": FileImport.objects.create(
            tenant=liberty, kind="orders", name=CANARY, body=CANARY.encode(), actor_kind="system", actor_name=CANARY
        ),
        "poschange": PosChange.objects.create(tenant=liberty, store=store, at=now, what=CANARY, logged_by=CANARY),
    }


def _of_the_desk(liberty: Tenant, customer: Customer) -> dict[str, Any]:
    """What their people wrote and asked."""
    user = staff.create_staff(liberty, email="zed@example.com", role="agent", name=f"{CANARY} Zed", actor=SYSTEM)[0]
    asked: dict[str, Any] = {"asked_by": CANARY, "asked_by_ident": "person:0"}
    twin = builders.customer(liberty, "+15005557732", name=f"{CANARY} Twin")
    merge = identity.merge(liberty, twin.pk, customer.pk, reason=CANARY, actor=SYSTEM, now=timezone.now()).merge
    return {
        "customermerge": merge,
        "case": Case.objects.create(tenant=liberty, customer=customer, title=CANARY, opened_by=CANARY, opened_by_ident="person:0"),
        "message": Message.objects.create(
            tenant=liberty, customer=customer, channel="email", key=CANARY, subject=CANARY, body=CANARY, created_by=CANARY, state="given_up"
        ),
        "approvalrequest": ApprovalRequest.objects.create(
            tenant=liberty, customer=customer, verb="issue", content={"points": 5}, words=CANARY, because=CANARY, before={}, reason=CANARY,
            key=CANARY, asked_by_user=user, **asked,
        ),
        "numbermove": NumberMove.objects.create(tenant=liberty, mobile=MOBILE, old_owner=customer, reason=CANARY, **asked),
        "bulkjob": BulkJob.objects.create(
            tenant=liberty, type="adjust", points=5, reason=CANARY, key=CANARY, fingerprint=1, asked_by=CANARY, asked_by_kind="system",
            file_name=CANARY, message=CANARY, select={"file": CANARY},
        ),
        "bulksettings": BulkSettings.objects.create(tenant=liberty, customers_alone=7),
        "pointslimit": PointsLimit.objects.create(tenant=liberty, role="agent", an_act=5),
        "topiccontact": TopicContact.objects.create(tenant=liberty, topic="POS", name=CANARY),
        "savedview": SavedView.objects.create(tenant=liberty, owner=user, name=CANARY, query="store=X", for_all=True),
    }  # fmt: skip


def clean(response: Any) -> None:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    for canary in (CANARY, DIGITS, "SB-CANARY", "CANARY-1", "Liberty", "liberty"):
        words = response.request["QUERY_STRING"]
        if canary in words:  # what was asked for may be repeated
            content = content.replace(canary.encode(), b"")
        assert canary.encode() not in content, canary


def opened(client: Client, name: str, **parameters: str) -> Any:
    """A page, or the file that its button asks for."""
    method = client.post if name.endswith(("_csv", "_xlsx")) else client.get
    return method(reverse(name), query_params=parameters)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_no_list_shows_a_canary(as_alice: Client, theirs: Theirs, name: str) -> None:
    response = opened(as_alice, name, **PAGES[name])
    assert response.status_code in (200, 302, 403, 404, 405)
    clean(response)


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("page", ID_PAGES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_admin_page_opens_another_tenants_row(as_alice: Client, theirs: Theirs, model: str, page: str, method: str) -> None:
    row = theirs.rows[MODELS[model]]
    if model == "tenants_scheduledrun" and page in ("change", "history"):
        clean(as_alice.get(reverse(f"admin:{model}_{page}", args=[row.pk])))  # the house's own: shown without its text
        return
    response = getattr(as_alice, method)(
        reverse(f"admin:{model}_{page}", args=[row.pk]), {"tenant": theirs.rows["store"].tenant_id}
    )
    assert response.status_code in (302, 403, 404)
    if response.status_code == 302:
        response = as_alice.get(response["Location"])
    clean(response)


@pytest.mark.parametrize("name", sorted(OURS))
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_page_of_the_desk_opens_another_tenants_customer_or_hold(
    as_alice: Client, theirs: Theirs, name: str, method: str
) -> None:
    row = theirs.rows[OURS[name]]
    body = {"reason": "because", "points": "5", "token": "t" * 20}
    response = getattr(as_alice, method)(reverse(name, args=[row.pk, *SUFFIXES.get(name, [])]), body)
    assert response.status_code in (404, 405)
    clean(response)
    row.refresh_from_db()
    assert Hold.objects.filter(state="released").count() == 0


@pytest.mark.parametrize(
    "path",
    [
        f"/customers/{MOBILE}/balance",
        f"/customers/{MOBILE}/entries",
        "/holds/SB-CANARY",
        "/deliveries/{receipt}",
        "/bills/CANARY-1",
        f"/customers/{MOBILE}/diagnosis",
    ],
)
def test_no_call_reads_another_tenants_things(till: ApiClient, theirs: Theirs, path: str) -> None:
    answer = till.get(path.format(receipt=theirs.rows["delivery"].receipt))
    assert answer.status == 404
    assert CANARY not in answer.text


def test_no_call_releases_another_tenants_hold(till: ApiClient, theirs: Theirs) -> None:
    assert till.post("/holds/SB-CANARY/release", {"reason": "because"}).status == 404


def test_a_reference_of_another_tenant_is_free_here(till: ApiClient, kulfi: Tenant, theirs: Theirs) -> None:
    builders.customer(kulfi, points=50)
    answer = till.post("/holds", {"mobile": builders.MEERA, "points": 5, "store_code": "K1", "reference": "SB-CANARY"})
    assert answer.status == 201


def test_a_tenant_one_does_not_work_for_cannot_be_switched_to(as_bob: Client, liberty: Tenant) -> None:
    assert as_bob.post(reverse("admin:switch_tenant"), {"tenant": str(liberty.pk)}).status_code == 404


def test_a_store_s_form_offers_and_takes_no_tenant(as_alice: Client, kulfi: Tenant, theirs: Theirs) -> None:
    page = as_alice.get(reverse("admin:tenants_store_add"))
    assert b'name="tenant"' not in page.content
    body = {
        "code": "N1", "name": "New", "timezone": "", "is_active": "on", "tenant": str(theirs.rows["store"].tenant_id),
        "modes-TOTAL_FORMS": "0", "modes-INITIAL_FORMS": "0", "aliases-TOTAL_FORMS": "0", "aliases-INITIAL_FORMS": "0",
    }  # fmt: skip
    response = as_alice.post(reverse("admin:tenants_store_add"), body)
    assert response.status_code == 302
    assert Store.objects.get(code="N1").tenant == kulfi


def test_the_last_digits_of_another_tenants_customer_find_nobody(as_bob: Client, theirs: Theirs) -> None:
    for words in (DIGITS[-5:], MOBILE, "SB-CANARY", "CANARY-1", "zanz"):
        response = as_bob.get(reverse("admin:suggest"), {"q": words})
        assert b"Nobody found" in response.content


def test_a_store_s_code_that_is_taken_is_an_error_by_the_field(as_alice: Client, kulfi: Tenant) -> None:
    body = {
        "code": "K1", "name": "Again", "timezone": "", "is_active": "on",
        "modes-TOTAL_FORMS": "0", "modes-INITIAL_FORMS": "0", "aliases-TOTAL_FORMS": "0", "aliases-INITIAL_FORMS": "0",
    }  # fmt: skip
    response = as_alice.post(reverse("admin:tenants_store_add"), body)
    assert response.status_code == 200
    assert Store.objects.filter(code="K1").count() == 1
