"""Opens a model: finds the file, settles its settings, starts its engine process and puts a chat model over it.

This is where weights, llama, engine and chat meet; callers see a `ChatModel` only.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypedDict, TypeVar

from platformdirs import user_cache_path

from ggufrun.chat.compile import Compiler
from ggufrun.chat.constraints import GrammarFactory
from ggufrun.chat.embedding import EmbeddingModel
from ggufrun.chat.local import LocalChatModel
from ggufrun.chat.prompt import capabilities, prompt_encoder
from ggufrun.chat.types import AnswerSettings, Capabilities, ChatModel, ModelInfo, Price
from ggufrun.engine.service import Service
from ggufrun.errors import GgufrunError, OptionError
from ggufrun.llama.pooling import makes_embeddings
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.opening.planning import Planning
from ggufrun.opening.seeing import Sight
from ggufrun.opening.starting import load
from ggufrun.settings import EngineOverrides, EngineSettings, ModelOverrides
from ggufrun.store.resolve import ResolvedModel, resolve
from ggufrun.userconfig import FILE_NAME, ModelDefaults, data_folder, load_user_settings
from ggufrun.weights.cards import Card
from ggufrun.weights.quants import quant_of

log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")


@asynccontextmanager
async def open_model(
    spec: str,
    overrides: ModelOverrides,
    engine: EngineSettings | EngineOverrides,
    *,
    name: str = "",
    chat_template: Path | None = None,
    on_progress: Callable[[float], None] | None = None,
    sparing: bool = True,
) -> AsyncIterator[ChatModel]:
    """A loaded model, closed on the way out.

    `spec` is `demo`, a path to a .gguf (the first file of a split set too) or the name of a card. `name` is what to
    call the model; without, it has its own, and the card's aliases. Settings come from `overrides`, then ggufrun.toml,
    then a plan for this machine (see `planning`). `on_progress` is called with 0 to 1 while the weights load, from any
    thread; it begins anew where memory did not suffice: `ModelInfo.note` says what is less then. Not `sparing`:
    OutOfMemory instead, for those who can free memory. `engine` as overrides is merged in the same order, as
    `EngineSettings` it is final; where nobody names a disk cache it is in the platform's cache folder
    (`disk_cache=None`: there is none).
    Raises `ModelNotFound`, `ModelFileError`, `OutOfMemory`, `OptionError` and `EngineError`.
    """
    home = data_folder(os.environ)
    found = resolve(spec, home)
    defaults = load_user_settings(home / FILE_NAME).for_model(*names(found, name))
    template = _read_template(chat_template or defaults.chat_template)
    given = {**defaults.model, **overrides}
    sight = Sight.of(found, given, templated=template is not None)
    remote = bool(given.get("rpc"))
    planning = Planning(spec, found, given, _engine(engine, defaults, remote=remote), home, sight)
    async with AsyncExitStack() as stack:
        # The worker loads while we read the vocabulary.
        async with _beside(_read, found, template, sight) as reading:
            loaded = await load(planning, on_progress, sparing=sparing)
            service = await stack.enter_async_context(aclosing(loaded.service))
            reader = await reading
        # Nobody waits for it; the first JSON answer gains.
        warming = asyncio.create_task(asyncio.to_thread(reader.warm))
        try:
            yield reader.model(service, defaults, loaded.note, name)
        finally:
            await warming


@asynccontextmanager
async def _beside(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> AsyncIterator[asyncio.Task[_T]]:
    """Work in a thread. What comes of it later than the way out, or unread, nobody wants."""
    task = asyncio.create_task(asyncio.to_thread(work, *args, **kwargs))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Reader:
    """The parent's half of a model: its vocabulary, prompts and grammars, without the weights."""

    def __init__(self, found: ResolvedModel, vocabulary: LlamaVocabulary, template: str | None, sight: Sight) -> None:
        self._found, self._vocabulary = found, vocabulary
        version, efforts = (found.card.tokenizer, found.card.efforts) if found.card else (None, ())
        self._encoder = prompt_encoder(
            vocabulary, template=template, version=version, efforts=efforts, vision=sight.vision
        )
        self._sight = sight if self._encoder.supports_vision else sight.blinded(found.name)
        self._grammars = GrammarFactory(vocabulary)

    @classmethod
    def open(cls, found: ResolvedModel, template: str | None, sight: Sight) -> "_Reader":
        return cls(found, LlamaVocabulary.from_path(found.path), template, sight)

    def warm(self) -> None:
        try:
            self._grammars.warm()
        except GgufrunError as error:  # a request with a grammar will be told
            log.info("grammars cannot be used: %s", error)

    def model(self, service: Service, defaults: ModelDefaults, note: str, name: str) -> ChatModel:
        loaded = service.info
        answering = answer_settings(self._found.card, defaults)
        grammars = self._grammars
        compiler = Compiler(self._vocabulary, self._encoder, grammars, loaded.context, answering, grammars.check)
        noted = "; ".join(filter(None, (note, self._sight.note)))
        info = _info(self._found, service, capabilities(self._encoder), answering, noted, name)
        info = replace(info, memory_bytes=info.memory_bytes + self._sight.bytes(self._found))
        return LocalChatModel(info, self._vocabulary, compiler, service)


class _EmbeddingReader:
    """The parent's half of an embedding model: its vocabulary."""

    def __init__(self, found: ResolvedModel) -> None:
        self._found, self._vocabulary = found, LlamaVocabulary.from_path(found.path)

    def warm(self) -> None:
        """Nothing comes late here."""

    def model(self, service: Service, defaults: ModelDefaults, note: str, name: str) -> ChatModel:
        able = Capabilities(chat=False, tools=False, embeddings=True)
        info = _info(self._found, service, able, AnswerSettings(), note, name)
        return EmbeddingModel(info, self._vocabulary, service)


def _read(found: ResolvedModel, template: str | None, sight: Sight) -> _Reader | _EmbeddingReader:
    embeds = makes_embeddings(found.header.metadata)
    return _EmbeddingReader(found) if embeds else _Reader.open(found, template, sight)


def _info(
    found: ResolvedModel, service: Service, able: Capabilities, answering: AnswerSettings, note: str, name: str
) -> ModelInfo:
    loaded = service.info
    return ModelInfo(
        name=name or found.name,
        context=loaded.context,
        context_train=loaded.context_train,
        vocabulary=loaded.vocabulary,
        parameters=loaded.parameters,
        description=loaded.description,
        defaults=answering,
        capabilities=able,
        memory_bytes=loaded.memory_bytes,
        dimensions=loaded.dimensions,
        note=note,
        **known(found, name),
    )


class Known(TypedDict):
    """Those fields of `ModelInfo` that a model's file and card say, loaded or not."""

    aliases: tuple[str, ...]
    file: str
    quant: str
    price: Price | None


def known(found: ResolvedModel, name: str = "") -> Known:
    """What callers may know of a model before it is loaded; `name` as for `open_model`."""
    card = found.card
    price = Price(card.price.prompt, card.price.completion) if card and card.price else None
    aliases = card.aliases if card and not name else ()
    return Known(aliases=aliases, file=found.path.name, quant=quant_of(found.path, found.header), price=price)


def names(found: ResolvedModel, name: str) -> tuple[str, tuple[str, ...]]:
    """What the user's settings may call a model, its name first; `name` as for `open_model`."""
    aliases = found.card.aliases if found.card else ()
    return (name, (found.name, *aliases)) if name else (found.name, aliases)


def _engine(given: EngineSettings | EngineOverrides, defaults: ModelDefaults, *, remote: bool) -> EngineSettings:
    """What was given over what the user wrote over ours. `remote`: saving states would use the network."""
    if isinstance(given, EngineSettings):
        return given
    ours = {"disk_cache": None if remote else user_cache_path("ggufrun", appauthor=False) / "prefixes"}
    return EngineSettings(**{**ours, **defaults.engine, **given})


def answer_settings(card: Card | None, defaults: ModelDefaults) -> AnswerSettings:
    """What the user wrote over the card's numbers over ours."""
    carded = card.sampling.numbers() if card else {}
    efforts = {
        name: {key: number for key, number in sampling.numbers().items() if key not in defaults.chat}
        for name, sampling in (card.sampling.effort if card else {}).items()
    }
    return AnswerSettings(**{**carded, **defaults.chat, "system": defaults.system or "", "by_effort": efforts})


def _read_template(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"The chat template {path} cannot be read: {error}.", "Give a Jinja file.") from error
