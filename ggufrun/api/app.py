"""The HTTP application: routes, and errors in the envelope that both dialects read."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from ggufrun.api.agents import messages, responses
from ggufrun.api.chats import chats, counting, presets, running, transfer
from ggufrun.api.compare import reports, votes
from ggufrun.api.conversation import chat, fim
from ggufrun.api.docs import DESCRIPTION, Documented, add_docs_page
from ggufrun.api.errors import ErrorResponse, envelope, error_response
from ggufrun.api.front.beside_page import BesidePage
from ggufrun.api.front.guard import guarded
from ggufrun.api.front.json_body import JsonBody
from ggufrun.api.front.key_check import KeyCheck
from ggufrun.api.front.recorder import Recorder
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.invalid import bad_json_response, invalid_response, not_json_response
from ggufrun.api.library import job_routes, routes
from ggufrun.api.manage import calls, management, models, own_key, scrape, shadows
from ggufrun.api.manage.metrics import Metrics
from ggufrun.api.not_served import not_served
from ggufrun.api.text import completions, embeddings, schemas, tokenize
from ggufrun.chat.types import ChatModel
from ggufrun.errors import ClientLeft, GgufrunError
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
    transfer.router,
    counting.router,
    chats.router,
    running.router,
    presets.router,
    votes.router,
    reports.router,
    calls.router,
    own_key.router,
    shadows.router,
    management.router,
    routes.router,
    job_routes.router,
)


def create_app(gateway: Gateway, page: ASGIApp | None = None) -> ASGIApp:
    """An ASGI application over the gateway; the caller opens and closes what is in it.

    `page` gets the requests that are its own, and stands behind the same guard.
    """
    # Outside of the application's own handler for bugs, so that its replies too have a request id.
    checked = KeyCheck(create_api(gateway), gateway)
    api = Recorder(checked, gateway.metrics)
    return guarded(api if page is None else BesidePage(api, page), gateway.settings)


def create_api(gateway: Gateway) -> FastAPI:
    """The routes and their errors, without what stands in front of them."""
    app = Documented(
        title="ggufrun",
        description=DESCRIPTION,
        version=gateway.version,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        generate_unique_id_function=lambda route: route.name,
        servers=[{"url": gateway.settings.root_path or "/"}],
    )
    app.add_middleware(JsonBody)
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
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        errors = error.errors()
        if errors and errors[0]["type"] == "json_invalid":
            return bad_json_response(errors[0], error.body)
        return invalid_response(errors, error.body)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code in (404, 405):
            return not_served(request, error)
        if isinstance(error.__cause__, ClientDisconnect):
            return error_response(ClientLeft())
        if isinstance(error.__cause__, ValueError | RecursionError):  # FastAPI's, where it could not read the body
            return not_json_response(error.__cause__)
        return ErrorResponse(envelope(str(error.detail), "invalid_request_error"), error.status_code, error.headers)
