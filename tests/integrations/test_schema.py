"""The described API, called as it is described and as it is not: no answer is a fault of ours, none is one the schema does not name.

The owner of a key, another tenant's owner and nobody at all call everything (TRAPS 25).
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tenants.models import Tenant
from tests import builders
from tests.conftest import key_of

EXAMPLES = 12
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


@pytest.fixture
def one_connection() -> Iterator[None]:
    """A request ends without closing the test's connection, as with Django's own test client."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def schema(kulfi: Tenant, one_connection: None) -> Any:
    """Kulfi House has a customer, a bill and a hold, so that some of what is asked for is there."""
    meera = builders.customer(kulfi, points=100)
    builders.hold(kulfi, meera, 10, reference="SB-1")
    builders.deliver(kulfi, builders.bill("A1"))
    return schemathesis.openapi.from_wsgi(
        "/api/v1/schema", get_wsgi_application(), headers={"Accept": "application/vnd.oai.openapi+json"}
    )


def call_everything(schema: Any, key: str | None) -> int:
    """-> how many calls were answered."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    calls = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(
                max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def call(case: Any) -> None:
                nonlocal calls
                case.call_and_validate(headers=headers, checks=CHECKS)
                calls += 1

            call()
    return calls


@pytest.mark.timeout(240)
@pytest.mark.parametrize("who", ["owner", "other", "nobody"])
def test_whatever_is_sent_the_answer_is_one_that_is_described(schema: Any, kulfi: Tenant, liberty: Tenant, who: str) -> None:
    scopes = ("pos", "erp", "crm", "support", "read")
    keys = {"owner": key_of(kulfi, *scopes), "other": key_of(liberty, *scopes), "nobody": None}
    assert call_everything(schema, keys[who]) > 300
