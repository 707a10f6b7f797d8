"""The HTTP application: routes, and errors in the envelope that both dialects read."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from ggufrun.api.agents import messages, responses
from ggufrun.api.conversation import chat, fim
from ggufrun.api.docs import DESCRIPTION, add_docs_page
from ggufrun.api.errors import ErrorResponse, envelope, error_response, validation_response
from ggufrun.api.front.guard import guarded
from ggufrun.api.front.recorder import Recorder
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.manage import management, models, scrape
from ggufrun.api.manage.metrics import Metrics
from ggufrun.api.text import completions, embeddings, schemas, tokenize
from ggufrun.chat.types import ChatModel
from ggufrun.errors import GgufrunError
from ggufrun.pool.served import OneModel

_ROUTERS = (
    chat.router,
    models.router,
    scrape.router,
    fim.router,
    completions.router,
    embeddings.router,
    tokenize.router,
    messages.router,
    responses.router,
    schemas.router,
    management.router,
)


def create_app(gateway: Gateway) -> ASGIApp:
    """An ASGI application over the gateway; the caller opens and closes what is in it."""
    # Outside of the application's own handler for bugs, so that its replies too have a request id.
    return guarded(Recorder(create_api(gateway), gateway.metrics), gateway.settings)


def create_api(gateway: Gateway) -> FastAPI:
    """The routes and their errors, without what stands in front of them."""
    app = FastAPI(
        title="ggufrun",
        description=DESCRIPTION,
        version=gateway.version,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.gateway = gateway
    for router in _ROUTERS:
        app.include_router(router)
    add_docs_page(app)
    _handle_errors(app)
    return app


def gateway_for(model: ChatModel, settings: ServerSettings | None = None) -> Gateway:
    """A gateway of one open model, without keys and ledger."""
    return Gateway(OneModel(model), settings or ServerSettings(), Metrics())


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(GgufrunError)
    async def refused(_: Request, error: Exception) -> Response:
        return error_response(error)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        # Starlette raises the error again behind this answer: the server logs it and closes the connection.
        response = error_response(error)
        response.headers["Connection"] = "close"
        return response

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: Exception) -> Response:
        return validation_response(error.errors() if isinstance(error, RequestValidationError) else [])

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = f"{request.method} {request.url.path} is not served here."
        text = said if status in (404, 405) else str(getattr(error, "detail", error))
        return ErrorResponse(envelope(text, "invalid_request_error"), status)
