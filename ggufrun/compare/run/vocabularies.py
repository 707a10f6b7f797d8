"""Whether models can be compared token by token: only with the same vocabulary and the same way to make tokens"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from ggufrun.compare.run.contender import Contender
from ggufrun.errors import OptionError
from ggufrun.weights.fields import ArrayField, ValueType
from ggufrun.weights.header import Header

_TOKENS: Final = "tokenizer.ggml.tokens"
_SAME: Final = (  # what must be the same, and what a difference is called
    ("tokenizer.ggml.model", "kinds of tokenizer"),
    (_TOKENS, "vocabularies"),
    ("tokenizer.ggml.pre", "ways to split text"),
    ("tokenizer.ggml.merges", "merges"),
    ("tokenizer.ggml.scores", "scores of tokens"),
    ("tokenizer.ggml.bos_token_id", "beginnings of a text"),
    ("tokenizer.ggml.add_bos_token", "beginnings of a text"),
)


def check_same(reference: Contender, others: Sequence[Contender]) -> None:
    """Raises OptionError with the reason where one of them cannot be compared with the reference."""
    wanted = dict(_facts(reference.header))
    for other in others:
        for key, fact in _facts(other.header):
            if fact != wanted[key]:
                raise _differ(reference, other, key)


def _facts(header: Header) -> Iterator[tuple[str, object]]:
    for key, _ in _SAME:
        value = header.metadata.get(key)
        if not isinstance(value, ArrayField):
            yield key, value
        elif value.type is ValueType.STRING:
            yield key, hashlib.sha256(b"\0".join(header.raw_strings(key))).hexdigest()
        else:
            yield key, hashlib.sha256(header.numbers(key).tobytes()).hexdigest()


def _differ(reference: Contender, other: Contender, key: str) -> OptionError:
    names = f"{reference.path.name} and {other.path.name}"
    what = dict(_SAME)[key]
    counts = [each.header.length(_TOKENS) or 0 for each in (reference, other)]
    if key == _TOKENS and counts[0] != counts[1]:
        detail = f" ({counts[0]:,} and {counts[1]:,} tokens)"
    elif not isinstance(reference.header.metadata.get(key), ArrayField):
        values = [_said(each.header.metadata.get(key)) for each in (reference, other)]
        detail = f" ({values[0]} and {values[1]})"
    else:
        detail = ""
    return OptionError(
        f"{names} have different {what}{detail}: their tokens are not the same, so neither are their probabilities.",
        "Compare quants of one model.",
    )


def _said(value: object) -> str:
    return "none" if value is None else str(value)
