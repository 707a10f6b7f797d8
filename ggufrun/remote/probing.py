"""What a remote is and has, asked once at the start. What is wrong with it is said in one line."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from ggufrun.chat.types import AnswerSettings, Capabilities, ModelInfo, Price
from ggufrun.errors import GgufrunError, cut
from ggufrun.remote.client import Client
from ggufrun.remote.embedding import embedded
from ggufrun.remote.engines import GGUFRUN, LLAMA_SERVER, MISTRAL, OPENAI, VLLM, Engine
from ggufrun.remote.keys import Key, key_of
from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote_errors import RemoteUnusable
from ggufrun.validation import nearest
from ggufrun.weights.cards import Card, card_called

Json = Mapping[str, Any]

TIMEOUT_S: Final = 15.0  # without a byte
WHOLE_S: Final = 60.0  # for a whole answer
_LISTED: Final = 5  # names in an error
_NUMBERS: Final = (
    *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"),
)
_OURS: Final = {"vllm": VLLM, "llamacpp": LLAMA_SERVER, "ggufrun": GGUFRUN}  # by `owned_by`


@dataclass(frozen=True, slots=True)
class Probed:
    """`settings.model` is what the remote calls its model."""

    settings: RemoteSettings
    engine: Engine
    info: ModelInfo
    card: Card | None = None  # where a known model has that name


async def probed(settings: RemoteSettings, cards: Sequence[Card] = ()) -> Probed:
    """Raises RemoteUnusable."""
    key = key_of(settings)
    quick = replace(settings, timeout_s=min(settings.timeout_s, TIMEOUT_S), retries=0)
    async with Client(quick, key) as client:
        asking = _Asking(quick, client, key)
        models = await asking.models()
        chosen = _chosen(settings, models)
        return await asking.probed(settings, chosen, cards)


class _Asking:
    def __init__(self, settings: RemoteSettings, client: Client, key: Key) -> None:
        self._settings, self._client, self._key = settings, client, key

    async def models(self) -> list[Json]:
        """What /v1/models lists."""
        try:
            async with asyncio.timeout(WHOLE_S):
                reply, body = await self._client.get(f"{self._settings.base}/models")
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._unreachable(error) from None  # nobody reads a traceback of a library's here
        if reply.status_code != 200:
            raise self._refused(reply, body)
        models = _json(body).get("data")
        if not isinstance(models, list) or not all(isinstance(each, dict) and each.get("id") for each in models):
            raise self._stranger("what answers there is no list of models")
        return models

    async def probed(self, settings: RemoteSettings, model: Json, cards: Sequence[Card]) -> Probed:
        engine = await self._engine(model)
        name = str(model["id"]) if not settings.model or engine.kind != "mistral" else settings.model
        settings = replace(settings, model=name)
        card = card_called(cards, name)
        more = await self._more(f"{settings.root}/props") if engine.kind == "llama-server" else {}
        context = settings.context or _context(model, more)
        hosted = card.price if card is not None else None
        price = Price(hosted.prompt, hosted.completion) if hosted is not None else None
        info = ModelInfo(
            name=settings.name,
            context=context,
            context_train=context,
            vocabulary=0,
            parameters=0,
            description=_line(f"{name}, answered by {engine.title} {engine.version}".rstrip()),
            defaults=_defaults(model),
            capabilities=_capabilities(engine, model, more),
            price=price,
            elsewhere=True,
            charges=settings.charges or (price if engine.kind == "mistral" else None),
        )
        return Probed(settings, engine, await self._measured(settings, engine, info), card)

    async def _engine(self, model: Json) -> Engine:
        if self._settings.kind == "mistral":
            return MISTRAL
        engine = _OURS.get(str(model.get("owned_by")), OPENAI)
        if engine is OPENAI and "max_model_len" in model:
            engine = VLLM
        if engine is VLLM:
            version = (await self._more(f"{self._settings.root}/version")).get("version")
            return replace(VLLM, version=str(version)) if version else VLLM
        return engine

    async def _more(self, url: str) -> Json:
        """What an engine's own route says; nothing where it is closed."""
        try:
            async with asyncio.timeout(WHOLE_S):
                reply, body = await self._client.get(url)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
            return {}
        return _json(body) if reply.status_code == 200 else {}

    async def _measured(self, settings: RemoteSettings, engine: Engine, info: ModelInfo) -> ModelInfo:
        """An embedding model says nowhere how long its vectors are: one is made."""
        if not info.capabilities.embeddings:
            return info
        try:
            made = await embedded(self._client, engine, info, settings.model, ["?"])
        except GgufrunError as error:
            raise RemoteUnusable(settings.name, f"it makes no embedding: {error.message}") from None
        return replace(info, dimensions=len(made.vectors[0]) // 4)

    def _unreachable(self, error: Exception) -> RemoteUnusable:
        words = self._key.hide(" ".join(str(error).split()))
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            why = "no answer came in time"
        elif "CERTIFICATE" in words.upper():
            why = f"its certificate is not trusted here ({cut(words)})"
        elif isinstance(error, httpx.ConnectError):
            why = "nobody answers there"
        else:
            why = f"what answers there does not speak HTTP as it should ({cut(words)})"
        return self._unusable(why, "Check the address, and that the engine runs.")

    def _refused(self, reply: httpx.Response, body: bytes) -> RemoteUnusable:
        status, variable = reply.status_code, self._settings.key_env
        said = self._client.faults.said(body, reply.headers.get("content-type", ""))
        if status in (401, 403):
            if variable:
                return self._unusable(f"it does not accept the key in {variable} ({status})", "Give it the right one.")
            hint = f"Put it into an environment variable, and name that: key_env in [remotes.{self._settings.name}]."
            return self._unusable(f"it wants a key ({status})", hint)
        if reply.is_redirect:
            host = _host(reply.headers.get("location", ""))
            return self._unusable(f"it sends one elsewhere, to {host or 'nowhere'}", "Write that address.")
        if status in (404, 405, 410):
            return self._stranger(f"it has no list of models ({status})")
        return self._unusable(f"it answers {status}: {said.words}", "Try again when it is ready.")

    def _stranger(self, why: str) -> RemoteUnusable:
        return self._unusable(why, "Is the url right? It ends with /v1, or with the host and port.")

    def _unusable(self, why: str, hint: str) -> RemoteUnusable:
        return RemoteUnusable(self._settings.name, f"{self._settings.base}: {why}.", hint)


def _chosen(settings: RemoteSettings, models: Sequence[Json]) -> Json:
    """The model that is meant. Raises RemoteUnusable, with the nearest name."""
    names = [str(model["id"]) for model in models]
    wanted = settings.model
    shown = ", ".join(map(_line, names[:_LISTED])) + (", …" if len(names) > _LISTED else "")
    if not wanted:
        if len(models) == 1:
            return models[0]
        hint = f'It has {shown}: write model = "…" in [remotes.{settings.name}].' if names else ""
        raise RemoteUnusable(settings.name, f"it has {len(names)} models, and none is named.", hint)
    for model in models:
        aliases = model.get("aliases")
        if wanted in (model["id"], *(aliases if isinstance(aliases, list) else ())):
            return model
    near = nearest(wanted, names, 1)
    hint = f"Did you mean {_line(near[0])!r}?" if near else f"It has {shown}." if names else "It has none."
    raise RemoteUnusable(settings.name, f"it has no model {cut(wanted)!r}.", hint)


def _line(words: str) -> str:
    """What a remote calls something, as it can be shown."""
    return cut("".join(each if each.isprintable() else "�" for each in words))


def _host(address: str) -> str:
    """Without a user and a password, which an address may have."""
    try:
        return _line(urlsplit(address).hostname or "")
    except ValueError:
        return ""


def _json(body: bytes) -> Json:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _context(model: Json, props: Json) -> int:
    """Tokens, as the remote says; 0 where it does not."""
    meta, settings = model.get("meta"), props.get("default_generation_settings")
    said = (
        model.get("max_model_len"),
        model.get("max_context_length"),
        settings.get("n_ctx") if isinstance(settings, dict) else None,
        *((meta.get("n_ctx"), meta.get("n_ctx_train")) if isinstance(meta, dict) else ()),
        model.get("context_length"),
        model.get("context_window"),
    )
    return next((int(each) for each in said if isinstance(each, int) and each > 0), 0)


def _capabilities(engine: Engine, model: Json, props: Json) -> Capabilities:
    """Where nobody says, everything may be asked for: the remote refuses what it cannot do."""
    able = model.get("capabilities")
    if isinstance(able, dict):
        return Capabilities(
            chat=bool(able.get("completion_chat", True)),
            tools=bool(able.get("function_calling", True)),
            reasoning=bool(able.get("reasoning", False)),
            fim=bool(able.get("completion_fim", False)),
            vision=bool(able.get("vision", False)),
            embeddings=bool(able.get("embeddings", False)),
        )
    senses = props.get("modalities")
    vision = bool(senses.get("vision")) if isinstance(senses, dict) else True
    return Capabilities(vision=vision)


def _defaults(model: Json) -> AnswerSettings:
    """How the remote answers where a request does not say, as far as it tells."""
    told = model.get("default_sampling")  # another ggufrun's
    said = dict(told) if isinstance(told, dict) else {}
    said.setdefault("temperature", model.get("default_model_temperature"))
    numbers = {name: said[name] for name in _NUMBERS if _is_number(said.get(name))}
    return AnswerSettings(**numbers)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e9 < value < 1e9
