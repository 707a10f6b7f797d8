"""How a model that makes embeddings makes a text's vector out of its tokens': from the GGUF's metadata."""

from typing import Final

from llama_cpp import llama_cpp as ll

from ggufrun.errors import ModelFileError
from ggufrun.llama.model import Model
from ggufrun.settings import ModelSettings
from ggufrun.weights.embeddings import ARCHITECTURES, longest_of, said
from ggufrun.weights.embeddings import makes_embeddings as makes_embeddings

_POOLED: Final = (ll.LLAMA_POOLING_TYPE_MEAN, ll.LLAMA_POOLING_TYPE_CLS, ll.LLAMA_POOLING_TYPE_LAST)


def longest_input(settings: ModelSettings, context_train: int) -> int:
    """Tokens. Many of these models have no positions beyond those that they were trained with."""
    return longest_of(settings.context, context_train)


def pooling_type(model: Model) -> int:
    """llama.cpp's number; the mean where the file says nothing. ModelFileError where no vector stands for a text."""
    told = said(model.metadata, "pooling_type")
    kind = int(told) if told else int(ll.LLAMA_POOLING_TYPE_MEAN)
    if kind == ll.LLAMA_POOLING_TYPE_RANK:
        raise ModelFileError(model.path, "is a reranker: it scores pairs of texts", "Choose an embedding model.")
    if kind not in _POOLED:
        reason = "gives a vector for each token and none for a text"
        raise ModelFileError(model.path, reason, "Choose an embedding model with pooling.")
    return kind


def reads_in_parts(model: Model, pooling: int) -> bool:
    """Whether an input need not be computed in one piece: its last token counts, and no token sees those behind it."""
    bidirectional = model.metadata.get("general.architecture") in ARCHITECTURES
    causal = not bidirectional and said(model.metadata, "attention.causal").lower() != "false"
    return causal and pooling == ll.LLAMA_POOLING_TYPE_LAST
