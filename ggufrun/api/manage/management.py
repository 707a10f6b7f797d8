"""/ggufrun/v1: what is managed over HTTP. All of it needs the admin scope, on a server also before there are keys."""

import asyncio
import os
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from ggufrun.api.calls.call import Administered
from ggufrun.api.calls.event_stream import unless_left
from ggufrun.api.conversation.incoming import Body
from ggufrun.api.docs import errors
from ggufrun.api.gateway import Gateway
from ggufrun.api.named_file import named_file
from ggufrun.errors import ModelNotFound, OptionError, UnknownModel
from ggufrun.pool.served import ServedModel, State
from ggufrun.records.keys import Key, KeyStore
from ggufrun.records.usage_report import By, UsageReport, UsageRow, usage_report

router = APIRouter(prefix="/ggufrun/v1", tags=["management"])
_REFUSED = errors(401, 403)
_UNKNOWN = errors(401, 403, 404)
_LOADS = errors(400, 401, 403, 404, 500, 503)
_KEYS = errors(400, 401, 403, 422)


class ManagedModel(BaseModel):
    """A model and what becomes of it. Times in seconds."""

    name: str
    aliases: list[str]
    state: State = Field(description="`waiting` is for a place; `unloading` until its requests have ended.")
    progress: float = Field(description="0 to 1, while it loads.")
    error: str = Field(description="Why it could not be loaded the last time.")
    active: int = Field(description="Requests that it answers, or that wait for it.")
    idle_s: float | None = Field(description="Since its last request; null: never used.")
    ttl_s: float | None = Field(description="It is unloaded after so long without a request; null: never.")
    memory_bytes: int = Field(description="About what it takes now: weights, KV cache, and what images may take.")
    needs_bytes: int = Field(description="About what it takes when it is loaded.")
    context: int
    quant: str
    file: str
    path: str = Field("", description="The file with all its folders, as /library/local has it; empty: not known.")
    completion_chat: bool = Field(True, description="Whether it chats; others make embeddings.")
    vision: bool = Field(False, description="Whether it sees images.")
    description: str
    note: str = Field("", description="What is less than it could be, and why.")

    @classmethod
    def of(cls, model: ServedModel) -> "ManagedModel":
        info = model.info
        return cls(
            name=info.name,
            aliases=list(info.aliases),
            state=model.state,
            progress=model.progress,
            error=model.error,
            active=model.active,
            idle_s=model.idle_s,
            ttl_s=model.ttl_s,
            memory_bytes=info.memory_bytes if model.state in ("loading", "ready", "unloading") else 0,
            needs_bytes=info.memory_bytes,
            context=info.context,
            quant=info.quant,
            file=info.file,
            path=model.path,
            completion_chat=info.capabilities.chat,
            vision=info.capabilities.vision,
            description=info.description,
            note=info.note,
        )


class ManagedModels(BaseModel):
    data: list[ManagedModel]


class NewModel(Body):
    spec: str = Field(
        min_length=1,
        max_length=4096,
        description="What `ggufrun serve` takes: a name of /library/local, a card's, a path.",
        examples=["demo"],
    )
    name: str = Field("", max_length=100, description="What to call it; without: its own name, or one made of that.")


class UsageSums(BaseModel):
    """Tokens, medians of seconds and speed, and what the hosted models would have cost in USD."""

    by: By
    since: datetime | None
    rows: list[UsageRow]
    total: UsageRow


class ListedKey(BaseModel):
    name: str
    scope: Literal["chat", "admin"]
    tokens_per_day: int | None
    models: list[str]
    created: datetime

    @classmethod
    def of(cls, key: Key) -> "ListedKey":
        created = datetime.fromtimestamp(key.created, UTC)
        return cls(**{**asdict(key), "models": list(key.models), "created": created})


class ListedKeys(BaseModel):
    data: list[ListedKey]


class NewKey(Body):
    name: str = Field(examples=["laptop"])
    scope: Literal["chat", "admin"] = "chat"
    tokens_per_day: int | None = Field(None, ge=1, lt=2**63, description="Prompt and answer together, each day (UTC).")
    models: list[str] = Field([], description="Names of the models it may use; none: all.")


class MadeKey(BaseModel):
    name: str
    key: str = Field(description="The secret. It is shown this once.")
    note: str = Field("", description="What may not be as it was meant.")


class ServerState(BaseModel):
    version: str
    pid: int
    started: datetime | None
    address: str


class Stopping(BaseModel):
    stopping: bool = True


@router.get("/models", summary="List the models and their states", responses=_REFUSED)
async def managed_models(gateway: Administered) -> ManagedModels:
    return ManagedModels(data=[ManagedModel.of(model) for model in gateway.models.served()])


@router.post("/models", summary="Serve one more model", responses=errors(400, 401, 403, 404, 422, 503), status_code=201)
async def add_model(body: NewModel, gateway: Administered) -> ManagedModel:
    """It is loaded when it is first asked for, or by `/load`. What the server was started with holds for it, too.

    Where its name is another quant's of the same model, it is called `name:QUANT`. A file that is served already is
    refused with the code `served_already`, and `served_as` has the name of the model that it is.
    """
    with named_file():
        name = await gateway.models.add(body.spec, body.name)
    return ManagedModel.of(_find(gateway, name))


@router.delete("/models/{name:path}", summary="Serve a model no more", responses=_UNKNOWN | errors(400))
async def remove_model(name: str, gateway: Administered, request: Request) -> ManagedModel:
    """Answers with its last state once its memory is free. Requests that it answers are not cut; its file stays."""
    found = _find(gateway, name)
    await unless_left(request.receive, gateway.models.remove(found.info.name))
    return ManagedModel.of(replace(found, state="unloaded", active=0, progress=0.0))


@router.get("/models/{name:path}", summary="One model's state", responses=_UNKNOWN)
async def managed_model(name: str, gateway: Administered) -> ManagedModel:
    return ManagedModel.of(_find(gateway, name))


@router.post("/models/{name:path}/load", summary="Load a model", responses=_LOADS)
async def load_model(
    name: str,
    gateway: Administered,
    request: Request,
    wait: Annotated[bool, Query(description="Answer when it is loaded; otherwise at once.")] = True,
) -> ManagedModel:
    found = _find(gateway, name).info.name
    await unless_left(request.receive, gateway.models.load(found, wait=wait))
    return ManagedModel.of(_find(gateway, found))


@router.post("/models/{name:path}/unload", summary="Unload a model", responses=errors(400, 401, 403, 404))
async def unload_model(
    name: str,
    gateway: Administered,
    request: Request,
    wait: Annotated[bool, Query(description="Answer when its memory is free; otherwise at once.")] = True,
) -> ManagedModel:
    """Requests that it answers are waited for; new ones load it again."""
    found = _find(gateway, name).info.name
    await unless_left(request.receive, gateway.models.unload(found, wait=wait))
    return ManagedModel.of(_find(gateway, found))


@router.get("/usage", summary="What the calls used", responses=_KEYS)
async def usage_sums(
    gateway: Administered,
    by: By = "day",
    since: Annotated[datetime | None, Query(description="Calls that began then or later.")] = None,
) -> UsageSums:
    if gateway.ledger is None:
        raise OptionError("This server records no calls.", "Start it with `ggufrun serve`.")
    start = since.replace(tzinfo=since.tzinfo or UTC) if since is not None else None
    report: UsageReport = await asyncio.to_thread(
        usage_report, gateway.ledger.path, by, start.timestamp() if start is not None else 0.0
    )
    return UsageSums(by=by, since=start, rows=list(report.rows), total=report.total)


@router.get("/keys", summary="List the keys, without their secrets", responses=_KEYS)
async def list_keys(gateway: Administered) -> ListedKeys:
    return ListedKeys(data=[ListedKey.of(key) for key in await asyncio.to_thread(_keys(gateway).listed)])


@router.post("/keys", summary="Make a key", responses={**_KEYS, **errors(409, 503)}, status_code=201)
async def make_key(body: NewKey, gateway: Administered) -> MadeKey:
    """From the first one on, every request needs a key."""
    add = _keys(gateway).add
    secret = await asyncio.to_thread(add, body.name, body.scope, body.tokens_per_day, body.models)
    served = {name.lower() for model in gateway.models.served() for name in model.names}
    missing = ", ".join(name for name in body.models if name.lower() not in served)
    return MadeKey(name=body.name, key=secret, note=f"Not served here now: {missing}." if missing else "")


@router.delete("/keys/{name}", summary="Revoke a key", responses={**_KEYS, **errors(404, 503)})
async def revoke_key(name: str, gateway: Administered) -> ListedKey:
    return ListedKey.of(await asyncio.to_thread(_keys(gateway).revoke, name))


@router.get("/server", summary="The server itself", responses=_REFUSED)
async def server_state(gateway: Administered) -> ServerState:
    control = gateway.control
    return ServerState(
        version=gateway.version,
        pid=os.getpid(),
        started=datetime.fromtimestamp(control.started, UTC) if control else None,
        address=control.url if control else "",
    )


@router.post("/stop", summary="End the server", responses=errors(400, 401, 403), status_code=202)
async def stop_server(gateway: Administered) -> Stopping:
    """As SIGTERM does: answers that run have a moment to end."""
    if gateway.control is None:
        raise OptionError("This server is not run by `ggufrun serve`.", "End the program that runs it.")
    gateway.control.stop()
    return Stopping()


def _find(gateway: Gateway, name: str) -> ServedModel:
    try:
        return gateway.find(name)
    except UnknownModel as error:
        raise ModelNotFound(name, error.served) from error


def _keys(gateway: Gateway) -> KeyStore:
    if gateway.keys is None:
        raise OptionError("This server has no keys.", "Start it with `ggufrun serve`.")
    return gateway.keys
