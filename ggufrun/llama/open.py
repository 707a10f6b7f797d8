"""The factory that the engine's worker opens llama.cpp models with: `engine.opened.Factory`, by the name in FACTORY."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ggufrun.engine.backend import MemoryKind, PictureEncoder
from ggufrun.engine.opened import Opened, OpenedEmbedder, OpenedModel
from ggufrun.errors import EngineError, InputError
from ggufrun.llama import library, rpc
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.context import ContextPlan, kv_bytes
from ggufrun.llama.devices import device_handles
from ggufrun.llama.embedder import LlamaEmbedder
from ggufrun.llama.identity import state_key
from ggufrun.llama.model import Model
from ggufrun.llama.pooling import makes_embeddings
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelSettings

log = logging.getLogger(__name__)

FACTORY = "ggufrun.llama.open:open_backend"


def open_backend(settings: ModelSettings, engine: EngineSettings, progress: Callable[[float], None]) -> Opened:
    """Load the weights and make the context. Raises ModelFileError, OptionError or OutOfMemory."""
    model = Model.load(settings, progress)
    try:
        if makes_embeddings(model.metadata):
            return _embedder(model, settings, engine)
        return _generator(model, settings, engine)
    except InputError:
        model.close()
        raise


def _generator(model: Model, settings: ModelSettings, engine: EngineSettings) -> OpenedModel:
    vocabulary = LlamaVocabulary(model)
    backend = LlamaBackend(model, ContextPlan.make(model, settings, engine))
    described = model.describe()
    full = backend.memory is MemoryKind.FULL
    cache = kv_bytes(model, backend.limits.context, settings.kv_type) if full else 0
    return OpenedModel(
        backend=backend,
        vocabulary=vocabulary,
        key=state_key(settings, backend.plan.flash_attention) if engine.disk_cache is not None else "",
        description=described.description,
        parameters=described.parameters,
        context_train=described.context_train,
        memory_bytes=described.size + cache,
        encoder=_encoder(model, settings, backend.plan.threads),
    )


class _Blind:
    """The encoder of a llama.cpp that cannot see: it refuses pictures."""

    def encode(self, *_: object) -> NoReturn:
        hint = "Install llama-cpp-python again, with libmtmd."
        raise EngineError("Pictures cannot be encoded: this llama.cpp comes without libmtmd.", hint)

    def close(self) -> None:
        pass


def _encoder(model: Model, settings: ModelSettings, threads: int) -> PictureEncoder | None:
    if settings.mmproj is None:
        return None
    try:
        from ggufrun.llama.vision import LlamaVision  # here, since text also runs with a llama.cpp without libmtmd
    except (ImportError, OSError, RuntimeError) as error:  # the binding raises any of these for a missing library
        log.warning("libmtmd cannot be opened: %s", error)
        return _Blind()
    offloads = library.supports_gpu() and settings.gpu_layers != 0 and settings.devices != ("none",)
    device = next(iter(device_handles(settings.devices)), None)
    if settings.rpc and device is None:  # pictures are encoded on this machine: libmtmd would take a worker
        device = next(iter(rpc.local_gpus(rpc.connect(settings.rpc))), None)
        offloads = offloads and device is not None
    return LlamaVision(Path(settings.mmproj), model, threads, offloads, device)


def _embedder(model: Model, settings: ModelSettings, engine: EngineSettings) -> OpenedEmbedder:
    backend = LlamaEmbedder(model, settings, engine.batch)
    described = model.describe()
    return OpenedEmbedder(
        backend=backend,
        description=described.description,
        parameters=described.parameters,
        context_train=described.context_train,
        memory_bytes=described.size + backend.cache_bytes,
    )
