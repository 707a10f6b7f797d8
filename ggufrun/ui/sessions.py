"""Browsers that have logged in, by a random word in their cookie. Their keys stay here, until the program ends."""

import secrets
import time
from typing import Final

from starlette.requests import cookie_parser

COOKIE: Final = "ggufrun_page"
LASTS_S: Final = 30 * 86_400
_MOST: Final = 1000


class Sessions:
    """A cookie's name ends in the port: browsers do not tell a host's ports apart, and two servers may run there."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, float]] = {}  # until when each is good; oldest first

    def begin(self, key: str) -> str:
        """The word for a new one."""
        while len(self._keys) >= _MOST:
            del self._keys[next(iter(self._keys))]
        word = secrets.token_urlsafe(32)
        self._keys[word] = key, time.monotonic() + LASTS_S
        return word

    def key_of(self, cookies: str) -> str:
        """The key behind a Cookie header; "" where there is none."""
        for word in _words(cookies):
            key, until = self._keys.get(word, ("", 0.0))
            if key and time.monotonic() < until:
                return key
        return ""

    def end(self, cookies: str) -> None:
        for word in _words(cookies):
            self._keys.pop(word, None)


def _words(cookies: str) -> list[str]:
    """As browsers write them: what another program of this host has put there is seldom what the standard wants."""
    return [word for name, word in cookie_parser(cookies).items() if name.startswith(COOKIE)]
