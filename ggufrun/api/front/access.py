"""The log of requests: one line each on the logger `ggufrun.access`. Never what was asked or answered, never a key."""

import json
import logging
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from starlette.types import Scope

_SCOPE_KEY: Final = "ggufrun.access"
_log = logging.getLogger("ggufrun.access")


@dataclass(slots=True)
class Access:
    """What the line about one request says. Whoever learns something of it while it is answered writes it here."""

    request_id: str
    status: int = 0
    key: str = ""  # the key's name
    model: str = ""
    tokens: str = ""  # prompt+completion
    engine: str = ""  # of those of a route, the one that answered or was asked last
    why: str = ""
    quiet: bool = False  # not worth a line, unless a model was asked or the request is refused
    started: float = field(default_factory=time.perf_counter)

    def write(self, scope: Scope) -> None:
        """Log the line. The path is percent-encoded, so that nobody writes a line of their own, and has no query."""
        if self.quiet and not self.model and self.status < 400:
            return
        more = "".join(
            f" {name}={value}"
            for name, value in (
                *(("key", self.key), ("model", self.model), ("tokens", self.tokens)),
                *(("engine", self.engine), ("why", json.dumps(self.why) if self.why else "")),
            )
            if value
        )
        path, took = quote(scope["path"], safe="/:@!$&'()*+,;=~"), 1e3 * (time.perf_counter() - self.started)
        _log.info("%s %s %s %s %.0f ms%s", self.request_id, scope["method"], path, self.status or "-", took, more)


def begin_access(scope: Scope, request_id: str) -> Access:
    access = scope[_SCOPE_KEY] = Access(request_id)
    return access


def access_of(scope: Scope) -> Access:
    """Of the request that a scope belongs to; one that nobody writes where no guard stands in front (in a test)."""
    access = scope.get(_SCOPE_KEY)
    return access if isinstance(access, Access) else Access("")
