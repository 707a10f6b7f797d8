"""What a remote answers instead of an answer, as our errors: its words cleaned, its key hidden, its address kept.

Those who chat read them, so what only the operator should know goes to the log.
"""

import json
import logging
import re
from dataclasses import dataclass
from typing import Any, Final

import httpx

from ggufrun.errors import GgufrunError, cut
from ggufrun.remote.backoff import retry_after_s
from ggufrun.remote.keys import Key
from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote_errors import (
    RemoteBroke,
    RemoteBusy,
    RemoteDown,
    RemotePromptTooLong,
    RemoteRefused,
    RemoteRejected,
)

_log = logging.getLogger(__name__)

_WORDS: Final = 400  # characters of the remote's that are repeated
_AGAIN: Final = (502, 503, 504)
_OURS: Final = (401, 402, 403)  # our key, or what it has paid for
_TOO_LONG: Final = re.compile(
    r"context[ _](length|size|window)|exceed_context_size|too (long|large) for model|too many tokens", re.IGNORECASE
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")


@dataclass(frozen=True, slots=True)
class Said:
    """What a remote says about a failure."""

    words: str
    param: str | None = None
    code: str = ""


class Faults:
    """Of one remote."""

    def __init__(self, settings: RemoteSettings, key: Key) -> None:
        self._settings, self._key = settings, key
        self._name = settings.name

    def of_reply(self, reply: httpx.Response, body: bytes) -> GgufrunError:
        """The error that a reply other than 200 stands for."""
        said = self.said(body, reply.headers.get("content-type", ""))
        retry_s = retry_after_s(reply.headers.get("retry-after"))
        return self._of(reply.status_code, said, retry_s)

    def of_chunk(self, error: Any) -> GgufrunError:
        """The error that a stream has in it, or that a reply of 200 is."""
        said = self._read({"error": error})
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600 else 0
        return self._of(status, said, None) if status else self.broke(self.words_of(error))

    def words_of(self, error: Any) -> str:
        """What a stream says in the middle of an answer."""
        return f"it says: {self._read({'error': error}).words or 'nothing'}"

    def of_failure(self, error: Exception) -> RemoteDown:
        """The error of a request that got no reply at all."""
        if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
            return RemoteDown(self._name, "nobody answers there", again=True)
        if isinstance(error, httpx.TimeoutException):
            return RemoteDown(self._name, f"nothing came for {self._settings.timeout_s:g} s")
        if isinstance(error, httpx.ConnectError):
            return RemoteDown(self._name, self._unconnected(error), again=True)
        return RemoteDown(self._name, "it closed the connection without an answer", again=True)

    def cut(self, error: Exception) -> RemoteBroke:
        """The error of a stream that had begun."""
        if isinstance(error, httpx.TimeoutException):
            return self.broke(f"nothing came for {self._settings.timeout_s:g} s")
        return self.broke("the connection was cut")

    def broke(self, why: str, *, down: bool = True) -> RemoteBroke:
        return RemoteBroke(self._name, why, down=down)

    def said(self, body: bytes, content_type: str) -> Said:
        """The remote's own words. A page of HTML is told by what it is: it is a proxy's, or of another program."""
        try:
            return self._read(json.loads(body))
        except (ValueError, RecursionError):
            text = body.decode(errors="replace")  # all of it: half a key would not be known for one
        if "html" in content_type.lower() or text.lstrip()[:1] == "<":
            return Said("a page of HTML")
        return Said(self._clean(text))

    def _of(self, status: int, said: Said, retry_s: int | None) -> GgufrunError:
        name = self._name
        if status == 429:
            return RemoteBusy(name, retry_s)
        if status in _OURS:
            return self._refused(status, said)
        if status == 404:
            self._log(f"answers 404: {said.words}")
            return RemoteDown(name, "it does not know the model or the address that is asked for")
        if status in _AGAIN and (retry_s is not None and status == 503):
            return RemoteBusy(name, retry_s)
        if status >= 500:
            return RemoteDown(name, _status(status, said), again=status in _AGAIN)
        if not 400 <= status < 500:
            self._log(f"answers {status}")
            return RemoteDown(name, f"it answers {status}")
        if _TOO_LONG.search(said.code) or _TOO_LONG.search(said.words):
            return RemotePromptTooLong(name, said.words)
        return RemoteRejected(name, said.words or f"{status}", said.param, status)

    def _refused(self, status: int, said: Said) -> RemoteRefused:
        variable = self._settings.key_env
        key = f"the key in {variable} is not good there" if variable else "it wants a key, and key_env names none"
        self._log(f"answers {status}: {key} ({said.words})")
        return RemoteRefused(self._name)

    def _log(self, what: str) -> None:
        _log.error("remote %s at %s %s", self._name, self._settings.base, what)

    def _unconnected(self, error: httpx.ConnectError) -> str:
        words = self._clean(str(error))
        _log.warning("remote %s at %s: %s", self._name, self._settings.base, words)
        return "its certificate is not trusted here" if "CERTIFICATE" in words.upper() else "nobody answers there"

    def _read(self, body: Any) -> Said:
        """From OpenAI's, Mistral's, vLLM's, llama-server's and FastAPI's envelopes."""
        inner = body.get("error", body) if isinstance(body, dict) else body
        if not isinstance(inner, dict):
            return Said(self._clean(str(inner)))
        detail = inner.get("detail")
        if isinstance(detail, list) and detail and isinstance(detail[0], dict):
            return self._of_detail(detail[0])
        words = inner.get("message") or detail or inner.get("type") or ""
        if isinstance(words, dict):  # Mistral's message may have the list in it
            return self._read(words)
        param = inner.get("param")
        code = " ".join(str(inner.get(name) or "") for name in ("code", "type"))
        return Said(self._clean(str(words)), self._clean(param) if isinstance(param, str) and param else None, code)

    def _of_detail(self, first: dict[str, Any]) -> Said:
        place = first.get("loc")
        parts = [str(part) for part in place if part != "body"] if isinstance(place, list) else []
        param = self._clean(".".join(parts))
        words = self._clean(str(first.get("msg") or first.get("type") or ""))
        return Said(f"{param}: {words}" if param else words, param or None)

    def _clean(self, words: str) -> str:
        """On one line, without the key, and not for ever."""
        return cut(self._key.hide(_CONTROL.sub(" ", words)).strip(), _WORDS)


def _status(status: int, said: Said) -> str:
    return f"it answers {status}" + (f" ({said.words.rstrip('.')})" if said.words else "")
