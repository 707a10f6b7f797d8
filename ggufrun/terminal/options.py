"""The sampling options that a person can set, by flag or by `/set`: names, ranges and how `ChatOptions` is built.

Values of a request that came over HTTP are not checked here.
"""

import difflib
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ggufrun.chat.types import AnswerSettings, ChatOptions, Effort
from ggufrun.errors import OptionError

NONE = "none"  # for `/set`: an empty list of strings, also where the settings have some; in quotes it is a string


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its field in `ChatOptions` and the values it takes, both bounds included."""

    name: str
    kind: Literal["float", "int", "word", "strings"]
    low: float = -math.inf
    high: float = math.inf
    words: tuple[str, ...] = ()

    @property
    def accepts(self) -> str:
        """The values in words, for error messages and `/help`."""
        if self.kind == "word":
            return ", ".join(self.words)
        if self.kind == "strings":
            return f"one or more strings; /set {self.name} {NONE}: no strings"
        noun = "a whole number" if self.kind == "int" else "a number"
        if math.isinf(self.high):
            return f"{noun}, at least {self.low:g}"
        return f"{noun} from {self.low:g} to {self.high:.10g}"

    def read(self, text: str) -> object:
        """The value written in `text`. Raises `OptionError`."""
        if self.kind == "strings":
            return self._read_strings(text)
        if self.kind == "word":
            return text.strip()
        try:
            return int(text) if self.kind == "int" else float(text)
        except ValueError as error:
            raise self._refuse(text) from error

    def _read_strings(self, text: str) -> tuple[str, ...]:
        if text.strip() == NONE:
            return ()
        try:
            strings = tuple(shlex.split(text))
        except ValueError as error:
            raise OptionError(f"{self.name}: {error}.", "Close the quotes.") from error
        if not strings:
            raise self._refuse(text)
        return strings

    def check(self, value: Any) -> None:
        """Raise `OptionError` unless the value is one that this option takes."""
        match self.kind:
            case "word":
                fine = value in self.words
            case "strings":
                fine = isinstance(value, tuple) and all(isinstance(one, str) and one for one in value)
            case "int":
                fine = type(value) is int and self.low <= value <= self.high
            case "float":
                fine = type(value) in (int, float) and self.low <= value <= self.high
        if not fine:
            raise self._refuse(value)

    def _refuse(self, value: object) -> OptionError:
        shown = repr(value) if isinstance(value, (str, tuple)) else value
        return OptionError(f"{self.name} cannot be {shown}.", f"It takes {self.accepts}.")


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option("temperature", "float", 0, 2),
        Option("top_p", "float", 0, 1),
        Option("top_k", "int", 0, 1 << 30),
        Option("min_p", "float", 0, 1),
        Option("presence_penalty", "float", -2, 2),
        Option("frequency_penalty", "float", -2, 2),
        Option("repetition_penalty", "float", 0.01, 10),
        Option("seed", "int", 0, (1 << 32) - 2),  # llama.cpp reads 2**32 - 1 as "random"
        Option("max_tokens", "int", 1),
        Option("stop", "strings"),
        Option("reasoning_effort", "word", words=get_args(Effort)),
    )
}


def chat_options(values: Mapping[str, Any], base: ChatOptions | None = None) -> ChatOptions:
    """`ChatOptions` with the given values, `None` meaning "not given". Raises `OptionError`."""
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        find(name).check(value)
    return replace(base or ChatOptions(), **given)


def find(name: str) -> Option:
    """The option of this name, `top-p` and `top_p` alike. Raises `OptionError` with the nearest names."""
    option = OPTIONS.get(name.strip("-").replace("-", "_").lower())
    if option is None:
        near = difflib.get_close_matches(name, OPTIONS, n=3, cutoff=0.5)
        hint = f"Did you mean {', '.join(near)}?" if near else f"There are {', '.join(OPTIONS)}."
        raise OptionError(f"No option is called {name!r}.", hint)
    return option


def set_option(options: ChatOptions, name: str, text: str) -> ChatOptions:
    """The options after `/set NAME TEXT`; the text `default` leaves the option to the model again."""
    option = find(name)
    if text.strip() == "default":
        unset: dict[str, Any] = {option.name: None}
        return replace(options, **unset)
    return chat_options({option.name: option.read(text)}, options)


def given_options(options: ChatOptions) -> dict[str, Any]:
    """The options that were set, as JSON-ready values."""
    return _written(options)


def default_options(settings: AnswerSettings) -> dict[str, Any]:
    """What holds for options that were not set, where there is something to say, in the same form."""
    return {name: value for name, value in _written(settings).items() if value != []}


def _written(options: ChatOptions | AnswerSettings) -> dict[str, Any]:
    values = {name: getattr(options, name) for name in OPTIONS}
    return {n: list(v) if isinstance(v, tuple) else v for n, v in values.items() if v is not None}


def options_from_json(values: object) -> ChatOptions:
    """The inverse of `given_options`. Raises `OptionError`."""
    if not isinstance(values, dict):
        raise OptionError("The settings are not a JSON object.")
    return chat_options({str(name): tuple(v) if isinstance(v, list) else v for name, v in values.items()})
