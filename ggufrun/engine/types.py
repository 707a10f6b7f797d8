"""Values that cross the pipe between the service (parent) and the worker (child). Frozen; errors are all they know.

The engine never sees HTTP, JSON or chat roles: token ids, sampling numbers, a grammar and a budget.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from ggufrun.errors import EngineError


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Numbers of llama.cpp's sampler chain. Temperature 0 is greedy; every default leaves the distribution alone."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None  # None: a fresh random seed
    logit_bias: tuple[tuple[int, float], ...] = ()  # (token id, added to its logit)
    logprobs: int | None = None  # None: off; N: the chosen token's and the top N


@dataclass(frozen=True, slots=True)
class Grammar:
    """A constraint, as `llguidance.LLMatcher` takes it. `closable`: JSON that is closed at the budget, not cut.

    `hints`: texts between quotes, as JSON writes them, that some of its strings may consist of.
    """

    source: str
    closable: bool = False
    shortest: int = 0  # tokens of the shortest valid answer, where known
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in a prompt, of whole patches, and the tokens that its rows of embeddings take the place of."""

    start: int  # index of the first of them in the prompt
    length: int
    width: int  # pixels
    height: int
    pixels: bytes = field(repr=False)  # RGB, row by row from the top
    key: str  # hash of size and pixels: equal keys are equal pictures

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One sequence to generate. `id` is unique within one service; `prompt` holds token ids, at least one.

    `images` are in the order of the prompt, and something always stands behind the last one.
    """

    id: int
    prompt: tuple[int, ...]
    sampling: SamplingParams = SamplingParams()
    max_tokens: int | None = None  # None: to the end of the context
    min_tokens: int = 0  # end-of-generation tokens are banned before this many
    grammar: Grammar | None = None
    ignore_end: bool = False  # go on past end-of-generation tokens (benchmarks)
    images: tuple[Image, ...] = ()

    @property
    def prompt_tokens(self) -> int:
        return len(self.prompt)


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts to make a vector of each, as token ids, at least one a text. `id` is unique within one service."""

    id: int
    inputs: tuple[tuple[int, ...], ...]

    @property
    def prompt_tokens(self) -> int:
        return sum(map(len, self.inputs))


EngineRequest = GenerationRequest | EmbeddingRequest


class FinishReason(StrEnum):
    STOP = "stop"  # an end-of-generation token, or the grammar is complete
    LENGTH = "length"  # max_tokens reached
    CONTEXT = "context"  # the context is full
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Natural-log probabilities of the raw distribution, before any mask or temperature."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]  # (token id, logprob), best first
    forced: bool = False  # the grammar left no choice


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of one finished request; times in seconds of the worker's clock."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # prompt tokens reused from the KV cache (restored ones included)
    restored_tokens: int = 0  # of these, read back from the disk cache
    forced_tokens: int = 0  # jump-forward
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    model_steps: int = 0  # decodes this sequence took part in, prompt chunks included
    preemptions: int = 0
    queue_s: float = 0.0
    prompt_s: float = 0.0  # admission to first token
    generation_s: float = 0.0  # first token to last


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """`done` of `total` prompt tokens are in the KV cache, `cached` of them without computing."""

    id: int
    done: int
    total: int
    cached: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """New tokens of one request, end-of-generation tokens left out. `logprobs` is as long as `tokens`, or empty."""

    id: int
    tokens: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    id: int
    reason: FinishReason
    stats: Stats


@dataclass(frozen=True, slots=True)
class Failed:
    """The engine could not go on with this request; others may.

    `error`: what ended it, where that was not the request's own fault; set by the service, never sent over the pipe.
    """

    id: int
    message: str
    error: EngineError | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """All vectors of an embedding request, in order: float32, little endian, of unit length."""

    id: int
    vectors: tuple[bytes, ...]


EngineEvent = PromptProgress | Tokens | Embedded | Finished | Failed
