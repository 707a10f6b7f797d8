"""Which tools a model is told of: those that were written, then those of MCP servers that are ticked."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from ggufrun.ui.tools.connection import Connection
from ggufrun.ui.tools.naming import server_of
from ggufrun.ui.tools.written import Tool, tool_name

Servers = Mapping[str, Connection]


def apart(tools: Iterable[Tool], servers: Collection[str]) -> tuple[list[Tool], list[Tool]]:
    """The written ones, and those of the servers that there are."""
    hand: list[Tool] = []
    theirs: list[Tool] = []
    for tool in tools:
        (theirs if server_of(tool_name(tool), servers) else hand).append(tool)
    return hand, theirs


def together(hand: Sequence[Tool], ticked: Iterable[str], known: Sequence[Tool], servers: Servers) -> list[Tool]:
    """`known` defines those whose server is not connected, as the chat has them."""
    defined = {tool_name(tool): tool for tool in known}
    for connection in servers.values():
        defined |= {tool.name: tool.definition for tool in connection.tools}
    return [*hand, *(defined[name] for name in ticked if name in defined)]


def offered(chosen: Collection[str], known: Sequence[Tool], servers: Servers) -> list[tuple[str, str]]:
    """The tools of the chosen servers, as choices: what is read, and the name."""
    names: dict[str, str] = {}
    for server in chosen:
        if server in servers:
            of_chat = [name for name in map(tool_name, known) if server_of(name, servers) == server]
            own = [tool.name for tool in servers[server].tools]
            names |= {name: f"{server}: {name.removeprefix(f'{server}__')}" for name in (*own, *of_chat)}
    return [(label, name) for name, label in names.items()]


def listed(servers: Servers, connecting: Collection[str] = ()) -> list[tuple[str, str]]:
    """The servers as choices, with how each is."""
    states = {name: "connecting …" if name in connecting else _state(each) for name, each in servers.items()}
    return [(f"{name} ({state})", name) for name, state in states.items()]


def _state(connection: Connection) -> str:
    count = len(connection.tools)
    match connection.state:
        case "connected":
            return "1 tool" if count == 1 else f"{count} tools"
        case "connecting":
            return "connecting …"
        case "failed":
            return "failed"
    return "not connected"
