"""The ranges of a request's options. What they mean to the sampler is `compile.py`'s."""

import math
from collections.abc import Callable

from ggufrun.chat.types import ChatOptions
from ggufrun.errors import OutOfRange

MAX_STOPS = 64
MAX_BIASES = 1024

_Test = Callable[[float], bool]

_RANGES: tuple[tuple[str, _Test, str], ...] = (
    ("temperature", lambda value: 0 <= value <= 2, "from 0 to 2"),
    ("top_p", lambda value: 0 < value <= 1, "above 0 and up to 1"),
    ("top_k", lambda value: value >= 0, "0 (off) or more"),
    ("min_p", lambda value: 0 <= value <= 1, "from 0 to 1"),
    ("presence_penalty", lambda value: -2 <= value <= 2, "from -2 to 2"),
    ("frequency_penalty", lambda value: -2 <= value <= 2, "from -2 to 2"),
    ("repetition_penalty", lambda value: 0 < value <= 10, "above 0 and up to 10"),
    ("max_tokens", lambda value: value >= 1, "1 or more"),
    ("min_tokens", lambda value: value >= 0, "0 or more"),
    ("logprobs", lambda value: 0 <= value <= 20, "from 0 to 20"),
    ("n", lambda value: 1 <= value <= 16, "from 1 to 16"),
)


def check_options(options: ChatOptions, vocabulary: int) -> None:
    """Raise OutOfRange, with the field as `param`, at the first option out of its range.

    `vocabulary` is its size in tokens.
    """
    for name, fits, allowed in _RANGES:
        value = getattr(options, name)
        if value is not None and not fits(value):
            raise OutOfRange(f"{name} is {value}.", f"It must be {allowed}.", name)
    _check_together(options)
    _check_biases(options.logit_bias, vocabulary)


def _check_together(options: ChatOptions) -> None:
    if options.max_tokens is not None and (options.min_tokens or 0) > options.max_tokens:
        counts = f"min_tokens is {options.min_tokens} and max_tokens {options.max_tokens}."
        raise OutOfRange(counts, "min_tokens must not be above max_tokens.", "min_tokens")
    stop = options.stop or ()
    if len(stop) > MAX_STOPS:
        raise OutOfRange(f"There are {len(stop)} stop strings.", f"Give at most {MAX_STOPS}.", "stop")
    if not all(stop):
        raise OutOfRange("A stop string is empty.", "Leave it out.", "stop")


def _check_biases(biases: tuple[tuple[int, float], ...], vocabulary: int) -> None:
    if len(biases) > MAX_BIASES:
        raise OutOfRange(f"logit_bias names {len(biases)} tokens.", f"Give at most {MAX_BIASES}.", "logit_bias")
    for token, bias in biases:
        if not 0 <= token < vocabulary:
            known = f"Tokens go from 0 to {vocabulary - 1}."
            raise OutOfRange(f"logit_bias names token {token}.", known, "logit_bias")
        if math.isnan(bias) or abs(bias) > 100:
            raise OutOfRange(f"The bias of token {token} is {bias}.", "It must be from -100 to 100.", "logit_bias")
