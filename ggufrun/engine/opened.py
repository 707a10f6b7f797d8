"""What a worker gets from the factory that opens its model: the seam that keeps llama.cpp out of the engine."""

from collections.abc import Callable
from dataclasses import dataclass

from ggufrun.engine.backend import Backend, EmbeddingBackend, PictureEncoder
from ggufrun.engine.vocabulary import Vocabulary
from ggufrun.settings import EngineSettings, ModelSettings


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model ready to compute. `key` names everything that a saved state depends on, for the disk cache.

    That is: the model file's identity, the LoRA adapters, the vision encoder, the KV type and the library's version.
    """

    backend: Backend
    vocabulary: Vocabulary
    key: str
    description: str = ""  # llama.cpp's, e.g. "llama 135M Q4_1"
    parameters: int = 0
    context_train: int = 0
    memory_bytes: int = 0  # about, on all devices: weights and, where its size is known, the KV cache; 0: unknown
    encoder: PictureEncoder | None = None  # None: the model sees no pictures


@dataclass(frozen=True, slots=True)
class OpenedEmbedder:
    """An embedding model ready to compute; the other fields are `OpenedModel`'s."""

    backend: EmbeddingBackend
    description: str = ""
    parameters: int = 0
    context_train: int = 0
    memory_bytes: int = 0


Opened = OpenedModel | OpenedEmbedder

# (model, engine, progress from 0 to 1) -> Opened. Raises InputError for what the user can mend.
Factory = Callable[[ModelSettings, EngineSettings, Callable[[float], None]], Opened]
