"""The workers that a model needs: asked all at once whether they are there, before llama.cpp would end its process."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ggufrun.errors import GgufrunError
from ggufrun.rpc.address import Address
from ggufrun.rpc.wire import ANSWER_S, Greeting, Version, WorkerFault, greet

_AGAIN_S: Final = 2.0  # after a crash: streams wait for what is said of it


@dataclass(frozen=True, slots=True)
class Workers:
    """Implements `engine.outside.Outside`. `spoken` is the protocol of this side."""

    addresses: tuple[str, ...]
    spoken: Version | None

    def greeted(self) -> tuple[Greeting, ...]:
        """What each says of itself. Raises WorkerFault or OptionError, of the first that cannot be used."""
        found = self._asked(ANSWER_S)
        for each in found:
            if isinstance(each, GgufrunError):
                raise each
        return tuple(each for each in found if isinstance(each, Greeting))

    def missing(self) -> str:
        return "; ".join(_told(each) for each in self._asked(_AGAIN_S) if isinstance(each, GgufrunError))

    def blamed(self, ending: str) -> str:
        if "has stalled" in ending:  # the watchdog's words, which name it
            return ending
        if "ggml-rpc" not in ending:  # the file that an abort of the client names; logs name RPC devices, too
            return ""
        return f"the connection to the RPC worker {' or '.join(self.addresses)} broke"

    def _asked(self, answer_s: float) -> Sequence[Greeting | GgufrunError]:
        def ask(text: str) -> Greeting | GgufrunError:
            try:
                return greet(Address.read(text), self.spoken, answer_s)
            except GgufrunError as error:
                return error

        with ThreadPoolExecutor(len(self.addresses)) as pool:
            return list(pool.map(ask, self.addresses))


def _told(error: GgufrunError) -> str:
    """As a part of a sentence."""
    if isinstance(error, WorkerFault):
        return f"the RPC worker {error.address} {error.reason}"
    return error.message.rstrip(".")
