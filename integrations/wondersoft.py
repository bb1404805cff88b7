"""Wondersoft's bills. The vendor publishes no API; the bill document of docs/api.md is agreed with it. When a captured real
payload turns out to differ, the mapping goes here and nowhere else."""

from collections.abc import Mapping
from typing import Any

from integrations.documents import Document, read_bill


def document(payload: Mapping[str, Any], *, minor_digits: int, lenient: bool) -> Document:
    """The bill in a payload. Raises: CheckFailed."""
    return read_bill(payload, minor_digits=minor_digits, lenient=lenient)
