"""What to say where no route is: most often the address is only a little wrong."""

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ggufrun.api.errors import ErrorResponse, envelope
from ggufrun.errors import cut


def not_served(request: Request, error: HTTPException) -> ErrorResponse:
    """404 for an unknown path, 405 for a method that the path does not have; `error` is the router's."""
    said = f"{request.method} {cut(request.url.path)} is not served here"
    return ErrorResponse(
        envelope(f"{said}{_hint(request, error)}", "invalid_request_error"), error.status_code, error.headers
    )


def _hint(request: Request, error: HTTPException) -> str:
    allowed = (error.headers or {}).get("Allow")
    if error.status_code == 405 and allowed:
        return f": it takes {allowed}."
    root = request.scope.get("root_path", "")
    path = request.scope["path"].removeprefix(root)
    if path in ("", "/"):
        return f": the API is under {root}/v1, and {root}/docs describes it."
    if _is_served({**request.scope, "path": f"{root}/v1{path}"}, request):
        return f": did you mean {cut(f'{root}/v1{path}')}? (OpenAI's base URL ends in /v1)"
    return f". {root}/docs lists what is."


def _is_served(scope: dict[str, object], request: Request) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)
