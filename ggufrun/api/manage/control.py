"""The running server as its management sees it: where it listens, since when, and how it is ended."""

import hmac
import os
import secrets
import time
from collections.abc import Callable

from ggufrun.errors import OptionError
from ggufrun.records.keys import Key

LOCAL_KEY = Key("(local)", "admin")  # no key that somebody makes can be called so


class Control:
    """Of one server process. `token` is an admin key of this run: this machine's user finds it in the data folder."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = secrets.token_urlsafe(32)
        self.pid = os.getpid()
        self.started = time.time()
        self._stop: Callable[[], None] | None = None

    def admits(self, secret: str) -> bool:
        return hmac.compare_digest(secret.encode("utf-8", "replace"), self.token.encode())

    def stops_with(self, stop: Callable[[], None]) -> None:
        """`stop` asks the HTTP server to end as SIGTERM would."""
        self._stop = stop

    def stop(self) -> None:
        """End the server once this request is answered. Raises OptionError where it is another program's."""
        if self._stop is None:
            raise OptionError("This server is not run by `ggufrun serve`.", "End the program that runs it.")
        self._stop()
