"""Which models make embeddings, and how long an input of theirs may be: from the GGUF's metadata alone."""

from collections.abc import Mapping
from typing import Final

LONGEST: Final = 8192  # tokens of one input at most, where no context is asked for
ARCHITECTURES: Final = frozenset(
    (
        *("bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "modern-bert"),
        *("eurobert", "gemma-embedding", "llama-embed", "t5encoder"),
    )
)


def makes_embeddings(metadata: Mapping[str, object]) -> bool:
    """Whether a GGUF with this metadata gives vectors, and so is no chat model."""
    return metadata.get("general.architecture") in ARCHITECTURES or said(metadata, "pooling_type") not in ("", "0")


def longest_of(context: int | None, context_train: int) -> int:
    """Tokens. Many of these models have no positions beyond those that they were trained with."""
    return min(context or LONGEST, context_train)


def said(metadata: Mapping[str, object], key: str) -> str:
    """What the model's architecture has under `key`, "" where it has nothing."""
    value = metadata.get(f"{metadata.get('general.architecture')}.{key}")
    return "" if value is None else str(value)
