"""The base of the API's views."""

from collections.abc import Mapping
from typing import Any

from rest_framework.views import APIView

from tenants.access import Access


class View(APIView):
    """`scopes` names who may call which method; `access` is whose request it is."""

    scopes: Mapping[str, tuple[str, ...]] = {}
    body_bytes_max = 64 << 10

    @property
    def access(self) -> Access:
        user: Any = self.request.user
        return user  # type: ignore[no-any-return]
