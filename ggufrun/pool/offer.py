"""A model that the pool may load: what is known of it before, and how it is opened. Also the pool's settings."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from ggufrun.chat.types import ChatModel, ModelInfo
from ggufrun.errors import OptionError

Progress = Callable[[float], None]
Opener = Callable[[Progress], AbstractAsyncContextManager[ChatModel]]


@dataclass(frozen=True, slots=True)
class Offer:
    """`info` is what file and card say, its `memory_bytes` what the model will need. `open` loads it and closes it.

    Closing is over when `open` is left, also where that is cancelled: the memory counts as free from then on. `path`
    is the file, "" where nobody knows it. `weightless`: nothing is loaded here, so it needs no place, has none that
    another could take, and does not count as loaded.
    """

    info: ModelInfo
    open: Opener
    path: str = ""
    weightless: bool = False


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """When models are loaded and unloaded. Times in seconds."""

    max_loaded: int | None = None  # None: as many as the memory holds
    ttl_s: float = 0.0  # a model that nobody used for so long is unloaded; 0: never
    load_timeout_s: float = 60.0  # a request waits for its model for so long
    patience_s: float = 5.0  # a model waits for so long for another to be idle; then that one takes no new requests

    def __post_init__(self) -> None:
        if self.max_loaded is not None and self.max_loaded < 1:
            raise OptionError(f"--max-loaded {self.max_loaded} loads nothing.", "Use 1 or more.")
        if self.ttl_s < 0:
            raise OptionError(f"--ttl {self.ttl_s:g} is negative.", "Use a time as in 10m, or 0 for no end.")
        if self.load_timeout_s <= 0:
            raise OptionError(f"--load-timeout {self.load_timeout_s:g} is no time.", "Use seconds above 0.")
