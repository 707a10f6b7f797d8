"""What is sent to a remote, and what must be known to read its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ggufrun.chat.compile import WARMER

_SEEDS: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. Implements `checked.Repeatable`."""

    path: str
    body: Mapping[str, Any]
    choices: int
    prefix: str = ""  # what each choice begins with, as the request gives it
    echoed: bool = False  # the remote sends that prefix itself, or may
    single_call: bool = False  # what follows the first tool call is not shown
    forced: bool = False  # each choice must be a call
    top: int | None = None  # log-probabilities wanted of so many tokens beside the chosen one
    stop: tuple[str, ...] = ()
    seed_field: str = "seed"

    def again(self, number: int, choices: int) -> "Asked":
        """For a later attempt: with seeds that no choice has had, and never without chance."""
        if number == 0:
            return self
        body = {**self.body, "temperature": self.body.get("temperature", 1.0) or WARMER}
        if (seed := body.get(self.seed_field)) is not None:
            body[self.seed_field] = (seed + number * self.choices) % _SEEDS
        body.pop("n", None)
        if choices > 1:
            body["n"] = choices
        return replace(self, body=body, choices=choices)
