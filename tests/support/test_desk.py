"""The desk's pages as an agent uses them."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from loyalty import identity
from loyalty.models import Customer, Entry, Hold
from tenants.actors import SYSTEM
from tenants.models import AuditEvent, Membership, Store, Tenant
from tests import builders
from tests.builders import balance

TOKEN = "t" * 24


@pytest.fixture
def meera(kulfi: Tenant) -> Customer:
    """0 available, 412 blocked by a redemption whose bill never came."""
    found = builders.customer(kulfi, points=412)
    builders.hold(kulfi, found, 412, reference="SB-7f3a", bill_no="IB/26-27/004512", at=timezone.now() - timedelta(days=3))
    return found


def page(client: Client, customer: Customer, **parameters: str) -> str:
    response = client.get(reverse("admin:customer360", args=[customer.pk]), parameters)
    assert response.status_code == 200
    return response.content.decode()


def test_the_zero_is_explained_at_a_glance(as_bob: Client, meera: Customer) -> None:
    text = page(as_bob, meera)
    assert "412 points are blocked by a redemption at Anna Nagar" in text
    assert "(3 days ago) whose bill IB/26-27/004512 has not arrived" in text
    assert "That is why 0 are available and the closing balance is 412" in text
    assert "Unblock 412" in text


def test_a_customer_in_order_is_told_so(as_bob: Client, kulfi: Tenant) -> None:
    assert "Nothing is blocked, owed or waiting" in page(as_bob, builders.customer(kulfi, points=5))


def test_a_negative_balance_is_explained(as_bob: Client, lenient_kulfi: Tenant) -> None:
    raj = builders.customer(lenient_kulfi)
    builders.deliver(lenient_kulfi, builders.paid_with_points("A1", 30, net="30.00"))
    text = page(as_bob, raj)
    assert "The balance is negative: 30 points are owed" in text
    assert "−30 owed now" in text


def test_a_quarantined_bill_of_this_customer_is_named(as_bob: Client, kulfi: Tenant) -> None:
    raj = builders.customer(kulfi)
    builders.deliver(kulfi, builders.bill("Q1", net_amount="950.00"))
    assert "Bill Q1 is set aside: net_amount is 950.00, but its parts sum to 1000.00" in page(as_bob, raj)


@pytest.mark.parametrize("tab", ["timeline", "holds", "bills", "lots", "nonsense"])
def test_every_tab_opens_full_and_empty(as_bob: Client, kulfi: Tenant, meera: Customer, tab: str) -> None:
    builders.deliver(kulfi, builders.bill("A1"))
    page(as_bob, meera, tab=tab)
    page(as_bob, builders.customer(kulfi, "+919840000009"), tab=tab)


def test_every_earning_opens_to_its_arithmetic(as_bob: Client, kulfi: Tenant) -> None:
    builders.deliver(kulfi, builders.bill("A1", net="1842.00"))
    assert "INR 1,842.00 ÷ 100, rounded down = 18" in page(as_bob, Customer.objects.get())


def test_times_are_the_store_s_and_say_so_where_it_is_elsewhere(as_bob: Client, kulfi: Tenant) -> None:
    Store.objects.filter(code="K2").update(timezone="Asia/Dubai")
    at = "2026-05-05T06:00:00+00:00"
    builders.deliver(kulfi, builders.bill("A1", bill_date=at), builders.bill("A2", store="K2", bill_date=at))
    raj = Customer.objects.get()
    for tab in ("timeline", "bills"):
        text = page(as_bob, raj, tab=tab)
        assert "5 May 2026 11:30<" in text, "Kolkata, the brand's own"
        assert "5 May 2026 10:00 +04<" in text
        assert 'title="05 May 2026 06:00:00 UTC"' in text
    assert "5 May 2026 10:00 +04<" in as_bob.get(reverse("admin:activity")).content.decode()


def test_a_bill_shows_its_five_stops(as_bob: Client, kulfi: Tenant) -> None:
    builders.deliver(kulfi, builders.bill("A1"))
    text = page(as_bob, Customer.objects.get(), tab="bills")
    for stop in ("POS", "Received", "Posted", "Analytics", "CRM"):
        assert stop in text


def test_a_customer_costs_a_fixed_number_of_queries(as_bob: Client, kulfi: Tenant, django_assert_max_num_queries: Any) -> None:
    builders.deliver(kulfi, *(builders.bill(f"A{n}") for n in range(30)))
    raj = Customer.objects.get()
    page(as_bob, raj)
    with django_assert_max_num_queries(17):  # 14 of a real request, the savepoint of the test and its end of the walls
        page(as_bob, raj)
    with django_assert_max_num_queries(18):
        page(as_bob, raj, tab="bills")


# Search


@pytest.mark.parametrize(
    "words", ["9840012345", "+91 98400 12345", "09840012345", "2345", "12345", "meera", "ERA S", "IB/26-27/004512", "SB-7f3a"]
)
def test_one_box_finds_her(as_bob: Client, meera: Customer, words: str) -> None:
    response = as_bob.get(reverse("admin:suggest"), {"q": words})
    assert reverse("admin:customer360", args=[meera.pk]) in response.content.decode()


def test_enter_opens_the_first_hit(as_bob: Client, meera: Customer) -> None:
    response = as_bob.get(reverse("admin:find"), {"q": "meera", "go": "1"})
    assert response["Location"] == reverse("admin:customer360", args=[meera.pk])


def test_a_bill_number_leads_to_its_customer(as_bob: Client, kulfi: Tenant) -> None:
    builders.deliver(kulfi, builders.bill("A1"))
    assert as_bob.get(reverse("admin:find"), {"q": "A1", "go": "1"}).status_code == 302


@pytest.mark.parametrize("words", ["", "a", "0000", "nobody here", "%", "\x00\x00", "9" * 500])
def test_who_is_not_found_is_said_kindly(as_bob: Client, meera: Customer, words: str) -> None:
    assert as_bob.get(reverse("admin:find"), {"q": words}).status_code == 200


def test_numbers_are_masked_until_asked_and_the_look_is_kept(as_bob: Client, meera: Customer) -> None:
    assert meera.mobile not in page(as_bob, meera)
    assert meera.mobile in as_bob.post(reverse("admin:reveal_mobile", args=[meera.pk])).content.decode()
    event = AuditEvent.objects.get(action="reveal_mobile")
    assert (event.actor_name, event.object_id) == ("Bob", str(meera.pk))


@pytest.mark.parametrize(("role", "status"), [("agent", 200), ("merchant", 200), ("integrator", 403), ("auditor", 403)])
def test_only_who_talks_to_customers_may_see_a_whole_number(as_bob: Client, meera: Customer, role: str, status: int) -> None:
    Membership.objects.update(role=role)
    assert as_bob.post(reverse("admin:reveal_mobile", args=[meera.pk])).status_code == status
    assert AuditEvent.objects.filter(action="reveal_mobile").count() == (status == 200)


# Unblock


def unblock(client: Client, hold: Hold, **fields: str) -> Any:
    return client.post(reverse("admin:unblock", args=[hold.pk]), {"reason": "Store confirmed no sale", "token": TOKEN} | fields)


def test_the_unblock_dialog_shows_before_and_after(as_bob: Client, meera: Customer) -> None:
    text = as_bob.get(reverse("admin:unblock", args=[Hold.objects.get().pk])).content.decode()
    assert "Unblock 412 points" in text
    assert "If bill IB/26-27/004512 comes later" in text


def test_unblocking_frees_the_points_and_leaves_its_trace(as_bob: Client, meera: Customer) -> None:
    response = unblock(as_bob, Hold.objects.get())
    entry = Entry.objects.get(kind="release")
    assert (entry.actor_name, entry.reason) == ("Bob", "Store confirmed no sale")
    assert response["Location"].endswith(f"?entry={entry.pk}")
    assert balance(meera) == (0, 412, 0, 0)
    event = AuditEvent.objects.get(action="release_hold")
    assert (event.actor_name, event.reason, event.after) == (
        "Bob",
        "Store confirmed no sale",
        {"state": "released", "points": 412},
    )


@pytest.mark.case(10)
def test_who_was_faster_is_named_and_nothing_changes(as_bob: Client, as_alice: Client, meera: Customer) -> None:
    hold = Hold.objects.get()
    unblock(as_bob, hold)
    response = as_alice.post(reverse("admin:unblock", args=[hold.pk]), {"reason": "me too please", "token": TOKEN}, follow=True)
    assert "Already released by Bob at" in response.content.decode()
    assert Entry.objects.filter(kind="release").count() == 1
    assert AuditEvent.objects.filter(action="release_hold").count() == 1


@pytest.mark.case(4)
def test_the_dialog_tells_how_many_unblocked_holds_got_a_bill_later(as_bob: Client, kulfi: Tenant) -> None:
    raj = builders.customer(kulfi, points=100)
    first = builders.hold(kulfi, raj, 10, reference="SB-1")
    unblock(as_bob, first)
    builders.deliver(kulfi, builders.paid_with_points("A1", 10, net="10.00", reference="SB-1"))
    second = builders.hold(kulfi, raj, 20, reference="SB-2")
    assert (
        "1 of 1 redemptions unblocked at this store before got their bill later"
        in as_bob.get(reverse("admin:unblock", args=[second.pk])).content.decode()
    )


@pytest.mark.case(82)
@pytest.mark.parametrize("reason", ["", "ab", "   ", "x" * 501])
def test_an_unblock_without_a_proper_reason_changes_nothing(as_bob: Client, meera: Customer, reason: str) -> None:
    response = unblock(as_bob, Hold.objects.get(), reason=reason)
    assert response.status_code == 422
    assert "3 to 500 characters" in response.content.decode()
    assert balance(meera) == (0, 0, 412, 0)


# Issue


def issue(client: Client, customer: Customer, **fields: str) -> Any:
    body = {"points": "50", "reason": "Apology for a delayed cake", "token": TOKEN} | fields
    return client.post(reverse("admin:issue_points", args=[customer.pk]), body)


@pytest.mark.case(78)
def test_pressing_issue_twice_gives_once(as_bob: Client, meera: Customer) -> None:
    first, second = issue(as_bob, meera), issue(as_bob, meera)
    assert first["Location"] == second["Location"]
    assert Entry.objects.filter(kind="issue", reason__startswith="Apology").count() == 1
    assert AuditEvent.objects.filter(action="issue_points").count() == 1


def test_the_same_token_for_other_points_is_refused(as_bob: Client, meera: Customer) -> None:
    issue(as_bob, meera)
    response = issue(as_bob, meera, points="60")
    assert response.status_code == 422
    text = response.content.decode()
    assert "was sent before, for something else" in text
    assert f'value="{TOKEN}"' not in text, "it can be pressed again"


def test_two_agents_with_one_token_are_two_acts(as_bob: Client, as_alice: Client, meera: Customer) -> None:
    issue(as_bob, meera)
    issue(as_alice, meera)
    assert balance(meera) == (0, 100, 412, 0)


@pytest.mark.parametrize(
    "fields", [{"points": "0"}, {"points": "-5"}, {"points": "1.5"}, {"points": "many"}, {"points": str(10**13)}, {"token": "x"}]
)
def test_a_bad_issue_changes_nothing(as_bob: Client, meera: Customer, fields: dict[str, str]) -> None:
    assert issue(as_bob, meera, **fields).status_code == 422
    assert balance(meera) == (0, 0, 412, 0)


@pytest.mark.case(79)
def test_points_are_issued_for_a_bill_that_has_not_come(as_bob: Client, kulfi: Tenant) -> None:
    raj = builders.customer(kulfi)
    dialog = as_bob.get(reverse("admin:issue_points", args=[raj.pk]), {"bill_no": "A9", "store": "K1"}).content.decode()
    assert 'value="A9"' in dialog
    assert issue(as_bob, raj, points="4", bill_no="A9").status_code == 422, "a number is a number of a store"
    assert issue(as_bob, raj, points="4", bill_no="A9", store="K1").status_code == 302
    assert issue(as_bob, raj, points="4", bill_no="A9", store="K1").status_code == 302
    builders.deliver(kulfi, builders.bill("A9"))
    assert balance(raj) == (0, 10, 0, 0), "the bill posts only what it earns beyond"
    refused = issue(as_bob, raj, points="4", bill_no="A9", store="K1", token="u" * 24)
    assert (refused.status_code, "is booked: it earned 10 points" in refused.content.decode()) == (422, True)


@pytest.mark.case(17, 79)
def test_two_people_who_issue_for_one_bill_are_told(as_bob: Client, as_alice: Client, kulfi: Tenant) -> None:
    raj = builders.customer(kulfi)
    assert issue(as_alice, raj, points="7", bill_no="A9", store="K1").status_code == 302
    told = issue(as_bob, raj, points="7", bill_no="a9", store="K1")
    assert (told.status_code, "Alice issued 7 points for bill A9" in told.content.decode()) == (422, True)
    assert balance(raj) == (0, 7, 0, 0)
    assert issue(as_alice, raj, points="7", bill_no="A9", store="K1").status_code == 302, "pressed twice"
    assert issue(as_bob, raj, points="2", bill_no="A9", store="K1", again="on").status_code == 302
    assert balance(raj) == (0, 9, 0, 0)


# Adjust and reset


def adjust(client: Client, customer: Customer, **fields: str) -> Any:
    body = {"points": "-12", "reason": "counted twice", "token": TOKEN} | fields
    return client.post(reverse("admin:adjust_points", args=[customer.pk]), body)


def reset(client: Client, customer: Customer, **fields: str) -> Any:
    body = {"word": "RESET", "reason": "the account is closed", "token": TOKEN} | fields
    return client.post(reverse("admin:reset_points", args=[customer.pk]), body)


@pytest.mark.case(70)
def test_points_are_adjusted_once_and_below_nothing_only_where_allowed(as_alice: Client, as_bob: Client, kulfi: Tenant) -> None:
    raj = builders.customer(kulfi, points=20)
    assert adjust(as_bob, raj, token="w" * 24)["Location"].startswith("/admin/approvals/"), "an agent issues; to adjust, they ask"
    assert balance(raj) == (0, 20, 0, 0)
    assert [adjust(as_alice, raj).status_code for _ in range(2)] == [302, 302]
    assert balance(raj) == (0, 8, 0, 0)
    refused = adjust(as_alice, raj, token="u" * 24)
    assert (refused.status_code, "Only 8 points are available" in refused.content.decode()) == (422, True)
    assert adjust(as_alice, raj, points="0", token="u" * 24).status_code == 422
    assert AuditEvent.objects.get(action="adjust_points").after == {
        "points": -12,
        "operation": Entry.objects.get(kind="adjust").operation,
    }
    kulfi.negative_allowed = True
    kulfi.save()
    assert adjust(as_alice, raj, allow_debt="on", token="v" * 24).status_code == 302
    assert balance(raj) == (0, 0, 0, 4)


@pytest.mark.case(71)
def test_a_reset_is_typed_out_and_leaves_what_is_blocked_or_owed(
    as_alice: Client, as_bob: Client, meera: Customer, kulfi: Tenant
) -> None:
    builders.issue(kulfi, meera, 30)
    assert reset(as_bob, meera).status_code == 403
    assert reset(as_alice, meera, word="reset").status_code == 422
    assert [reset(as_alice, meera).status_code for _ in range(2)] == [302, 302]
    assert balance(meera) == (0, 0, 412, 0)
    assert AuditEvent.objects.filter(action="reset_points").count() == 1


# Undo


def undo(client: Client, entry: Entry, **fields: str) -> Any:
    return client.post(reverse("admin:undo", args=[entry.pk]), {"reason": "the wrong customer", "token": TOKEN} | fields)


def test_what_was_done_by_hand_is_undone_once_by_who_may(as_bob: Client, as_alice: Client, kulfi: Tenant) -> None:
    raj = builders.customer(kulfi)
    issue(as_bob, raj)
    issue(as_alice, raj, points="7")
    mine, hers = Entry.objects.filter(kind="issue").order_by("id")
    assert "Undo…" in page(as_bob, raj)
    assert "Issued" in as_bob.get(reverse("admin:undo", args=[mine.pk])).content.decode()
    assert undo(as_bob, hers).status_code == 422, "an agent undoes their own"
    assert undo(as_bob, mine).status_code == 302
    assert balance(raj) == (0, 7, 0, 0)
    again = undo(as_bob, mine, token="u" * 24)
    assert again.status_code in (302, 422)
    assert balance(raj) == (0, 7, 0, 0)
    assert undo(as_alice, hers).status_code == 302
    assert balance(raj) == (0, 0, 0, 0)
    assert AuditEvent.objects.filter(action="undo_operation").count() == 2


@pytest.mark.case(79)
def test_points_for_a_bill_are_undone_before_it_comes_and_not_after(as_bob: Client, kulfi: Tenant) -> None:
    raj = builders.customer(kulfi)
    issue(as_bob, raj, points="4", bill_no="A9", store="K1")
    assert undo(as_bob, Entry.objects.get(kind="issue")).status_code == 302
    builders.deliver(kulfi, builders.bill("A9"))
    assert balance(raj) == (0, 10, 0, 0), "the bill earns all of its own"
    issue(as_bob, raj, points="4", bill_no="B9", store="K1", token="v" * 24)
    builders.deliver(kulfi, builders.bill("B9"))
    refused = undo(as_bob, Entry.objects.filter(kind="issue").latest("id"), token="w" * 24)
    assert (refused.status_code, "has come and posted only the rest" in refused.content.decode()) == (422, True)
    assert balance(raj) == (0, 20, 0, 0)


def test_a_bills_points_are_not_undone_at_the_desk(as_alice: Client, kulfi: Tenant) -> None:
    builders.deliver(kulfi, builders.bill("A1"))
    refused = undo(as_alice, Entry.objects.get())
    assert (refused.status_code, "corrected by its POS" in refused.content.decode()) == (422, True)


def test_script_in_names_and_reasons_is_text(as_bob: Client, kulfi: Tenant) -> None:
    raj = builders.customer(kulfi, name="<script>alert(1)</script>")
    issue(as_bob, raj, reason="<img src=x onerror=alert(1)>")
    text = page(as_bob, raj)
    assert "<script>alert(1)" not in text
    assert "<img src=x" not in text


# Roles


@pytest.mark.parametrize(
    ("role", "may_issue", "may_audit", "may_runs"),
    [
        ("agent", True, False, False),
        ("merchant", True, False, False),
        ("integrator", False, False, True),
        ("auditor", False, True, True),
        ("admin", True, True, True),
    ],
)
def test_each_role_does_what_the_table_says(
    as_bob: Client, kulfi: Tenant, meera: Customer, role: str, may_issue: bool, may_audit: bool, may_runs: bool
) -> None:
    Membership.objects.update(role=role)
    hold = Hold.objects.get()
    assert (as_bob.get(reverse("admin:issue_points", args=[meera.pk])).status_code == 200) is may_issue
    assert (issue(as_bob, meera).status_code == 302) is may_issue
    assert (unblock(as_bob, hold).status_code == 302) is may_issue
    assert (as_bob.get(reverse("admin:audit_trail")).status_code == 200) is may_audit
    assert (as_bob.get(reverse("admin:tenants_scheduledrun_changelist")).status_code == 200) is may_runs
    assert ("Issue points" in page(as_bob, meera)) is may_issue


@pytest.mark.parametrize("name", ["index", "find", "loyalty_customer_changelist"])
def test_who_is_not_signed_in_is_sent_to_the_door(kulfi: Tenant, name: str) -> None:
    response = Client().get(reverse(f"admin:{name}"))
    assert response.status_code == 302
    assert "/admin/login/" in response["Location"]


def test_who_works_for_nobody_sees_nothing(as_bob: Client, meera: Customer) -> None:
    Membership.objects.all().delete()
    assert as_bob.get(reverse("admin:customer360", args=[meera.pk])).status_code == 403


def test_a_deactivated_person_is_out_at_once(as_bob: Client, bob: Any, meera: Customer) -> None:
    bob.is_active = False
    bob.save()
    assert as_bob.get(reverse("admin:customer360", args=[meera.pk])).status_code == 302


def test_the_ledger_s_lists_have_no_add_change_or_delete(as_alice: Client, meera: Customer) -> None:
    for model in ("loyalty_customer", "loyalty_hold", "integrations_bill", "integrations_delivery"):
        assert as_alice.get(reverse(f"admin:{model}_add")).status_code == 403


def test_start_page_lists_the_oldest_blocked_points(as_bob: Client, meera: Customer) -> None:
    text = as_bob.get(reverse("admin:index")).content.decode()
    assert "IB/26-27/004512" in text


LISTS = [
    "loyalty_customer", "loyalty_hold", "integrations_delivery", "integrations_bill", "integrations_discrepancy", "integrations_incident",
    "tenants_store", "tenants_membership", "tenants_scheduledrun", "integrations_parityrun", "integrations_replay",
    "integrations_billclaim", "integrations_repushrequest", "integrations_dayend", "integrations_erporder", "integrations_crmbalance",
    "integrations_poschange",
]  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_every_list_opens_with_rows(as_alice: Client, kulfi: Tenant, meera: Customer, name: str) -> None:
    builders.deliver(kulfi, builders.discounted("A1", 0, 0), builders.bill("Q1", net_amount="1.00"))
    assert as_alice.get(reverse(f"admin:{name}_changelist")).status_code == 200


def test_a_delivery_shows_the_failed_check_and_the_raw_body_masked(as_alice: Client, kulfi: Tenant) -> None:
    (delivery,) = builders.deliver(kulfi, builders.bill("Q1", net_amount="950.00"))
    text = as_alice.get(reverse("admin:integrations_delivery_change", args=[delivery.pk]), follow=True).content.decode()
    assert "sum_of_amounts" in text
    assert "950.00" in text
    assert "9840012345" not in text


def test_a_changed_store_leaves_an_audit_event_and_no_admin_log(as_alice: Client, kulfi: Tenant) -> None:
    from django.contrib.admin.models import LogEntry

    from tenants.models import Store

    store = Store.objects.get(code="K1")
    body = {
        "code": "K1", "name": "Anna Nagar West", "timezone": "", "is_active": "on",
        "modes-TOTAL_FORMS": "0", "modes-INITIAL_FORMS": "0", "aliases-TOTAL_FORMS": "1", "aliases-INITIAL_FORMS": "0", "aliases-0-code": "IB04",
    }  # fmt: skip
    response = as_alice.post(reverse("admin:tenants_store_change", args=[store.pk]), body)
    assert response.status_code == 302
    assert store.aliases.get().tenant == kulfi
    assert AuditEvent.objects.filter(action="change_store", actor_name="Alice").exists()
    assert not LogEntry.objects.exists()


def test_a_page_that_does_not_get_its_lock_says_so_and_keeps_nothing(
    as_bob: Client, meera: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr("loyalty.operations.issue", locked)
    response = issue(as_bob, meera)
    assert response.status_code == 503
    assert "Nothing was changed" in response.content.decode()


@pytest.mark.parametrize("query", ["mobile__startswith=%2B9198", "status__exact=%00", "name__regex=("])
def test_a_list_answers_only_the_filters_that_it_offers(as_bob: Client, meera: Customer, query: str) -> None:
    response = as_bob.get(f"{reverse('admin:loyalty_customer_changelist')}?{query}")
    assert response.status_code in (302, 400)


def test_a_customer_s_address_that_is_none_is_404(as_bob: Client, kulfi: Tenant) -> None:
    assert as_bob.get("/admin/loyalty/customer/abc/change/").status_code in (302, 404)


@pytest.mark.case(95)
def test_a_merged_customer_opens_as_the_survivor_with_the_whole_history(as_bob: Client, kulfi: Tenant) -> None:
    old, meera = builders.customer(kulfi, "+919840054321", name="Meera Old"), builders.customer(kulfi)
    builders.deliver(kulfi, builders.bill("OLD-1", mobile="+919840054321"))
    identity.merge(kulfi, old.pk, meera.pk, reason="the same person", actor=SYSTEM, now=timezone.now())
    page = as_bob.get(reverse("admin:customer360", args=[old.pk]), follow=True)
    assert page.redirect_chain[0][0] == reverse("admin:customer360", args=[meera.pk])
    text = page.content.decode()
    assert "Meera Old was merged into this customer" in text
    assert "OLD-1" in text
