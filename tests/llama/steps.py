"""What the tests do with a backend: feed a prompt, go on greedily, take a row's logits."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ggufrun.engine.backend import Backend, DecodeStatus, Run
from ggufrun.engine.types import SamplingParams
from ggufrun.llama.vocabulary import LlamaVocabulary

QUESTION = "<|im_start|>user\nName three colours.<|im_end|>\n<|im_start|>assistant\n"


def question(vocabulary: LlamaVocabulary) -> list[int]:
    return vocabulary.tokenize(QUESTION, special=True)


def text(vocabulary: LlamaVocabulary, tokens: Sequence[int]) -> bytes:
    return b"".join(map(vocabulary.piece, tokens))


def feed(backend: Backend, seq: int, tokens: Sequence[int], start: int = 0) -> npt.NDArray[np.float32]:
    """Decode the tokens and return a copy of the last one's logits."""
    size = backend.limits.batch
    for i in range(0, len(tokens), size):
        chunk = tokens[i : i + size]
        assert backend.decode([Run(seq, start + i, chunk, 1)]) is DecodeStatus.OK
    return backend.logits(0).copy()


def generate(
    backend: Backend, seq: int, prompt: Sequence[int], count: int, params: SamplingParams | None = None
) -> list[int]:
    """Up to `count` tokens after the prompt, greedy unless told otherwise."""
    sampler = backend.new_sampler(params or SamplingParams())
    feed(backend, seq, prompt)
    tokens: list[int] = []
    while True:
        token = backend.sample(0, sampler)
        if backend.is_end(token) or len(tokens) == count:
            sampler.close()
            return tokens
        tokens.append(token)
        assert backend.decode([Run(seq, len(prompt) + len(tokens) - 1, [token], 1)]) is DecodeStatus.OK
