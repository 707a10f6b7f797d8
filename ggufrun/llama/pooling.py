"""Which models make embeddings, and how one makes a text's vector out of its tokens': from the GGUF's metadata."""

from collections.abc import Mapping
from typing import Final

from llama_cpp import llama_cpp as ll

from ggufrun.errors import ModelFileError
from ggufrun.llama.model import Model
from ggufrun.settings import ModelSettings

DEFAULT_LONGEST: Final = 8192  # tokens of one input at most, where no context is asked for
_ARCHITECTURES: Final = {
    *("bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "modern-bert", "eurobert"),
    *("gemma-embedding", "llama-embed", "t5encoder"),
}
_POOLED: Final = (ll.LLAMA_POOLING_TYPE_MEAN, ll.LLAMA_POOLING_TYPE_CLS, ll.LLAMA_POOLING_TYPE_LAST)


def makes_embeddings(metadata: Mapping[str, object]) -> bool:
    """Whether a GGUF with this metadata gives vectors, and so is no chat model."""
    return metadata.get("general.architecture") in _ARCHITECTURES or _said(metadata, "pooling_type") not in ("", "0")


def longest_input(settings: ModelSettings, context_train: int) -> int:
    """Tokens. Many of these models have no positions beyond those that they were trained with."""
    return min(settings.context or DEFAULT_LONGEST, context_train)


def pooling_type(model: Model) -> int:
    """llama.cpp's number; the mean where the file says nothing. ModelFileError where no vector stands for a text."""
    said = _said(model.metadata, "pooling_type")
    kind = int(said) if said else int(ll.LLAMA_POOLING_TYPE_MEAN)
    if kind == ll.LLAMA_POOLING_TYPE_RANK:
        raise ModelFileError(model.path, "is a reranker: it scores pairs of texts", "Choose an embedding model.")
    if kind not in _POOLED:
        reason = "gives a vector for each token and none for a text"
        raise ModelFileError(model.path, reason, "Choose an embedding model with pooling.")
    return kind


def reads_in_parts(model: Model, pooling: int) -> bool:
    """Whether an input need not be computed in one piece: its last token counts, and no token sees those behind it."""
    bidirectional = model.metadata.get("general.architecture") in _ARCHITECTURES
    causal = not bidirectional and _said(model.metadata, "attention.causal").lower() != "false"
    return causal and pooling == ll.LLAMA_POOLING_TYPE_LAST


def _said(metadata: Mapping[str, object], key: str) -> str:
    """What the model's architecture has under `key`, "" where it has nothing."""
    value = metadata.get(f"{metadata.get('general.architecture')}.{key}")
    return "" if value is None else str(value)
