"""How a view is described (OpenAPI): by its row in `calls`."""

from typing import TYPE_CHECKING, Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse

if TYPE_CHECKING:
    from integrations.api.calls import Call

PROBLEM = {
    "error": {
        "code": "insufficient_points", "message": "40 points are available. Redeem at most what is available.", "details": {"available": 40},
        "request_id": "8c1f0e7a",
    }
}  # fmt: skip
PROBLEMS = {
    400: "Malformed", 401: "No valid key or signature", 403: "The key lacks the scope", 404: "Nothing of yours is there",
    409: "Conflict, or in progress", 413: "Too large", 422: "Well-formed, and refused", 429: "Too many calls", 503: "Away; send it again",
}  # fmt: skip


class Schema(AutoSchema):
    """The view's call, as CALLS says."""

    @property
    def call(self) -> "Call":
        from integrations.api.calls import CALLS  # the views it names need this class first

        return CALLS[type(self.view).__name__, self.method]

    def get_auth(self) -> list[dict[str, list[str]]]:
        return [{"key": []}]

    def get_operation_id(self) -> str:
        return f"{self.method.lower()}_{type(self.view).__name__}"

    def get_summary(self) -> str:
        return self.call.summary

    def get_description(self) -> str:  # type: ignore[override]
        scopes = getattr(self.view, "scopes", {}).get(self.method, ())
        return f"Scope: {', '.join(scopes)}." if scopes else ""

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").partition("/")[0]]

    def get_override_parameters(self) -> list[Any]:
        return self.call.parameters

    def get_request_serializer(self) -> Any:
        return self.call.body

    def get_response_serializers(self) -> Any:
        answers = {
            status: OpenApiResponse(
                OpenApiTypes.OBJECT, "Done", [OpenApiExample(f"{status}", example, status_codes=[str(status)])]
            )
            for status, example in self.call.answers.items()
        }
        problems = {
            status: OpenApiResponse(OpenApiTypes.OBJECT, told, [OpenApiExample(told, PROBLEM, status_codes=[str(status)])])
            for status, told in PROBLEMS.items()
        }
        return answers | problems
