"""`[remotes.NAME]` of ggufrun.toml, and `--remote NAME=URL`, which wins over the table of its name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ggufrun.chat.types import Price
from ggufrun.errors import OptionError
from ggufrun.remote.settings import Kind, RemoteSettings
from ggufrun.validation import first_problem, named_tables

_SECRET: Final = ("url", "key_env")
_Text = Annotated[str, Field(min_length=1)]
_Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Charges(_Wire):
    """USD per million tokens."""

    prompt: _Usd
    completion: _Usd


class _Table(_Wire):
    """The keys of one table; None where the user wrote nothing."""

    url: _Text | None = None
    model: _Text | None = None
    key_env: _Text | None = None
    kind: Kind | None = None
    timeout: Annotated[float, Field(gt=0, le=3600)] | None = None
    context: Annotated[int, Field(ge=1)] | None = None
    charges: _Charges | None = None


def remotes(path: Path, tables: object) -> dict[str, RemoteSettings]:
    """What `remotes` is in the document, by name. OptionError names the file and the key that is wrong."""
    if not isinstance(tables, dict):
        raise OptionError(f"{path}: 'remotes' is not a table.", "Write [remotes.NAME] above a remote's settings.")
    return {name: _remote(path, name, table) for name, table in named_tables(tables, _Table.model_fields)}


def with_flags(written: Mapping[str, RemoteSettings], flags: Sequence[str]) -> dict[str, RemoteSettings]:
    """The remotes of the file and of the command line. Raises OptionError for what is no NAME=URL."""
    found, given = dict(written), set[str]()
    for flag in flags:
        name, equals, url = flag.partition("=")
        if not equals or not name or not url:
            hint = "Write it as in --remote fast=http://127.0.0.1:8000/v1."
            raise OptionError("--remote wants a name and an address.", hint)
        if name in given:
            raise OptionError(f"--remote names {name!r} twice.", "Give each remote a name of its own.")
        given.add(name)
        own = found.get(name)
        found[name] = RemoteSettings(name, url) if own is None else replace(own, url=url)
    return found


def _remote(path: Path, name: str, values: object) -> RemoteSettings:
    where = f"{path} [remotes.{name}]"
    if not isinstance(values, dict):
        raise OptionError(f"{path}: 'remotes.{name}' is not a table.", f"Write [remotes.{name}] above its settings.")
    try:
        table = _Table.model_validate(values)
    except ValidationError as error:
        inner = error.errors(include_url=False)[0]["loc"][0] == "charges"
        problem = first_problem(error, (_Charges if inner else _Table).model_fields, secret=_SECRET)
        raise OptionError(f"{where}: {problem}", "Correct it there.") from None  # it has the values
    written = table.model_dump(exclude_none=True, exclude={"timeout", "charges"})
    if table.timeout is not None:
        written["timeout_s"] = table.timeout
    if table.charges is not None:
        written["charges"] = Price(table.charges.prompt, table.charges.completion)
    try:
        return RemoteSettings(name, **written)
    except OptionError as error:
        message = error.message.removeprefix(f"remote {name}: ")
        raise OptionError(f"{where}: {message}", error.hint) from None
