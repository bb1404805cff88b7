"""What the bodies of calls have in common: how they are read, and the words they use."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tenants import staff, stores
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tenants.saying import said

KEY_LENGTH_MAX = 255


def _signed_points(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not re.fullmatch(r"-?[0-9]{1,13}", text):
        raise ValueError(said("is not a whole number of points"))
    return int(text)


Mobile = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value), Field(max_length=60)]
Reason = Annotated[str, Field(max_length=2000)]
SignedPoints = Annotated[int, BeforeValidator(_signed_points)]


class Body(BaseModel):
    """What a call may say. Unknown fields are ignored; null is absent."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}


def read_body[B: Body](form: type[B], data: Any) -> B:
    """Raises: DomainError `required_field`, `bad_value`, with the path."""
    try:
        return form.model_validate(data)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(str(step) for step in first["loc"])
        if first["type"] == "missing":
            raise DomainError("required_field", said("The field {path} is missing. Send it.", path=path), path=path) from None
        message = first["msg"].removeprefix("Value error, ")
        raise DomainError("bad_value", said("{path} {problem}.", path=path, problem=message), path=path) from None


def store_of(tenant: Tenant, code: str) -> Store:
    """The store of a code or alias. Raises: DomainError `store_unknown`."""
    store = stores.find(tenant, code)
    if store is None and tenant.auto_stores:
        store = staff.find_or_create_store(tenant, code=code)
    if store is None:
        raise DomainError(
            "store_unknown",
            said("No store has the code {code!r}. Ask the tenant's admin to add it.", code=code),
            path="store_code",
        )
    return store


def key_of(headers: Any) -> str:
    """The call's Idempotency-Key. Raises: DomainError `key_required`, `bad_value`."""
    key = str(headers.get("Idempotency-Key") or "").strip()
    if not key:
        raise DomainError("key_required", said("Send an Idempotency-Key header: the same key for every retry of this request."))
    if len(key) > KEY_LENGTH_MAX or not key.isprintable():
        raise DomainError(
            "bad_value",
            said("The Idempotency-Key may have at most {limit} printable characters.", limit=KEY_LENGTH_MAX),
            path="Idempotency-Key",
        )
    return key


def iso(moment: datetime) -> str:
    return moment.isoformat()
