"""What the Python code of an app says to people goes through gettext: no bare text is left, and what is said is translated, then filled."""

import ast
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import tablib
from django.apps import apps
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from config.management.commands import makemessages
from loyalty import holds, ledger, operations
from loyalty.bonus import SUBJECTS, Campaign, Condition, Operator, Person, Subject, check_condition, judge
from loyalty.customer_import import CustomerResource, person_of
from loyalty.earning import Purchase, PurchaseLine, SoFar
from loyalty.models import Bonus, Customer
from loyalty.programmes import RuleBook
from tenants.actors import SYSTEM
from tenants.admin import StoreResource
from tenants.errors import DomainError
from tenants.models import Membership, Store, Tenant, User
from tenants.uploads import kind_of
from tests import builders
from tests.translations import bare

ROOT = Path(__file__).resolve().parents[1]
#: Whose texts are looked at.
APPS = ("tenants", "loyalty", "integrations", "support")
#: Where kinds of refusals may be defined.
EVERY_APP = ("tenants", "loyalty", "integrations", "support", "config")

#: Whose texts people read, beside those of our own refusals.
TOLD = {"ValidationError", "PermissionDenied", "Http404"}
MESSAGES = {"debug", "info", "success", "warning", "error"}
READ = {"description", "help_text", "verbose_name", "verbose_name_plural", "label", "short_description", "search_help_text"}
#: Their texts are for developers.
FOR_DEVELOPERS = {"OpenApiParameter", "OpenApiExample", "OpenApiResponse", "extend_schema"}
WORD = re.compile(r"[^\W\d_]")


# No bare text is left


def modules(names: Iterable[str]) -> list[Path]:
    found = (path for name in names for path in sorted((ROOT / name).rglob("*.py")))
    return [path for path in found if not {"migrations", "commands"} & set(path.parts)]  # operators read English


def classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def refusals_in(trees: Iterable[ast.AST]) -> set[str]:
    """The names of `DomainError` and of all that is made from it."""
    bases = {each.name: {name_of(base) for base in each.bases} for tree in trees for each in classes(tree)}
    found: set[str] = set()
    more = {"DomainError"}
    while more:
        found |= more
        more = {name for name, of in bases.items() if of & found} - found
    return found


@pytest.fixture(scope="module")
def refusals() -> set[str]:
    return refusals_in(ast.parse(path.read_text()) for path in modules(EVERY_APP))


def is_text(node: ast.AST, *, one_word: bool) -> bool:
    """A constant that people would read. `one_word`: there are no codes in its place, so that one word is a text as well."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return False
    return bool(WORD.search(node.value)) and (one_word or " " in node.value)


def texts_in(node: ast.AST | None, *, one_word: bool = False) -> Iterator[str]:
    """The bare texts that are the value of an expression, or a part of it."""
    match node:
        case ast.Constant() if is_text(node, one_word=one_word):
            yield str(node.value)
        case ast.JoinedStr():
            yield ast.unparse(node)
        case ast.BinOp():
            yield from (text for side in (node.left, node.right) for text in texts_in(side, one_word=one_word))
        case ast.IfExp():
            yield from (text for side in (node.body, node.orelse) for text in texts_in(side, one_word=one_word))
        case ast.BoolOp() | ast.Dict():
            yield from (text for value in node.values for text in texts_in(value, one_word=one_word))
        case ast.Call(func=ast.Attribute(value=filled, attr="format" | "join")):
            yield from texts_in(filled, one_word=one_word)


def told(call: ast.Call, refusals: set[str]) -> Iterator[ast.expr]:
    """What a call tells people: a refusal, or a message on the next page."""
    name = name_of(call.func)
    if name in refusals | TOLD:
        yield from call.args
        yield from (keyword.value for keyword in call.keywords if keyword.arg in ("sentence", "message"))
    elif name in MESSAGES and isinstance(call.func, ast.Attribute) and name_of(call.func.value) == "messages":
        yield from call.args[1:]


def read(call: ast.Call) -> Iterator[ast.expr]:
    """What a call names for people. A table is none: it gives colours to states."""
    if name_of(call.func) not in FOR_DEVELOPERS:
        yield from (each.value for each in call.keywords if each.arg in READ and not isinstance(each.value, ast.Dict))


def said_of_class(each: ast.ClassDef, refusals: set[str]) -> Iterator[str]:
    choices = {name_of(base) for base in each.bases} & {"TextChoices", "IntegerChoices"}
    for statement in each.body:
        if not (isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value):
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names, value = {name_of(target) for target in targets}, statement.value
        if names & READ:
            yield from texts_in(value, one_word=True)
        if "fieldsets" in names and isinstance(value, ast.Tuple | ast.List):
            firsts = (part.elts[0] for part in value.elts if isinstance(part, ast.Tuple) and part.elts)
            yield from (text for first in firsts for text in texts_in(first, one_word=True))
        if choices and isinstance(value, ast.Tuple) and len(value.elts) > 1:
            yield from texts_in(value.elts[1], one_word=True)
    if each.name in refusals:
        for call in (node for node in ast.walk(each) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "super().__init__":
                yield from (text for argument in call.args for text in texts_in(argument))


def bare_texts(source: str, refusals: set[str]) -> list[str]:
    tree = ast.parse(source)
    found = [text for each in classes(tree) for text in said_of_class(each, refusals)]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        found += [text for argument in told(call, refusals) for text in texts_in(argument)]
        found += [text for value in read(call) for text in texts_in(value, one_word=True)]
        if name_of(call.func).endswith("Field") and call.args:  # a model's field by its name for people
            found += texts_in(call.args[0])
    return found


@pytest.mark.parametrize("path", modules(APPS), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_holds_a_bare_text(path: Path, refusals: set[str]) -> None:
    assert bare_texts(path.read_text(), refusals) == []


def test_every_kind_of_refusal_is_known(refusals: set[str]) -> None:
    assert {"DomainError", "FileRefused", "InsufficientPoints", "KeyReused", "CustomerMerged"} <= refusals
    made = refusals_in([ast.parse("class A(errors.DomainError): pass\nclass C(B): pass\nclass B(A): pass\nclass D(E): pass")])
    assert made == {"DomainError", "A", "B", "C"}


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ('raise DomainError("code", "Not now.")', ["Not now."]),
        ('raise DomainError("code", f"{name}", path="a b")', ["f'{name}'"]),
        ('raise errors.DomainError("code", said("A.") + " Then B.")', [" Then B."]),
        ('raise DomainError("code", said("A.") if a else "Or B.")', ["Or B."]),
        ('raise DomainError("code", "Only {n} left.".format(n=n))', ["Only {n} left."]),
        ('raise DomainError("code", sentence="Not now.")', ["Not now."]),
        ('raise FileRefused("Split it.", row=1)', ["Split it."]),
        ('class FileRefused(DomainError):\n def __init__(self):\n  super().__init__("code", "No file.")', ["No file."]),
        ('raise ValidationError({"file": "Split it."})', ["Split it."]),
        ('messages.info(request, f"{n} added")', ["f'{n} added'"]),
        ('@admin.display(description="State")\ndef state(self, row): ...', ["State"]),
        ('name = CharField("the name", help_text="Of it.")', ["Of it.", "the name"]),
        ('class Kind(models.TextChoices):\n ONE = "one", "one"\n OTHER = "other"', ["one"]),
        ('class Shop(Config):\n verbose_name = "Shops"\n name = "shop"', ["Shops"]),
        ('class A(Admin):\n fieldsets = ((None, {}), ("What it is", {}))', ["What it is"]),
    ],
)
def test_a_bare_text_is_found(source: str, texts: list[str]) -> None:
    assert bare_texts(source, {"DomainError", "FileRefused"}) == texts


@pytest.mark.parametrize(
    "source",
    [
        'raise DomainError("code", said("Only {n} left.", n=n), path="a b")',
        'raise DomainError("code", " ".join([*sentences, said("B.")]))',
        'raise DomainError("code", problem.sentence, why="for machines only")',
        'raise FileRefused(told) from problem',
        'raise RuntimeError("Nobody but a developer reads this.")',
        'log.info("not for people", label=name)',
        '@display(label={"running": "success"})\ndef state(self, row): ...',
        'parser.add_argument("--json", help="print one JSON document")',
        'OpenApiParameter("day", description="A day.")',
        'name = CharField(gettext_lazy("the name"), help_text=gettext_lazy("Of it."), max_length=9)',
        'class Kind(models.TextChoices):\n ONE = "one", gettext_lazy("one")',
        'class A(Admin):\n verbose_name = gettext_lazy("A")\n fieldsets = ((None, {}), (gettext_lazy("What it is"), {}))',
    ],
)  # fmt: skip
def test_what_is_translated_or_for_no_people_is_left_alone(source: str) -> None:
    assert bare_texts(source, {"DomainError", "FileRefused"}) == []


def test_what_is_said_is_collected(tmp_path: Path) -> None:
    options = makemessages.Command.xgettext_options
    assert {"--from-code=UTF-8", "--keyword=said:1", "--keyword=said_of:2,3"} <= set(options)
    if shutil.which("xgettext") is None:
        return
    source = tmp_path / "words.py"
    source.write_text('said("One {n}.", n=1)\nsaid_of(n, "a day", "{count} days")\n')
    made = subprocess.run(
        ["xgettext", "--language=Python", *options, "--output=-", str(source)], capture_output=True, text=True, check=True
    ).stdout
    assert all(words in made for words in ('msgid "One {n}."', 'msgid "a day"\nmsgid_plural "{count} days"'))


# What is said is translated, and then filled

BRACES = "{points} {0.__class__} {"


@pytest.fixture
def meera(kulfi: Tenant) -> Customer:
    return builders.customer(kulfi, points=40)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(DomainError) as caught:
        act()
    assert bare(caught.value.sentence) == ""
    return caught.value.sentence


def test_a_refusal_of_the_ledger_speaks_the_language(meera: Customer, wrapped: None) -> None:
    by: dict[str, Any] = {"actor": SYSTEM, "key": "k", "now": timezone.now(), "reason": "Taken twice"}
    sentence = refused(lambda: operations.adjust(meera.tenant, meera.pk, points=-50, **by))
    assert sentence == "«Only 40 points are available (0 blocked, 0 pending). Remove at most that.»"
    assert refused(lambda: ledger.checked_reason("x")) == "«Give a reason of 3 to 500 characters.»"


def test_each_piece_of_a_refusal_is_translated_whole(meera: Customer, wrapped: None) -> None:
    builders.hold(meera.tenant, meera, 30)
    store = Store.objects.get(code="K1")
    by: dict[str, Any] = {"reference": "r", "store": store, "bill_no": "", "at": None, "actor": SYSTEM, "now": timezone.now()}
    sentence = refused(lambda: holds.place_hold(meera.tenant, meera.pk, points=20, **by))
    assert sentence.startswith("«10 points are available.» «30 points are held since ")
    assert sentence.endswith("completed or released.» «Redeem at most what is available.»")


def test_nothing_is_translated_where_nothing_is_refused(meera: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger speaks when it refuses, and costs nothing before."""

    def never(text: str) -> str:
        raise AssertionError(text)

    monkeypatch.setattr("tenants.saying._translate", never)
    by: dict[str, Any] = {"actor": SYSTEM, "now": timezone.now(), "reason": "Taken twice"}
    posted = operations.adjust(meera.tenant, meera.pk, points=-15, key="k", **by)
    operations.reverse(meera.tenant, posted.operation, **by)


def test_a_row_of_a_file_is_refused_in_the_language(kulfi: Tenant, wrapped: None) -> None:
    def errors(resource: Any, *row: str, headers: tuple[str, ...]) -> list[str]:
        result = resource(tenant=kulfi, actor=SYSTEM).import_data(tablib.Dataset(row, headers=headers), dry_run=True)
        return [str(each.error) for failed in result.error_rows for each in failed.errors]

    (column,) = errors(StoreResource, "K1", "9", headers=("code", "tenant"))
    assert column == "«The column tenant is not allowed: rows always belong to your own brand. Remove it.»"
    (mobile,) = errors(CustomerResource, "call me", headers=("mobile",))
    assert mobile.startswith("«This is not a mobile number. Send digits, for example +91")
    assert refused(lambda: person_of({"name": "Meera"})) == "«The cell mobile is empty. It says who the row is about.»"
    assert refused(lambda: kind_of(b"mobile\n\xe9\n")) == "«Row 2 is not UTF-8. Save the file as CSV UTF-8.»"


def test_a_form_of_staff_refuses_in_the_language(as_alice: Client, bob: User, wrapped: None) -> None:
    member = Membership.objects.get(user=bob)
    answer = as_alice.post(reverse("admin:tenants_membership_change", args=[member.pk]), {"mobile": "call me"})
    assert "«This is no number. Write it as the person dials it.»" in answer.content.decode()


def test_lists_of_the_admin_speak_the_language(as_alice: Client, meera: Customer, wrapped: None) -> None:
    builders.hold(meera.tenant, meera, 30)
    day = timezone.now().date()
    dates = {"starts_on": day - timedelta(days=9), "tenant": meera.tenant}
    Bonus.objects.create(name="Diwali", ends_on=day + timedelta(days=9), points=10, **dates)
    Bonus.objects.create(name="Holi", ends_on=day - timedelta(days=5), factor=2, **dates)
    pages = {
        "loyalty_customer": ("«Blocked»", "«Closing»"),
        "loyalty_hold": ("«Blocked for»", "«blocked»", "«0 days»", "«Reference or bill number»"),
        "loyalty_bonus": ("«Judged bills»", "«running»", "«over»", "«10 points»", "«2 × what the bill earns»", "«look at them»"),
        "tenants_membership": ("«Own number»", "«tenant admin»"),
    }
    for page, words in pages.items():
        text = as_alice.get(reverse(f"admin:{page}_changelist")).content.decode()
        assert [each for each in words if each not in text] == [], page


def test_a_state_keeps_its_colour(as_alice: Client, meera: Customer, wrapped: None) -> None:
    """It goes by the state and not by how it is said."""
    hold = builders.hold(meera.tenant, meera, 30)
    page = reverse("admin:loyalty_hold_changelist")
    coloured = re.compile(r"<span[^>]*bg-orange-100[^>]*>\s*«blocked»")
    assert coloured.search(as_alice.get(page).content.decode())
    holds.release_hold(meera.tenant, hold.pk, reason="Never came", actor=SYSTEM, now=timezone.now())
    assert "«released»" in as_alice.get(page).content.decode()


def test_every_choice_has_words_of_a_message(wrapped: None) -> None:
    """But kinds of entries and buckets, which no page shows as they are called."""
    names = {"kind", "of_kind", "bucket"}
    fields = [field for app in APPS for model in apps.get_app_config(app).get_models() for field in model._meta.get_fields()]
    chosen = [each for each in fields if isinstance(each, models.CharField) and each.choices and each.name not in names]
    assert len(chosen) > 10
    assert [str(words) for field in chosen for _, words in field.flatchoices if bare(str(words))] == []


def test_what_a_bonus_rule_asks_and_finds_is_said_in_the_language(wrapped: None) -> None:
    operators = {each: min(SUBJECTS[each].operators) for each in Subject}
    asked = [Condition(each, operator, "5", ("A",) if SUBJECTS[each].of else ()) for each, operator in operators.items()]
    asked.append(Condition(Subject.QUANTITY_OF, Operator.AT_LEAST, "2", ("A", "B", "C", "D")))
    day = date(2026, 1, 1)
    rule = Campaign(
        1, "Diwali", day, day, tuple(asked), stores=frozenset({"K1"}), cohort_id=3, cohort="VIP", limit_per_customer=1
    )
    purchase = Purchase(timezone.now(), "K1", Decimal(500), Decimal(0), ())
    judged = judge(rule, purchase, person=Person(), so_far=SoFar(), earns=0).conditions
    assert [each.asked for each in judged if bare(each.asked)] == []
    assert judged[-1].asked == "«««the quantity of» «A, B, C and 1 more»» «is at least» 2»"
    assert {"«not on the list»", "«0 so far»", "«none»", "«not known»"} <= {each.found for each in judged}
    wrong = Condition(Subject.NET, Operator.ONE_OF, "5")
    assert (
        refused(lambda: check_condition(wrong)) == "««the bill's net amount» can be asked with: ««is at least» or «is at most»».»"
    )


# What people are called and write is no template


def test_a_text_with_braces_is_no_template(kulfi: Tenant, wrapped: None) -> None:
    rule = RuleBook(kulfi).rule(store_id=None, on=date(2026, 1, 1))
    line = PurchaseLine("A1", BRACES, Decimal(1), Decimal(1))
    left_out = replace(rule, departments=frozenset({"CAKE"})).left_out(line)
    assert left_out == f"«department {BRACES} is not among those that earn»"
    assert Condition(Subject.TIER, Operator.ONE_OF, BRACES).asked == f"««the customer's tier» «is one of» {BRACES}»"
