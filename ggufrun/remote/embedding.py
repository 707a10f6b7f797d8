"""Vectors of a remote embedding model, as they are kept here: float32, little endian, of unit length."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from ggufrun.chat.types import Embeddings, ModelInfo
from ggufrun.errors import OutOfRange
from ggufrun.remote.client import Client
from ggufrun.remote.engines import Engine
from ggufrun.remote_errors import RemoteLacks

PATH = "/embeddings"
Inputs = Sequence[str | tuple[int, ...]]


async def embedded(client: Client, engine: Engine, info: ModelInfo, model: str, inputs: Inputs) -> Embeddings:
    """A vector for each input. Raises RequestError or RemoteError."""
    if not inputs:
        raise OutOfRange("There is no input.", "Send at least one text.", "input")
    if engine.kind == "mistral" and not all(isinstance(each, str) for each in inputs):
        raise RemoteLacks(info.name, engine.title, "token ids", "input", "Send texts.")
    sent = [each if isinstance(each, str) else list(each) for each in inputs]
    reply = await client.post(PATH, {"model": model, "input": sent})
    try:
        vectors = _vectors(reply["data"], len(inputs))
        tokens = int((reply.get("usage") or {}).get("prompt_tokens") or 0)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise client.faults.broke("what it calls embeddings are none") from error
    return Embeddings(vectors, _shared_out(tokens, inputs))


def _vectors(data: Any, wanted: int) -> tuple[bytes, ...]:
    if len(data) != wanted:
        raise ValueError("not as many as were asked for")
    ordered = sorted(data, key=lambda each: int(each.get("index") or 0))
    return tuple(_vector(each["embedding"]) for each in ordered)


def _vector(numbers: Any) -> bytes:
    if isinstance(numbers, str):
        vector = np.frombuffer(base64.b64decode(numbers), "<f4").astype(np.float64)
    else:
        vector = np.asarray(numbers, dtype=np.float64)
    if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
        raise ValueError("no vector")
    length = float(np.linalg.norm(vector))
    return (vector / length if length else vector).astype("<f4").tobytes()


def _shared_out(tokens: int, inputs: Inputs) -> tuple[int, ...]:
    """The remote gives one sum. It is shared out by length: only the sum is anybody's business."""
    lengths = [max(1, len(each)) for each in inputs]
    whole = sum(lengths)
    counts = [tokens * length // whole for length in lengths]
    counts[0] += tokens - sum(counts)
    return tuple(counts)
