"""One request's sampler: llama.cpp's own chain, or none at all where the maximum is all that is asked for.

The order is logit bias, penalties, top_k, top_p, min_p, temperature, choice. Penalties look at the last 64 generated
tokens (llama.cpp's usual window) and never at the prompt, as the hosted APIs define presence and frequency; only
llama-server feeds the prompt in too. Tokens that a grammar forces count through `accept`.
"""

import secrets
from typing import Any

from llama_cpp import llama_cpp as ll

from ggufrun.engine.types import SamplingParams

PENALTY_WINDOW = 64
_KEEP = 1  # candidates that top_p and min_p leave at least
# Adding up or sorting a whole vocabulary takes 0.3 ms at 49,152 tokens. What is this much less probable than the best
# candidate is dropped first, in one fast pass. Measured on SmolLM2-135M, that loses 8e-6 of the probability at
# temperature 0.7 and 9e-5 at 2.
_FLOOR = 1e-8


class LlamaSampler:
    """`chain` is llama.cpp's, None for plain greedy. Closing twice is fine; using it after is not."""

    def __init__(self, params: SamplingParams, vocabulary: int) -> None:
        samplers = _samplers(params, vocabulary)
        self.chain: Any = _chain(samplers) if samplers else None

    def accept(self, token: int) -> None:
        if self.chain is not None:
            ll.llama_sampler_accept(self.chain, token)

    def close(self) -> None:
        if self.chain is not None:
            chain, self.chain = self.chain, None
            ll.llama_sampler_free(chain)

    def __del__(self) -> None:
        self.close()


def _samplers(params: SamplingParams, vocabulary: int) -> list[Any]:
    """The chain's parts; empty where the first maximum of the row is the answer."""
    parts: list[Any] = []
    if params.logit_bias:
        parts.append(_logit_bias(params.logit_bias, vocabulary))
    if params.repetition_penalty != 1.0 or params.frequency_penalty or params.presence_penalty:
        penalties = params.repetition_penalty, params.frequency_penalty, params.presence_penalty
        parts.append(ll.llama_sampler_init_penalties(vocabulary, PENALTY_WINDOW, *penalties))
    if params.temperature <= 0:
        return [*parts, ll.llama_sampler_init_greedy()] if parts else []
    return [*parts, *_cuts(params), ll.llama_sampler_init_dist(_seed(params.seed))]


def _cuts(params: SamplingParams) -> list[Any]:
    """What narrows the candidates down before the choice, temperature last."""
    parts: list[Any] = []
    if params.top_k > 0:
        parts.append(ll.llama_sampler_init_top_k(params.top_k))
    elif params.top_p < 1.0:
        parts.append(ll.llama_sampler_init_min_p(_FLOOR, _KEEP))
    if params.top_p < 1.0:
        parts.append(ll.llama_sampler_init_top_p(params.top_p, _KEEP))
    if params.min_p > 0.0:
        parts.append(ll.llama_sampler_init_min_p(params.min_p, _KEEP))
    whole = not parts
    if params.temperature != 1.0:
        parts.append(ll.llama_sampler_init_temp(params.temperature))
    if whole:  # after the temperature, which lifts the improbable
        parts.append(ll.llama_sampler_init_min_p(_FLOOR, _KEEP))
    return parts


def _logit_bias(biases: tuple[tuple[int, float], ...], vocabulary: int) -> Any:
    rows = [ll.llama_logit_bias(token, bias) for token, bias in biases if 0 <= token < vocabulary]
    return ll.llama_sampler_init_logit_bias(vocabulary, len(rows), (ll.llama_logit_bias * len(rows))(*rows))


def _seed(seed: int | None) -> int:
    """32 bits. llama.cpp reads the highest value as "choose one", which would make that seed irreproducible."""
    return secrets.randbelow(ll.LLAMA_DEFAULT_SEED) if seed is None else seed % ll.LLAMA_DEFAULT_SEED


def _chain(samplers: list[Any]) -> Any:
    params = ll.llama_sampler_chain_default_params()
    params.no_perf = True
    chain = ll.llama_sampler_chain_init(params)
    for sampler in samplers:
        ll.llama_sampler_chain_add(chain, sampler)  # the chain frees it
    return chain
