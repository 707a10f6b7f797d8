"""Names of MCP tools as models have them: SERVER__TOOL. No two clash, and none is longer than tools' names may be."""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

LONGEST: Final = 64
_BETWEEN: Final = "__"
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]")


def name_of(server: str, tool: str) -> str:
    """A tool's name that does not fit ends with a few digits of its hash.

    >>> name_of("files", "read")
    'files__read'
    """
    whole = f"{server}{_BETWEEN}{_FOREIGN.sub('_', tool)}"
    if whole == f"{server}{_BETWEEN}{tool}" and len(whole) <= LONGEST and tool:
        return whole
    mark = f"_{sha256(tool.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return whole[: LONGEST - len(mark)] + mark


def server_of(name: str, servers: Iterable[str]) -> str:
    """Which of the servers a tool of this name belongs to; "" for none. Servers' names have no "__" (`mcp_servers`)."""
    server, between, _ = name.partition(_BETWEEN)
    return server if between and server in servers else ""
