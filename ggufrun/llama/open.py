"""The factory that the engine's worker opens llama.cpp models with: `engine.opened.Factory`, by the name in FACTORY."""

from collections.abc import Callable

from ggufrun.engine.backend import MemoryKind
from ggufrun.engine.opened import OpenedModel
from ggufrun.errors import InputError
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.context import kv_bytes
from ggufrun.llama.identity import state_key
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelSettings

FACTORY = "ggufrun.llama.open:open_backend"


def open_backend(model: ModelSettings, engine: EngineSettings, progress: Callable[[float], None]) -> OpenedModel:
    """Load the weights and make the context. Raises ModelFileError, OptionError or OutOfMemory."""
    backend = LlamaBackend.load(model, engine, progress)
    try:
        vocabulary = LlamaVocabulary(backend.model)
    except InputError:
        backend.close()
        raise
    described = backend.model.describe()
    full = backend.memory is MemoryKind.FULL
    cache = kv_bytes(backend.model, backend.limits.context, model.kv_type) if full else 0
    return OpenedModel(
        backend=backend,
        vocabulary=vocabulary,
        key=state_key(model, backend.plan.flash_attention) if engine.disk_cache is not None else "",
        description=described.description,
        parameters=described.parameters,
        context_train=described.context_train,
        memory_bytes=described.size + cache,
    )
