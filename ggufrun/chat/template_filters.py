"""Filters, tests and functions that chat templates may use, each counted against the rendering's budget.

Hugging Face's extras are among them; what can ask for gigabytes in a few characters is not.
"""

import functools
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn, cast

from jinja2 import Environment, pass_context
from jinja2.exceptions import TemplateError
from jinja2.runtime import Context

from ggufrun.chat.budget import Counted, TemplateLimit, current

LOOP_FILTER, JOIN_FILTER = "counted rounds", "counted text"  # no template can name these
_NO_FILTERS = {"center", "filesizeformat", "format", "pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr"}
_WRITERS = {"string", "tojson", "join", "urlencode", "escape", "forceescape", "e"}  # write out whole values


class Refusal(TemplateError):
    """The template called raise_exception: it does not accept these messages."""


def furnish(environment: Environment) -> None:
    """Replace the environment's filters, tests and functions by metered ones."""
    kept = {name: function for name, function in environment.filters.items() if name not in _NO_FILTERS}
    environment.filters = {name: _metered(name, function) for name, function in kept.items()}
    environment.filters["tojson"] = _metered("tojson", _tojson)
    environment.filters[LOOP_FILTER] = _counted_rounds
    environment.filters[JOIN_FILTER] = _counted_text
    environment.tests = {
        name: _metered(name, cast(Callable[..., Any], test)) for name, test in environment.tests.items()
    }
    environment.globals.pop("lipsum")
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now


def written(value: Any) -> Any:
    """The environment's `finalize`: what an expression writes into the prompt."""
    budget = current()
    budget.step(budget.weigh(value))
    return value


def _metered(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)  # keeps the mark by which Jinja passes the context or the environment
    def filtered(*args: Any, **kwargs: Any) -> Any:
        budget = current()
        budget.check_arguments((*args, *kwargs.values()))
        arguments = list(args)
        place = 1 if hasattr(function, "jinja_pass_arg") else 0  # of the value
        if name == "join":
            arguments[place] = list(arguments[place])
            budget.check_join(str(arguments[place + 1]) if len(arguments) > place + 1 else "", arguments[place])
        elif name == "replace" and len(arguments) >= place + 3:
            budget.check_replace(*(str(argument) for argument in arguments[place : place + 3]))
        elif name == "indent":
            width = arguments[place + 1] if len(arguments) > place + 1 else kwargs.get("width", 4)
            budget.check_replace(str(arguments[place]), "\n", " " * width if isinstance(width, int) else str(width))
        elif name == "sum" and not isinstance(kwargs.get("start", (arguments[place + 2 :] or [0])[0]), int | float):
            raise TemplateLimit("it adds up lists")
        elif name in _WRITERS:
            budget.weigh(arguments[place])
        return budget.made(function(*arguments, **kwargs))

    return filtered


@pass_context
def _counted_rounds(_: Context, iterable: Any, static: int) -> Counted:
    return Counted(iterable, static)


@pass_context
def _counted_text(_: Context, parts: list[Any]) -> str:
    budget = current()
    budget.check_join("", parts)
    return str(budget.made("".join(map(str, parts))))


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as models were trained on it: Jinja's own escapes <, > and & for HTML."""
    if isinstance(indent, int) and indent > 16:
        raise TemplateLimit("it indents JSON without end")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _strftime_now(format_: str) -> str:
    if len(format_) > 100:
        raise TemplateLimit("its date format is too long")
    return datetime.now().strftime(format_)


def _raise_exception(message: Any) -> NoReturn:
    raise Refusal(str(message))
