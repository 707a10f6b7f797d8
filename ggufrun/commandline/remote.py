"""Speaks to a running server's management over HTTP: finds it, asks it, and says what to do where it is silent."""

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, urlsplit

from ggufrun.errors import EngineError, GgufrunError, OptionError
from ggufrun.running import Running, running
from ggufrun.userconfig import data_folder

DEFAULT_URL: Final = "http://127.0.0.1:8080"
KEY_VARIABLE: Final = "GGUFRUN_API_KEY"
TIMEOUT_S: Final = 5.0
_START: Final = "Start one: ggufrun serve MODEL. Or say where it is: --url URL."


class NobodyThere(EngineError):
    def __init__(self, url: str) -> None:
        super().__init__(f"No server answers at {url}.", _START)


@dataclass(frozen=True, slots=True)
class Remote:
    """One server. `ours`: its file in the data folder led here."""

    url: str
    key: str
    ours: bool
    pid: int | None = None

    def get(self, path: str) -> Any:
        return self._ask("GET", path, TIMEOUT_S)

    def post(self, path: str, timeout_s: float = TIMEOUT_S) -> Any:
        return self._ask("POST", path, timeout_s)

    def _ask(self, method: str, path: str, timeout_s: float) -> Any:
        """The JSON of the reply. Raises NobodyThere, or EngineError with the server's own words."""
        request = urllib.request.Request(f"{self.url}/ggufrun/v1{path}", method=method)
        if self.key:
            request.add_header("Authorization", f"Bearer {self.key}")
        if self.ours:
            request.add_header("Host", "localhost")  # a name that every server answers to
        try:
            with no_proxy(ours=self.ours).open(request, timeout=timeout_s) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from error
        except TimeoutError as error:
            raise EngineError(f"{self.url} does not answer.", "Try again, or end its process.") from error
        except ValueError as error:
            raise self._stranger() from error
        except (OSError, HTTPException) as error:
            if isinstance(getattr(error, "reason", None), ssl.SSLError):
                message = f"{self.url}: its certificate is not trusted here."
                raise EngineError(message, "Ask on that machine.") from error
            raise NobodyThere(self.url) from error

    def _refusal(self, error: urllib.error.HTTPError) -> GgufrunError:
        try:
            said = str(json.load(error)["message"])
        except (ValueError, KeyError, TypeError, OSError):
            return self._stranger()
        if error.code in (401, 403):
            return EngineError(f"{self.url} refuses: {said}", f"Give a key with admin scope: {KEY_VARIABLE}=KEY.")
        return EngineError(said)

    def _stranger(self) -> EngineError:
        return EngineError(f"What answers at {self.url} is no ggufrun server that can be managed.", _START)


def no_proxy(*, ours: bool) -> urllib.request.OpenerDirector:
    """The certificate of a server that runs here is whatever its user gave it."""
    context = ssl._create_unverified_context() if ours else ssl.create_default_context()
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))


def named(path: str) -> str:
    """A model's place in the management's paths."""
    return f"/models/{quote(path, safe='/')}"


def remotes(url: str | None) -> Sequence[Remote]:
    """The server at `url`; without one those that run here, or else the one that may be at the usual address.

    Raises OptionError for what is no URL.
    """
    home = data_folder(os.environ)
    known = running(home)
    if url is None:
        return [_ours(server) for server in known] or [_other(DEFAULT_URL)]
    wanted = checked(url, "--url")
    return [_ours(server) for server in known if server.url == wanted] or [_other(wanted)]


def one_remote(url: str | None) -> Remote:
    """Raises OptionError where several servers could be meant."""
    found = remotes(url)
    if len(found) > 1:
        urls = " or ".join(server.url for server in found)
        raise OptionError(f"{len(found)} servers run here.", f"Say which one: --url {urls}.")
    return found[0]


def _ours(server: Running) -> Remote:
    return Remote(server.url, server.token, ours=True, pid=server.pid)


def _other(url: str) -> Remote:
    return Remote(url, os.environ.get(KEY_VARIABLE, ""), ours=False)


def checked(url: str, option: str) -> str:
    """Without /v1 at its end. Raises OptionError."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise OptionError(f"{option} cannot be {url!r}.", f"Write it as {DEFAULT_URL}.")
    return url.rstrip("/").removesuffix("/v1")
