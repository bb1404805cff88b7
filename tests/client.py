"""The API as an integrator uses it."""

import json
from typing import Any

from django.test import Client


class Answer:
    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.text: str = response.content.decode()

    @property
    def body(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.body["error"]["code"])


class ApiClient:
    def __init__(self, key: str | None) -> None:
        self.key = key
        self._client = Client(raise_request_exception=False)

    def _headers(self) -> dict[str, str]:
        return {"HTTP_AUTHORIZATION": f"Bearer {self.key}"} if self.key else {}

    def get(self, path: str, **parameters: str) -> Answer:
        return Answer(self._client.get(f"/api/v1{path}", parameters, **self._headers()))  # type: ignore[arg-type]

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Answer(
            self._client.post(f"/api/v1{path}", data, content_type="application/json", **self._headers(), **headers)  # type: ignore[arg-type]
        )
