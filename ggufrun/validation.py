"""One sentence for the user out of pydantic's report on a TOML table: the key, what is wrong, and the nearest key."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The known names that a mistyped one may have meant, best first, upper and lower case alike."""
    spelled = {candidate.lower(): candidate for candidate in known}
    return tuple(spelled[match] for match in get_close_matches(name.lower(), spelled, count, cutoff=0.5))


def named_tables(tables: Mapping[str, Any], keys: Collection[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and tables, where names may have dots: TOML nests at the dot of `[remotes.gpu-1.lan]`.

    `keys` are those that a table may have, some of which may be tables themselves: by one of them it is known as one.
    """
    for key, value in tables.items():
        nested = isinstance(value, dict) and value and all(isinstance(each, dict) for each in value.values())
        if nested and not value.keys() & set(keys):
            yield from named_tables(value, keys, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def first_problem(error: ValidationError, known: Iterable[str], secret: Iterable[str] = ()) -> str:
    """One sentence about the first thing that is wrong; `known` are the keys that the table may have.

    Values below the keys in `secret` are not said.
    """
    problem = error.errors(include_url=False)[0]
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        meant = nearest(path[-1], known, 1)
        return f"unknown key {key!r}" + (f", did you mean {meant[0]!r}?" if meant else ".")
    if problem["type"] == "missing":
        return f"the key {key!r} is missing."
    rule = problem["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    if path and path[0] in secret:
        return f"{key!r} {rule.replace('valid tuple', 'list')}."
    value = repr(problem["input"])
    shown = value if len(value) <= 60 else value[:57] + "..."
    return f"{key!r} {rule.replace('valid tuple', 'list')}, and it is {shown}."
