"""Whether a tool call is right: its function, its arguments' JSON schema, and their values by BFCL's rule

Each parameter has a list of accepted values, among which "" means that it may be left out. Numbers are compared as
numbers, text without regard to case, spaces and most punctuation. No call is run.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jsonschema import Draft202012Validator

from ggufrun.chat.types import Tool

_IGNORED: Final = re.compile(r"[\s,./\-_*^]")
_QUOTES: Final = str.maketrans('‘’“”"', "'''''")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as it was written; `arguments` should be JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Each of them needs the first; `right_arguments` needs the right function, too."""

    parsed: bool = False  # there is one call, and its arguments are a JSON object
    schema_valid: bool = False
    right_function: bool = False
    right_arguments: bool = False

    @property
    def right(self) -> bool:
        return self.schema_valid and self.right_arguments


def judge(
    calls: Sequence[Call], tools: Sequence[Tool], function: str, accepted: Mapping[str, Sequence[Any]]
) -> Verdict:
    """The verdict on an answer with these calls, where one call of `function` is wanted."""
    arguments = _object(calls[0].arguments) if len(calls) == 1 else None
    if arguments is None:
        return Verdict()
    right = calls[0].name == function
    schemas = {tool.function.name: tool.function.parameters for tool in tools}
    return Verdict(
        parsed=True,
        schema_valid=any(name == calls[0].name and accepts(schema, arguments) for name, schema in schemas.items()),
        right_function=right,
        right_arguments=right and fits(arguments, accepted),
    )


def accepts(schema: Mapping[str, Any], value: Any) -> bool:
    return bool(Draft202012Validator(schema).is_valid(value))


def fits(arguments: Mapping[str, Any], accepted: Mapping[str, Sequence[Any]]) -> bool:
    """Whether each argument is known and has an accepted value, and each that is missing may be left out."""
    if not arguments.keys() <= accepted.keys():
        return False
    return all(
        any(_equal(arguments[name], value) for value in accepted_values(values))
        if name in arguments
        else "" in accepted_values(values)
        for name, values in accepted.items()
    )


def accepted_values(accepted: Any) -> Sequence[Any]:
    """Objects inside of objects are given as they are, without lists of accepted values."""
    return accepted if isinstance(accepted, list | tuple) else (accepted,)


def _equal(given: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(given, Mapping) and fits(given, wanted)
    if isinstance(wanted, list | tuple):
        same = isinstance(given, list | tuple) and len(given) == len(wanted)
        return same and all(_equal(one, other) for one, other in zip(given, wanted, strict=True))
    if isinstance(wanted, str):
        return isinstance(given, str) and _plain(given) == _plain(wanted)
    if isinstance(wanted, bool) or isinstance(given, bool) or wanted is None:
        return given is wanted
    return isinstance(given, int | float) and given == wanted


def _plain(text: str) -> str:
    """Nothing but punctuation stays as it is: "*" is not "-"."""
    return _IGNORED.sub("", text.casefold()).translate(_QUOTES) or text.strip()


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
