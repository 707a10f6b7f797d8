"""A remote file's front part, fetched as it is read and laid into a local file of the full size, sparse behind it."""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from ggufrun.hub.answers import WAITS_S, patiently
from ggufrun.hub.at_once import Stopped
from ggufrun.hub.client import TIMEOUT_S, Client
from ggufrun.hub.files import HubFile, Listing
from ggufrun.hub_errors import HubError

if TYPE_CHECKING:
    from httpx2 import Response

_CHUNK: Final = 1 << 20
_STALE: Final = (401, 403, 410)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class RemoteFront:
    """A `weights.cursor.Readable` over one file of a repository. What was fetched is never fetched again.

    `target` is where it is laid down, and as long as what came of it, also in an earlier process; `finish` gives it the
    full size. `step` is how many bytes are asked for at once. Raises HubRefused, HubError; Stopped once `stop` is set.
    """

    def __init__(
        self,
        client: Client,
        listing: Listing,
        file: HubFile,
        target: IO[bytes],
        step: int,
        stop: threading.Event,
    ) -> None:
        self._client, self._repo, self._commit, self._file = client, listing.repo, listing.commit, file
        self._target, self._step, self._stop = target, step, stop
        self._here = target.seek(0, os.SEEK_END)  # bytes from the beginning on
        if self._here > file.size:
            self._here = target.truncate(0)
        target.seek(0)

    @property
    def here(self) -> int:
        """Bytes."""
        return self._here

    def finish(self) -> None:
        make_sparse(self._target)
        self._target.truncate(self._file.size)

    def seek(self, at: int, /) -> int:
        return self._target.seek(at)

    def read(self, count: int, /) -> bytes:
        at = self._target.tell()
        self.reach(at + count)
        self._target.seek(at)
        return self._target.read(count)

    def reach(self, end: int) -> None:
        """Have all bytes up to `end`, or to the file's end."""
        end = min(end, self._file.size)
        aim = min(max(end, (self._here // self._step + 1) * self._step), self._file.size)
        fruitless = 0
        while self._here < end:
            before = self._here
            with self._client.errors(self._repo, self._commit):
                broken = self._fetch(aim)
            fruitless = 0 if self._here > before else fruitless + 1
            if self._here < end and fruitless >= len(WAITS_S):
                raise HubError(f"{self._client.shown} stopped in the middle of {self._file.path}.", broken)
            if fruitless:
                self._stop.wait(WAITS_S[fruitless - 1])

    def _fetch(self, end: int) -> str:
        """One request for the bytes up to `end`. A connection that breaks leaves what came; why is given back."""
        import httpx2

        with self._open(end) as (response, first):
            self._target.seek(self._here)
            skipped = self._here - first
            try:
                for chunk in response.iter_raw(_CHUNK):
                    if self._stop.is_set():
                        raise Stopped
                    usable = chunk[skipped:][: end - self._here]
                    skipped = max(skipped - len(chunk), 0)
                    self._here += self._target.write(usable)
                    if self._here >= end:
                        break  # of a server that ignores ranges there would be more
            except httpx2.TransportError as error:
                return f"Try again ({error or type(error).__name__})."
        return "Try again."

    @contextmanager
    def _open(self, end: int) -> "Iterator[tuple[Response, int]]":
        """The response, and where in the file its body begins."""
        from huggingface_hub import get_session, hf_raise_for_status

        session = get_session()
        url = self._client.url(self._repo, self._commit, self._file.path)
        headers = self._client.headers() | {"Range": f"bytes={self._here}-{end - 1}"}
        request = session.build_request("GET", url, headers=headers, timeout=TIMEOUT_S)

        def ask() -> "Response":
            if self._stop.is_set():
                raise Stopped
            response = session.send(request, stream=True, follow_redirects=True)
            if response.status_code in _STALE and response.history:  # the hub said yes; its link was too old
                response.close()
                response = session.send(request, stream=True, follow_redirects=True)
            if response.is_error:
                response.read()
                hf_raise_for_status(response)
            return response

        response = patiently(ask)
        try:
            yield response, self._begin(response)
        finally:
            response.close()

    def _begin(self, response: "Response") -> int:
        if response.status_code == 200:
            first, size = 0, int(response.headers.get("Content-Length") or self._file.size)
        else:
            told = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            first, size = (int(told[1]), int(told[3])) if told else (-1, -1)
        if size != self._file.size or first not in (0, self._here):
            raise HubError(
                f"{self._client.shown} sends other bytes of {self._file.path} than were asked for.",
                "Try again, and without --mirror or a proxy.",
            )
        return first


def make_sparse(file: IO[bytes]) -> None:
    """So that a hole takes no room. Everywhere but on Windows a file is so without being told."""
    if sys.platform != "win32":
        return
    import ctypes
    import msvcrt

    set_sparse, done = 0x000900C4, ctypes.c_ulong()
    handle = ctypes.c_void_p(msvcrt.get_osfhandle(file.fileno()))
    ctypes.windll.kernel32.DeviceIoControl(handle, set_sparse, None, 0, None, 0, ctypes.byref(done), None)
