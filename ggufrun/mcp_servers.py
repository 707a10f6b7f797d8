"""`[mcp.NAME]` of ggufrun.toml: servers of the Model Context Protocol, whose tools the page may offer to a model.

What of them may be secret (arguments, environment, address, headers) stands in no error and no repr.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ggufrun.errors import OptionError
from ggufrun.validation import first_problem

# No name ends with "_" or has two of them in a row, so that NAME__TOOL can be taken apart again. Tools' names have 64.
_NAME: Final = re.compile(r"(?=.{1,24}$)[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_SECRET: Final = ("args", "env", "url", "headers")
_SHORTEST: Final = 4  # characters of a secret: shorter ones, as a "1", keep none
_SHORTEST_ARG: Final = 8  # arguments are secret less often
_ASSIGNED: Final = re.compile(r"-{0,2}\w[\w-]*=(.*[^=].*)", re.DOTALL)  # base64 may end with a "="
_PATH: Final = re.compile(r"(~|\.{1,2})?[/\\]|[A-Za-z]:[/\\]")  # how one begins


@dataclass(frozen=True, slots=True)
class McpServer:
    """A program that is started, or an address; one of the two."""

    name: str
    command: str = ""
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0  # seconds that one call may take

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            hint = "Use up to 24 letters, digits, and single - or _ between them."
            raise OptionError(f"{self.name!r} is no name for an MCP server.", hint)
        if bool(self.command) == bool(self.url):
            raise OptionError("An MCP server has a command or a url.", "Write one of the two.")
        if self.url and (self.args or self.env):
            raise OptionError("args and env are for programs, and this MCP server has a url.", "Use headers.")
        if self.command and self.headers:
            raise OptionError("headers are for a url, and this MCP server is a program.", "Use env.")
        if self.url and not _is_address(self.url):
            raise OptionError("The url is no http:// or https:// address.", "Write it as in http://127.0.0.1:8000/mcp.")
        if any("\0" in text for text in (self.command, *self.args, *self.env, *self.env.values())):
            raise OptionError("A program's command, args and env have no zero characters.", "Leave them out.")
        if any(not name or "=" in name for name in self.env):
            raise OptionError("A name in env is empty or has a '='.", 'Write it as in env = { NAME = "value" }.')
        for name, value in self.headers.items():
            if _HEADER.fullmatch(name) is None or _HEADER_VALUE.fullmatch(value) is None:
                hint = 'Write them in ASCII, on one line, as in headers = { Authorization = "Bearer …" }.'
                raise OptionError("One of the headers cannot be sent.", hint)

    def hide(self, words: str) -> str:
        """Without the secrets, in words of the server's own or of a library."""
        for secret in sorted(set(self._secrets()), key=len, reverse=True):
            words = words.replace(secret, "…")
        return words

    def _secrets(self) -> Iterator[str]:
        for value in (*self.env.values(), *self.headers.values(), self.url):
            yield from _parts(value, _SHORTEST)
        for arg in self.args:
            assigned = _ASSIGNED.fullmatch(arg)
            value = assigned[1] if assigned else "" if arg.startswith("-") else arg
            if _PATH.match(value) is None:
                yield from _parts(value, _SHORTEST_ARG)


class _Table(BaseModel):
    """The keys of one table; None where the user wrote nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    command: Annotated[str, Field(min_length=1)] | None = None
    args: Annotated[tuple[str, ...], Field(strict=False)] | None = None  # TOML has arrays only
    env: dict[str, str] | None = None
    url: Annotated[str, Field(min_length=1)] | None = None
    headers: dict[str, str] | None = None
    timeout: Annotated[float, Field(gt=0, le=3600)] | None = None


def mcp_servers(path: Path, tables: object) -> dict[str, McpServer]:
    """What `mcp` is in the document. OptionError names the file and the key that is wrong, never a secret."""
    if not isinstance(tables, dict):
        raise OptionError(f"{path}: 'mcp' is not a table.", "Write [mcp.NAME] above a server's settings.")
    return {name: _server(path, name, table) for name, table in tables.items()}


def _server(path: Path, name: str, values: object) -> McpServer:
    where = f"{path} [mcp.{name}]"
    if not isinstance(values, dict):
        raise OptionError(f"{path}: 'mcp.{name}' is not a table.", f"Write [mcp.{name}] above its settings.")
    try:
        written = _Table.model_validate(values).model_dump(exclude_none=True)
    except ValidationError as error:
        problem = first_problem(error, _Table.model_fields, secret=_SECRET)
        raise OptionError(f"{where}: {problem}", "Correct it there.") from None  # it has the values
    try:
        server = McpServer(name, **written)
    except OptionError as error:
        raise OptionError(f"{where}: {error.message}", error.hint) from None
    return server


def _parts(value: str, shortest: int) -> Iterator[str]:
    """What keeps a secret if `value` does: as a whole, of "Bearer SECRET", and of an address."""
    parts = [value.strip(), value.rstrip().rpartition(" ")[2]]
    try:
        address = urlsplit(value)
        parts += [address.password or "", *(each for _, each in parse_qsl(address.query))]
    except ValueError:
        pass
    return (each for each in parts if len(each) >= shortest)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def program_of(server: McpServer) -> str:
    return os.path.expanduser(server.command)
