"""Where a file's bytes come from: one HTTP request for a span of them, and what its answer means.

Always plain HTTP with ranges. The link that the hub gives is good for a while and often on another host, which never
gets the token. Whether an answer is worth another try is said here; how often to try is `transfer`'s.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from re import Pattern, compile
from typing import Final

import httpx2

from ggufrun.hub.client import Client, Metadata
from ggufrun.hub.segments import Span
from ggufrun.hub_errors import HubError, HubOffline

_RANGE: Final[Pattern[str]] = compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_STALE: Final = (401, 403, 404, 410, 416)  # of a link: the hub knows a new one, or says what is the matter
_CONNECT_S: Final = 10


class Again(Exception):
    """It went wrong, and may go well another time, after `wait_s` where the server says so.

    `wrong`: an answer came, and one that waiting seldom mends.
    """

    def __init__(self, why: str, wait_s: float | None = None, *, wrong: bool = False) -> None:
        super().__init__(why)
        self.why, self.wait_s, self.wrong = why, wait_s, wrong


@dataclass(frozen=True, slots=True)
class Answer:
    """`chunks` are the bytes from `start` on. `whole`: the server took no notice of the range."""

    start: int
    whole: bool
    chunks: Iterator[bytes]


class Source:
    """One file at one commit. For several threads at once."""

    def __init__(self, client: Client, repo: str, commit: str, path: str, etag: str) -> None:
        self._client, self._repo, self._commit, self._path, self._etag = client, repo, commit, path, etag
        self._lock = threading.Lock()
        self._found: Metadata | None = None

    @contextmanager
    def open(self, span: Span) -> Iterator[Answer]:
        """Ask for these bytes. Raises Again, HubRefused or HubError; Again also while the chunks are read."""
        from huggingface_hub import constants, get_session

        found = self._location()
        timeout = httpx2.Timeout(constants.HF_HUB_DOWNLOAD_TIMEOUT, connect=_CONNECT_S, pool=None)
        headers = self._headers(found.location, span)
        try:
            with get_session().stream("GET", found.location, headers=headers, timeout=timeout) as response:
                if response.status_code in _STALE:
                    self._forget(found)
                yield _answer(response, span, found.size)
        except (httpx2.RequestError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise Again(str(error) or type(error).__name__) from error

    def _location(self) -> Metadata:
        """One thread asks for a link; the others wait and use it, too."""
        with self._lock:
            if self._found is None:
                found = self._asked()
                if found.etag != self._etag:
                    raise HubError(
                        f"{self._path} is not what the hub listed a moment ago.", "Somebody is changing it: pull again."
                    )
                self._found = found
            return self._found

    def _asked(self) -> Metadata:
        try:
            return self._client.metadata(self._repo, self._commit, self._path)
        except HubOffline:
            raise
        except HubError as error:  # down or busy for a moment; what it refuses stays refused
            raise Again(str(error)) from error

    def _forget(self, found: Metadata) -> None:
        with self._lock:
            if self._found is found:
                self._found = None

    def _headers(self, location: str, span: Span) -> dict[str, str]:
        headers = {**self._client.headers(), "Range": f"bytes={span.start}-{span.end - 1}"}
        if _origin(location) != _origin(self._client.endpoint):
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        return headers


def _answer(response: httpx2.Response, span: Span, size: int) -> Answer:
    status, headers = response.status_code, response.headers
    if status not in (200, 206):
        raise Again(f"HTTP {status}", _wait_s(headers.get("Retry-After")), wrong=status in _STALE)
    if headers.get("Content-Encoding", "identity") != "identity":
        raise Again("the server packed the bytes, though asked not to", wrong=True)
    length = headers.get("Content-Length")
    if status == 200:
        if headers.get("Content-Type", "").startswith("text/html") or length not in (None, str(size)):
            raise Again("something else came than the file; does this network ask for a login?", wrong=True)
        return Answer(0, True, response.iter_raw())
    match = _RANGE.fullmatch(headers.get("Content-Range", ""))
    first, last = (int(match[1]), int(match[2])) if match else (-1, -1)
    right = first == span.start and last < span.end and length in (None, str(last + 1 - first))
    if match is None or not right or match[3] not in ("*", str(size)):
        raise Again("the server sent other bytes than were asked for", wrong=True)
    return Answer(span.start, False, response.iter_raw())


def _wait_s(retry_after: str | None) -> float | None:
    """Seconds, or a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _origin(url: str) -> httpx2.Origin:
    try:
        return httpx2.URL(url).origin
    except (httpx2.InvalidURL, ValueError) as error:
        raise Again("the hub's link to the file is no web address", wrong=True) from error
