"""The factory that the engine's worker opens llama.cpp models with: `engine.opened.Factory`, by the name in FACTORY."""

from collections.abc import Callable

from ggufrun.engine.backend import MemoryKind
from ggufrun.engine.opened import Opened, OpenedEmbedder, OpenedModel
from ggufrun.errors import InputError
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.context import ContextPlan, kv_bytes
from ggufrun.llama.embedder import LlamaEmbedder
from ggufrun.llama.identity import state_key
from ggufrun.llama.model import Model
from ggufrun.llama.pooling import makes_embeddings
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelSettings

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
    )


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
