"""Random JSON schemas of the kinds that people ask models for, and random answers under a grammar. Seeded, no model."""

import random
from typing import Any

import numpy as np
import numpy.typing as npt

from ggufrun.engine.grammar import Constraint, fill_masks
from ggufrun.engine.vocabulary import Vocabulary

_WORDS = ("name", "id", "kind", "tags", "price", "a b", "naïve", "note", "size", "x")
_PATTERNS = (
    "^[a-z]{3}$",
    "^[A-Z][a-z]+$",
    "^(foo|bar)+$",
    "^\\+?[0-9]{3,9}$",
    "^#[0-9a-fA-F]{6}$",
    "^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$",
    "^(cat.*dog|horse.*cow)$",
    "^INV-.*-[0-9]{4}$",
    "^(USD|EUR) \\d+\\.\\d{2}$",
    # anywhere in the string:
    "[0-9]{2}-[0-9]{2}",
    "\\d{4}-\\d{2}-\\d{2}",
    "\\(\\d{3}\\) \\d{3}-\\d{4}",
    "\\w{3,}@\\w+\\.com",
    "v?\\d+\\.\\d+\\.\\d+",
    "[A-Z]{3}-\\d{4}",
    "(red|green) (car|bus)",
    '"[^"]+"',
    "https?://",
    "\\.pdf$",
)
_FORMATS = ("date", "date-time", "time", "email", "ipv4", "uuid", "uri", "hostname")


def random_schema(rng: random.Random, depth: int = 3) -> dict[str, Any]:
    kinds = [_string, _number, _integer, _choice, _simple]
    return rng.choice(kinds + [_object, _object, _array, _either] * (depth > 0))(rng, depth)


def _object(rng: random.Random, depth: int) -> dict[str, Any]:
    names = rng.sample(_WORDS, rng.randint(0, 4))
    schema: dict[str, Any] = {"type": "object", "properties": {name: random_schema(rng, depth - 1) for name in names}}
    schema["required"] = [name for name in names if rng.random() < 0.6]
    if rng.random() < 0.7:
        schema["additionalProperties"] = False
    elif rng.random() < 0.5:
        schema["additionalProperties"] = random_schema(rng, 0)
    return schema


def _array(rng: random.Random, depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array", "items": random_schema(rng, depth - 1)}
    if rng.random() < 0.5:
        schema["minItems"] = rng.randint(0, 3)
    if rng.random() < 0.5:
        schema["maxItems"] = rng.randint(3, 6)
    return schema


def _either(rng: random.Random, depth: int) -> dict[str, Any]:
    return {"anyOf": [random_schema(rng, depth - 1) for _ in range(rng.randint(1, 3))]}


def _string(rng: random.Random, depth: int) -> dict[str, Any]:
    extra: list[dict[str, Any]] = [{}, {}, {"minLength": 4}, {"maxLength": 5}, {"minLength": 20, "maxLength": 30}]
    if rng.random() < 0.5:
        pattern = rng.choice(_PATTERNS)
        extra += [{"pattern": pattern}, {"pattern": pattern}, {"format": rng.choice(_FORMATS)}]
    return {"type": "string", **rng.choice(extra)}


def _number(rng: random.Random, depth: int) -> dict[str, Any]:
    return {"type": "number", **rng.choice(({}, {"minimum": 0.5}, {"exclusiveMaximum": -3}, {"multipleOf": 0.25}))}


def _integer(rng: random.Random, depth: int) -> dict[str, Any]:
    return {"type": "integer", **rng.choice(({}, {"minimum": 1000}, {"minimum": 1, "multipleOf": 7}, {"maximum": -5}))}


def _choice(rng: random.Random, depth: int) -> dict[str, Any]:
    values = ("red", "green", "light blue", 1, -2.5, None, True, 'say "hi"\n', {"k": [1]})
    return {"enum": rng.sample(values, rng.randint(1, 4))}


def _simple(rng: random.Random, depth: int) -> dict[str, Any]:
    return rng.choice(({"type": "boolean"}, {"type": "null"}, {"const": "fixed"}, {}, {"type": ["string", "null"]}))


class Rambler:
    """Answers with random allowed tokens, and mostly ends only when it must: a weak model."""

    def __init__(self, vocabulary: Vocabulary, rng: random.Random) -> None:
        self._vocabulary, self._rng = vocabulary, rng
        self._ends = [token for token in range(len(vocabulary)) if vocabulary.is_end(token)]
        self._masks = np.zeros((1, (len(vocabulary) + 31) // 32), np.int32)
        self.forced = 0
        self.closed = False

    def answer(self, constraint: Constraint, budget: int) -> list[int]:
        """Token ids; never more than `budget`, or the constraint forced too many."""
        begun = constraint.begin(budget)
        tokens = list(begun.tokens)
        self.forced, self.closed, finished = begun.forced, False, begun.finished
        while len(tokens) < budget and not finished:
            token = self._token(constraint)
            if token is None:
                break
            step = constraint.advance(token, budget - len(tokens))
            tokens += step.tokens
            self.forced += step.forced
            finished, self.closed = step.finished, step.closed
        return tokens

    def text(self, tokens: list[int]) -> str:
        return b"".join(self._vocabulary.piece(token) for token in tokens).decode("utf-8", "replace")

    def allowed(self, constraint: Constraint) -> list[int]:
        return [int(token) for token in np.flatnonzero(self._bits(constraint))]

    def _bits(self, constraint: Constraint) -> npt.NDArray[np.uint8]:
        fill_masks([constraint], self._masks)
        return np.unpackbits(self._masks[0].view(np.uint8), bitorder="little")

    def _token(self, constraint: Constraint) -> int | None:
        bits = self._bits(constraint)
        may_end = bits[self._ends].any()
        bits[self._ends] = 0
        others = np.flatnonzero(bits)
        if not len(others) or (may_end and self._rng.random() < 0.1):
            return None
        return int(self._rng.choice(others))
