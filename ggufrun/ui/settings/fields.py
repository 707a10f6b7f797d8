"""The fields of sampling, as data: what each is called, and what it may be. No widgets.

The ranges are the API's own: it refuses what is out of them, and here it is said before anything is sent.
"""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["number", "whole", "lines", "effort", "yes"]


@dataclass(frozen=True, slots=True)
class Field:
    """`name` is the field of /v1/chat/completions. `above`: `low` itself is too little."""

    name: str
    label: str
    kind: Kind
    hint: str  # what an empty one means, where the model does not say it itself
    about: str
    low: float | None = None
    high: float | None = None
    step: float = 1
    above: bool = False

    def fits(self, value: float) -> bool:
        low = self.low is None or (value > self.low if self.above else value >= self.low)
        return low and (self.high is None or value <= self.high)

    @property
    def range(self) -> str:
        """As the API says it."""
        if self.low is None:
            return "a whole number"
        if self.high is None:
            return f"{self.low:g} or more"
        return f"above {self.low:g} and up to {self.high:g}" if self.above else f"from {self.low:g} to {self.high:g}"


_OWN: Final = "model's own"

FIELDS: Final = (
    Field("temperature", "Temperature", "number", _OWN, "0: always the likeliest token.", 0, 2, 0.1),
    Field("top_p", "Top p", "number", _OWN, "The likeliest tokens that make up this much.", 0, 1, 0.05, above=True),
    Field("top_k", "Top k", "whole", _OWN, "Only this many of the likeliest tokens; 0: all.", 0),
    Field("min_p", "Min p", "number", _OWN, "Only tokens at least so likely, next to the likeliest.", 0, 1, 0.01),
    Field("presence_penalty", "Presence penalty", "number", _OWN, "Against tokens that were there.", -2, 2, 0.1),
    Field("frequency_penalty", "Frequency penalty", "number", _OWN, "Against tokens that came often.", -2, 2, 0.1),
    Field("repetition_penalty", "Repetition penalty", "number", _OWN, "1: none.", 0, 10, 0.05, above=True),
    Field("seed", "Seed", "whole", "random", "The same seed and question give the same answer."),
    Field("max_tokens", "Max tokens", "whole", "no limit", "Of one answer.", 1),
    Field("reasoning_effort", "Reasoning effort", "effort", _OWN, "How much the model thinks before it answers."),
    Field("stop", "Stop strings", "lines", "none", "One a line; \\n is a new line. An answer ends before them."),
    Field("safe_prompt", "Safe prompt", "yes", "", "Mistral's own words about safety in front of the conversation."),
)
NAMED: Final = {field.name: field for field in FIELDS}
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
