"""GET /metrics: for Prometheus, which can send a key as a bearer token where keys exist."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from ggufrun.api.calls.call import authorized
from ggufrun.api.docs import errors
from ggufrun.api.gateway import Gateway, gateway_of

router = APIRouter()


@router.get(
    "/metrics",
    tags=["server"],
    summary="Counters for Prometheus",
    dependencies=[Depends(authorized)],
    response_class=Response,  # without a media type, so that the errors keep theirs
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **errors(401)},
)
async def metrics(request: Request, gateway: Annotated[Gateway, Depends(gateway_of)]) -> Response:
    """Prometheus' text format. Where keys exist, any of them will do."""
    content, kind = gateway.metrics.exposition(gateway.models.served(), request.headers.get("accept", ""))
    return Response(content, media_type=kind)
