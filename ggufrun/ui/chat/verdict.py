"""What is said below an answer under a schema: whether it is whole, and valid. Nothing is fetched.

No pattern is tried here: one may take for ever. The server has done so in a process of its own, and such an answer
has failed.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from jsonschema.validators import extend, validator_for
from referencing import Registry

from ggufrun.ui.chat.conversation import Said

LONGEST: Final = 200_000  # characters of an answer, or a schema, that is checked
_QUICK: Final = 5_000  # what is longer is checked in a thread
_REASON: Final = 300
_MOST: Final = 5_000  # references that are followed: a few that name each other may be followed for ever
_MOST_UNIQUE: Final = 500


def schema_text(schema: Any) -> str | None:
    return None if schema is None else json.dumps(schema)


def is_cut(message: Said) -> bool:
    return message.state in ("stopped", "failed") or message.meta.get("finish_reason") in ("length", "model_length")


async def warmed(branch: Iterable[Said], schema: Any) -> None:
    """What takes long is known then."""
    if (text := schema_text(schema)) is None:
        return
    for each in branch:
        if each.role == "assistant" and isinstance(each.content, str) and len(each.content) + len(text) > _QUICK:
            await asyncio.to_thread(verdict, each.content, text, is_cut(each))


@lru_cache(maxsize=64)
def verdict(text: str, schema: str, cut: bool) -> str:
    """A sentence, not yet harmless as Markdown. `cut`: the answer was ended before its end."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "Cut before its end: not valid for the schema." if cut else "No JSON: not valid for the schema."
    if max(len(text), len(schema)) > LONGEST or '"pattern' in schema:
        return "JSON; the server checks whether it is valid for the schema."
    given = json.loads(schema)
    kind = validator_for(given, default=Draft202012Validator) if isinstance(given, dict) else Draft202012Validator
    try:
        kind.check_schema(given)
        # An empty registry: the default one fetches remote references.
        error = best_match(_bounded(kind)(given, registry=Registry()).iter_errors(value))
    except Exception as problem:  # jsonschema trips over hostile schemas in many ways, and a chat is to be shown
        return f"JSON; it could not be checked against the schema ({type(problem).__name__})."
    if error is None:
        return "Valid JSON for the schema."
    where = "/".join(map(str, error.absolute_path)) or "the answer"
    return f"Not valid for the schema: {where}: {' '.join(error.message.split())[:_REASON]}"


class _TooMuch(Exception):
    """To be checked here."""


def _bounded(kind: Any) -> Any:
    """The validator, ended where it would take long."""
    left = _MOST

    def counted(check: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def checked(*given: Any) -> Iterator[Any]:
            nonlocal left
            left -= 1
            if left < 0:
                raise _TooMuch
            yield from check(*given) or ()

        return checked

    def short(check: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def checked(validator: Any, unique: Any, value: Any, schema: Any) -> Iterator[Any]:
            if isinstance(value, list) and len(value) > _MOST_UNIQUE:
                raise _TooMuch
            yield from check(validator, unique, value, schema) or ()

        return checked

    checks = kind.VALIDATORS
    bounds = {name: counted(checks[name]) for name in ("$ref", "$dynamicRef", "$recursiveRef") if name in checks}
    bounds |= {name: short(checks[name]) for name in ("uniqueItems",) if name in checks}
    return extend(kind, bounds)  # type: ignore[no-untyped-call]  # its stub says no more
