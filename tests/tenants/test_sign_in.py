"""Signing in: a password and a second factor, who must show one, every way around it, and what guessing leads to."""

import re
import time
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from axes.models import AccessAttempt
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django_scopes import scope

from tenants import sign_in, staff
from tenants.actors import SYSTEM
from tenants.models import AuditEvent, Membership, Role, Tenant, User
from tests.conftest import PASSWORD, key_of, signed_in

DESK = "/admin/"
SET_UP = "/accounts/2fa/"
LOGIN = "/accounts/login/"
EMAIL = "mia@kulfi-house.example"


@pytest.fixture(autouse=True)
def _second_factor(settings: Any) -> None:
    settings.SECOND_FACTOR = True


def person(tenant: Tenant, role: str, email: str = EMAIL) -> User:
    user, _ = staff.create_staff(tenant, email=email, role=role, name="Mia", password=PASSWORD, actor=SYSTEM)
    return user


def given(client: Client, *, email: str = EMAIL, password: str = PASSWORD, **extra: Any) -> Any:
    """The answer to a name and a password."""
    return client.post(LOGIN, {"login": email, "password": password}, **extra)


def code_of(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))


def with_app(tenant: Tenant, user: User | None = None) -> tuple[Client, str]:
    """-> somebody who has just set an app up, and the app's secret."""
    user = user or person(tenant, Role.MERCHANT)
    client = Client()
    assert given(client, email=user.email)["Location"] == DESK
    page = client.get(SET_UP + "totp/activate/").content.decode()
    secret = re.search(r'id="authenticator_secret" value="(\w+)"', page)
    assert secret, page
    answer = client.post(SET_UP + "totp/activate/", {"code": code_of(secret[1])})
    assert answer.status_code == 302, answer.content.decode()
    return client, secret[1]


def shown_again(client: Client, secret: str) -> None:
    """The code, before something that matters; a later one, for each is good once."""
    with time_machine.travel(time.time() + 60):
        answer = client.post(SET_UP + "reauthenticate/", {"code": code_of(secret)})
    assert answer.status_code == 302, answer.content.decode()


def out(client: Client) -> bool:
    """Nobody is signed in."""
    last, _ = client.get(DESK, follow=True).redirect_chain[-1]
    return str(last).startswith((LOGIN, "/accounts/2fa/authenticate/"))


# Who must


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("agents_too", [False, True])
def test_everybody_but_agents_shows_one_and_agents_where_their_brand_wants_it(kulfi: Tenant, role: str, agents_too: bool) -> None:
    Tenant.objects.filter(pk=kulfi.pk).update(agents_need_second_factor=agents_too)
    person(kulfi, role)
    client = Client()
    given(client)
    answer = client.get(DESK)
    if role == Role.AGENT and not agents_too:
        assert answer.status_code == 200
    else:
        assert answer["Location"] == SET_UP
        assert "Your role signs in with a second factor" in client.get(SET_UP).content.decode()


def test_the_platform_admin_must(db: None, kulfi: Tenant) -> None:
    client = signed_in(User.objects.create_superuser("root@pointdesk.example", PASSWORD))
    assert client.get(DESK)["Location"] == SET_UP


def test_in_the_demo_nobody_must(kulfi: Tenant, settings: Any) -> None:
    settings.SECOND_FACTOR = False
    assert signed_in(person(kulfi, Role.ADMIN)).get(DESK).status_code == 200


def test_who_is_an_agent_here_and_a_merchant_there_must_there(kulfi: Tenant, liberty: Tenant) -> None:
    user = person(kulfi, Role.AGENT)
    Membership.objects.create(tenant=liberty, user=user, role=Role.MERCHANT)
    client = Client()
    given(client)
    assert client.get(DESK).status_code == 200
    client.post(reverse("admin:switch_tenant"), {"tenant": liberty.pk})
    assert client.get(DESK)["Location"] == SET_UP


# The way in


def test_set_up_once_and_asked_for_ever_after(kulfi: Tenant) -> None:
    client, secret = with_app(kulfi)
    assert client.get(DESK).status_code == 200
    assert AuditEvent.objects.filter(action="add_second_factor").count() == 1
    client.post("/accounts/logout/")
    answer = given(client)
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert out(client), "a password alone is nobody"
    assert "Incorrect code" in client.post(answer["Location"], {"code": "000000"}).content.decode()
    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC)):
        code = code_of(secret)
        client = Client()
        given(client)
        assert client.post(answer["Location"], {"code": code})["Location"] == DESK
        assert client.get(DESK).status_code == 200
        other = Client()
        given(other)
        assert "Incorrect code" in other.post(answer["Location"], {"code": code}).content.decode(), "a code is used once"


def test_without_redis_a_code_opens_nothing_and_is_not_used_up(kulfi: Tenant, settings: Any) -> None:
    _, secret = with_app(kulfi)
    right, client = settings.CACHES, Client()
    given(client)
    with time_machine.travel(time.time() + 60):  # the code of the set-up was used
        code = {"code": code_of(secret)}
        settings.CACHES = {"default": right["default"] | {"LOCATION": "redis://127.0.0.1:9"}}
        answer = client.post("/accounts/2fa/authenticate/", code)
        assert "Codes of an app cannot be checked now. Use a passkey" in answer.content.decode()
        settings.CACHES = right
        assert client.post("/accounts/2fa/authenticate/", code)["Location"] == DESK


def test_a_recovery_code_opens_once(kulfi: Tenant) -> None:
    client, secret = with_app(kulfi)
    shown_again(client, secret)
    client.post(SET_UP + "recovery-codes/generate/")
    codes = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap().get_unused_codes()
    for expected in (DESK, None):
        client = Client()
        given(client)
        assert client.post("/accounts/2fa/authenticate/", {"code": codes[0]}).headers.get("Location") == expected


def test_the_secret_of_an_app_is_kept_encrypted_and_survives_a_new_key(kulfi: Tenant, settings: Any) -> None:
    _, secret = with_app(kulfi)
    kept = Authenticator.objects.get(type=Authenticator.Type.TOTP)
    assert secret not in str(kept.data)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another-key-that-is-long-enough"
    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC)):
        assert kept.wrap().validate_code(code_of(secret))


# Ways around


def test_the_admins_own_door_takes_no_password(kulfi: Tenant) -> None:
    person(kulfi, Role.ADMIN)
    client = Client()
    answer = client.post("/admin/login/", {"username": EMAIL, "password": PASSWORD})
    assert answer["Location"].startswith(LOGIN)
    assert "_auth_user_id" not in client.session


def test_a_session_without_it_sees_nothing(kulfi: Tenant) -> None:
    session = signed_in(person(kulfi, Role.ADMIN))
    for page in (DESK, reverse("admin:activity"), "/status", reverse("admin:liability_csv")):
        assert session.get(page)["Location"] == SET_UP
    assert session.post(reverse("admin:simulator"))["Location"] == SET_UP


def test_one_brand_s_rule_keeps_nobody_from_another_brand(kulfi: Tenant, liberty: Tenant) -> None:
    user = person(kulfi, Role.ADMIN)
    with scope(tenant=liberty):
        staff.create_staff(liberty, email=user.email, role=Role.AGENT, actor=SYSTEM)
    session = signed_in(user)
    assert session.get(DESK)["Location"] == SET_UP
    page = session.get(SET_UP).content.decode()
    assert f'value="{liberty.pk}"' in page
    assert f'value="{kulfi.pk}"' not in page
    assert session.post(reverse("admin:switch_tenant"), {"tenant": liberty.pk}).status_code == 302
    assert session.get(DESK).status_code == 200
    assert session.get(reverse("admin:audit_trail")).status_code == 403, "an agent there"
    assert session.post(reverse("admin:switch_tenant"), {"tenant": kulfi.pk}).status_code == 302
    assert session.get(DESK)["Location"] == SET_UP


def test_sessions_of_before_end_when_a_second_factor_is_set_up_or_taken_away(kulfi: Tenant) -> None:
    """Whoever knew the password was there before its owner, and would take the factor away again."""
    user = person(kulfi, Role.AGENT, "noor@kulfi-house.example")
    before = signed_in(user)
    assert before.get(DESK).status_code == 200
    client, secret = with_app(kulfi, user)
    assert out(before)
    again = signed_in(User.objects.get(pk=user.pk))
    shown_again(client, secret)
    client.post(SET_UP + "totp/deactivate/")
    assert not Authenticator.objects.exists()
    assert out(again)
    assert client.get(DESK).status_code == 200


def test_what_needs_the_factor_again_cannot_be_done_with_a_password_alone(kulfi: Tenant) -> None:
    """Else whoever has the password takes the factor away, or adds their own."""
    with_app(kulfi)
    thief = signed_in(User.objects.get(email=EMAIL))
    app = Authenticator.objects.get(type=Authenticator.Type.TOTP)
    for path in ("totp/deactivate/", "recovery-codes/generate/", "webauthn/add/"):
        for answer in (thief.get(SET_UP + path), thief.post(SET_UP + path)):
            assert "reauthenticate" in answer["Location"], path
    assert "reauthenticate" in thief.get(SET_UP + "recovery-codes/")["Location"]
    assert thief.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code in (302, 403, 404)
    assert "reauthenticate" in thief.post(SET_UP + "totp/deactivate/")["Location"], "the password again is not enough"
    assert Authenticator.objects.filter(pk=app.pk).exists()


@pytest.mark.parametrize("act", ["remove", "edit"])
def test_another_persons_passkey_is_not_there(kulfi: Tenant, act: str) -> None:
    owner = person(kulfi, Role.AGENT, "noor@kulfi-house.example")
    key = Authenticator.objects.create(user=owner, type=Authenticator.Type.WEBAUTHN, data={"name": "Laptop"})
    client, _ = with_app(kulfi)
    for answer in (client.get(f"{SET_UP}webauthn/keys/{key.pk}/{act}/"), client.post(f"{SET_UP}webauthn/keys/{key.pk}/{act}/")):
        assert answer.status_code == 404
    assert Authenticator.objects.filter(pk=key.pk).exists()


def test_who_takes_the_last_one_away_is_led_back(kulfi: Tenant) -> None:
    client, secret = with_app(kulfi)
    shown_again(client, secret)
    client.post(SET_UP + "totp/deactivate/")
    assert not Authenticator.objects.exists()
    assert client.get(DESK)["Location"] == SET_UP
    assert AuditEvent.objects.filter(action="remove_second_factor").exists()


def test_a_session_is_no_key_of_the_api(kulfi: Tenant) -> None:
    client, _ = with_app(kulfi)
    assert client.get("/api/v1/activity").status_code == 401


def test_keys_need_no_phone(kulfi: Tenant) -> None:
    answer = Client().get("/api/v1/activity", headers={"Authorization": f"Bearer {key_of(kulfi, 'read')}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["signup/", "email/", "password/reset/", "password/set/", "login/code/", "2fa/webauthn/signup/"])
def test_other_doors_are_not_there(db: None, path: str) -> None:
    assert Client().get(f"/accounts/{path}").status_code == 404


def test_who_is_deactivated_is_out_at_once(kulfi: Tenant) -> None:
    client, _ = with_app(kulfi)
    User.objects.filter(email=EMAIL).update(is_active=False)
    assert out(client)
    assert given(Client()).status_code == 200, "and does not come in again"
    User.objects.filter(email=EMAIL).update(is_active=True)
    assert out(client), "back, with a sign-in of its own"


def test_a_count_that_was_read_before_brings_no_session_back(kulfi: Tenant) -> None:
    user, client = person(kulfi, Role.AGENT), Client()
    given(client)
    assert client.get(DESK).status_code == 200
    for is_active in (False, True):
        user.is_active = is_active
        user.save()
    assert out(client)
    user.refresh_from_db()
    assert user.factors_changed == 1


def test_who_comes_back_signs_in_anew(kulfi: Tenant, liberty: Tenant) -> None:
    """By the membership that ended; who works elsewhere, too, stays signed in there."""
    user = person(kulfi, Role.AGENT)
    client = Client()
    given(client)

    def leaves(tenant: Tenant) -> None:
        staff.end_access(Membership.objects.get(user=user, tenant=tenant), reason="Left us", actor=SYSTEM)

    person(liberty, Role.AGENT)
    leaves(liberty)
    assert client.get(DESK).status_code == 200
    person(liberty, Role.AGENT)
    Tenant.objects.filter(pk=liberty.pk).update(is_active=False)
    leaves(kulfi)
    person(kulfi, Role.AGENT)
    assert out(client)


# Guessing


def test_whoever_guesses_is_locked_out_and_the_person_is_not(kulfi: Tenant) -> None:
    person(kulfi, Role.AGENT)
    thief = Client(REMOTE_ADDR="203.0.113.7")
    answers = [
        given(thief, password=f"guess-{number}", headers={"X-Forwarded-For": f"198.51.100.{number}"}).status_code
        for number in range(12)
    ]
    assert answers == [200] * 9 + [429] * 3
    assert given(thief).status_code == 429, "not with the right password either"
    assert "Too many tries" in given(thief).content.decode()
    assert given(Client(REMOTE_ADDR="192.0.2.1"))["Location"] == DESK


def test_in_any_spelling_a_name_is_one_name(kulfi: Tenant) -> None:
    person(kulfi, Role.AGENT)
    for number in range(10):
        given(Client(), email=(EMAIL.upper(), f" {EMAIL}", EMAIL.title())[number % 3], password="wrong")
    assert given(Client()).status_code == 429


def test_after_a_quarter_of_an_hour_they_may_try_again(kulfi: Tenant) -> None:
    person(kulfi, Role.AGENT)
    for _ in range(10):
        given(Client(), password="wrong")
    with time_machine.travel(datetime.now(UTC).timestamp() + 16 * 60):
        assert given(Client())["Location"] == DESK


def test_wrong_codes_count_as_wrong_passwords(kulfi: Tenant) -> None:
    _, secret = with_app(kulfi)
    thief = Client()
    given(thief)
    answers = [thief.post("/accounts/2fa/authenticate/", {"code": f"{number:06}"}).status_code for number in range(12)]
    assert answers[0] == 200
    assert answers[-1] == 429
    with time_machine.travel(datetime.now(UTC).timestamp() + 60):
        assert thief.post("/accounts/2fa/authenticate/", {"code": code_of(secret)}).status_code == 429
    elsewhere = Client(REMOTE_ADDR="192.0.2.1")
    given(elsewhere)
    with time_machine.travel(time.time() + 120):
        assert elsewhere.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})["Location"] == DESK


def test_codes_are_counted_wherever_they_come_from(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "CODES_AN_HOUR", 12)
    with_app(kulfi)
    answers = []
    for number in range(6):
        thief = Client(REMOTE_ADDR=f"198.51.100.{number}")
        given(thief)
        answers += [thief.post("/accounts/2fa/authenticate/", {"code": f"{number}{each:05}"}).status_code for each in range(3)]
    assert answers == [200] * 12 + [429] * 6


@pytest.mark.parametrize("path", [LOGIN, "/accounts/2fa/authenticate/"])
def test_no_spelling_of_a_body_keeps_a_guess_from_being_counted(kulfi: Tenant, path: str) -> None:
    """Python's own codecs make texts that PostgreSQL refuses, and a refused count is none."""
    person(kulfi, Role.AGENT)
    body = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\\ud800\r\n--x--\r\n'
    answer = Client().post(path, body, content_type="multipart/form-data; boundary=x; charset=unicode_escape")
    assert answer.status_code == 400
    for _ in range(10):
        Client().post(f"{LOGIN}?b=%00%ff", {"login": EMAIL, "password": "wrong", "a": "nul \0"})
    assert given(Client()).status_code == 429
    kept = "".join(f"{row.get_data}{row.post_data}" for row in AccessAttempt.objects.all())
    assert not kept.replace("-", "").strip(), "nothing of what was typed"


def test_an_old_password_is_guessed_as_often_as_at_the_door(kulfi: Tenant) -> None:
    session = signed_in(person(kulfi, Role.AGENT))
    assert session.get(reverse("admin:password_change"))["Location"] == "/accounts/password/"
    form = {"oldpassword": "wrong", "password1": "another-long-one", "password2": "another-long-one"}
    assert [session.post("/accounts/password/", form).status_code for _ in range(11)][-1] == 429
    assert given(Client()).status_code == 429


def test_a_factor_that_no_key_reads_fits_no_code_and_breaks_no_page(kulfi: Tenant, settings: Any) -> None:
    with_app(kulfi)
    settings.SECRET_KEY = "another-key-without-the-old-one"
    assert not any(row.wrap().validate_code("000000") for row in Authenticator.objects.all())


@pytest.mark.parametrize("path", [DESK, "/status", "/admin/login/?next=/admin/"])
def test_who_works_for_nobody_is_told_so(kulfi: Tenant, path: str) -> None:
    session = signed_in(person(kulfi, Role.AGENT))
    Membership.objects.all().delete()
    answer = session.get(path)
    assert answer.status_code == 403
    assert "You work for no brand here" in answer.content.decode()


@pytest.mark.parametrize(
    ("behind_proxy", "told", "expected"),
    [(False, "198.51.100.1", "203.0.113.7"), (True, "198.51.100.1", "198.51.100.1"), (True, "1.1.1.1, 198.51.100.1", "198.51.100.1"),
     (True, "", "203.0.113.7"), (True, "unknown", "203.0.113.7"), (True, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
     (True, "::ffff:198.51.100.1", "198.51.100.1")],
)  # fmt: skip
def test_where_somebody_comes_from_is_what_our_own_proxy_says(
    rf: Any, settings: Any, behind_proxy: bool, told: str, expected: str
) -> None:
    settings.BEHIND_PROXY = behind_proxy
    assert sign_in.network_of(rf.get("/", REMOTE_ADDR="203.0.113.7", headers={"X-Forwarded-For": told})) == expected


# What pages may run


def test_before_the_desk_nothing_runs_but_our_own_files(kulfi: Tenant) -> None:
    for path in (LOGIN, "/live", "/api/v1/docs", "/nowhere"):
        policy = Client().get(path)["Content-Security-Policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
    assert "script-src 'self' 'unsafe-inline' 'unsafe-eval';" in Client().get(DESK)["Content-Security-Policy"]


# The command


def test_a_lost_phone_is_forgotten_and_sessions_end(kulfi: Tenant) -> None:
    client, _ = with_app(kulfi)
    call_command("second_factor", kulfi.slug, reset=f" {EMAIL.upper()}", stdout=StringIO())
    assert out(client)
    assert given(Client())["Location"] == DESK, "the password alone leads to setting another up"
    event = AuditEvent.objects.get(action="reset_second_factor")
    assert event.before == {"types": ["totp", "recovery_codes"]}


def test_of_another_tenants_people_nothing_is_forgotten(kulfi: Tenant, liberty: Tenant, capsys: Any) -> None:
    with_app(kulfi)
    with pytest.raises(SystemExit):
        call_command("second_factor", liberty.slug, reset=EMAIL, stderr=StringIO())
    assert Authenticator.objects.exists()


def test_a_tenant_asks_its_agents_too(kulfi: Tenant) -> None:
    session = signed_in(person(kulfi, Role.AGENT))
    assert session.get(DESK).status_code == 200
    call_command("second_factor", kulfi.slug, agents="on", stdout=StringIO())
    assert session.get(DESK)["Location"] == SET_UP
    assert AuditEvent.objects.get(action="change_sign_in").after == {"needed": True}


@pytest.mark.parametrize("where", ["http://[::1", "http://[", "//[x", "/admin/"])
def test_an_odd_address_to_go_on_to_breaks_nothing_and_every_guess_counts(kulfi: Tenant, where: str) -> None:
    person(kulfi, Role.AGENT)
    client = Client(raise_request_exception=False)
    statuses = [
        client.post(f"{LOGIN}?next={where}", {"login": EMAIL, "password": "wrong", "next": where}).status_code for _ in range(12)
    ]
    assert statuses[-1] == 429
    assert max(statuses) < 500
    assert client.post(f"/accounts/logout/?next={where}").status_code < 500


def test_a_guess_counts_also_where_the_page_breaks_afterwards(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    person(kulfi, Role.AGENT)

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("after the password was looked at")

    monkeypatch.setattr("allauth.account.views.LoginView.form_invalid", broken)
    client = Client(raise_request_exception=False)
    statuses = [given(client, password="wrong").status_code for _ in range(12)]
    assert statuses[0] == 500
    assert AccessAttempt.objects.get().failures_since_start >= 10
    assert AuditEvent.objects.filter(action="sign_in_failed").count() >= 9
    assert given(client).status_code == 429, "locked"


def test_a_browser_s_name_with_a_nul_counts_like_any(kulfi: Tenant) -> None:
    person(kulfi, Role.AGENT)
    client = Client(raise_request_exception=False)
    assert given(client, password="wrong", HTTP_USER_AGENT="a\0b").status_code == 200
    assert AccessAttempt.objects.get().failures_since_start == 1
