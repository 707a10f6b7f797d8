"""A model hub on this machine, for tests: two servers, as the real one has (hub and CDN), real bytes, faults on demand.

`python -m tests.hub.fake_hub FOLDER --port N` serves FOLDER/owner/name/files until Ctrl-C.
"""

import argparse
import itertools
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack
from urllib.parse import urlsplit

from tests.hub.fake_api import Asked
from tests.hub.fake_repo import About, FakeFile, FakeRepo
from tests.hub.fake_server import Handler
from tests.hub.faults import Fault, Faults, Server


@dataclass(slots=True)
class Request:
    """A line of the log. `path` is the file's in its repository, or an API call's; `sent` counts bytes of bodies."""

    server: Server
    method: str
    path: str
    range: str | None
    had_auth: bool
    status: int = 0
    sent: int = 0
    fault: Fault | None = None
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None


@dataclass(slots=True)
class Link:
    """An address on the CDN, signed for a while."""

    path: str
    file: FakeFile
    expired: bool = False


class Listener(ThreadingHTTPServer):
    """One of the two servers. It knows its connections, so that they end with it."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub: "FakeHub", role: Server, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.hub, self.role = hub, role
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name=f"fake {role}", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves in the middle of a request is what these tests are about."""

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)


@dataclass
class FakeHub:
    """A context manager: it serves from entering to leaving. `bytes_per_s` limits each connection's body."""

    port: int = 0
    bytes_per_s: float | None = None
    page_size: int = 1000
    repos: dict[str, FakeRepo] = field(default_factory=dict, repr=False)
    faults: Faults = field(default_factory=Faults)
    log: list[Request] = field(default_factory=list, repr=False)
    links: dict[str, Link] = field(default_factory=dict, repr=False)
    closing: threading.Event = field(default_factory=threading.Event)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __enter__(self) -> Self:
        self._cdn = Listener(self, "cdn", 0)
        self._hub = Listener(self, "hub", self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._hub.end()
        self._cdn.end()

    @property
    def endpoint(self) -> str:
        return self._hub.address

    @property
    def cdn_endpoint(self) -> str:
        return self._cdn.address

    def add_repo(
        self,
        name: str,
        files: Mapping[str, bytes | Path | FakeFile],
        *,
        revision: str = "main",
        commit: str | None = None,
        **about: Unpack[About],
    ) -> str:
        """A repository, or a new state of one (older commits stay). Returns the commit."""
        repo = self.repos.setdefault(name, FakeRepo(name, about))
        repo.about = {**repo.about, **about}
        made = {path: file if isinstance(file, FakeFile) else FakeFile(file) for path, file in files.items()}
        snapshot = repo.put(revision, made, commit)
        repo.revisions.setdefault("main", snapshot)
        return snapshot.commit

    def link(self, path: str, file: FakeFile) -> str:
        name = f"{file.sha256[:16]}-{next(self._numbers)}"
        self.links[name] = Link(path, file)
        return f"{self.cdn_endpoint}/xet/{name}?Signature=made-up"

    def expire_link(self, name: str) -> None:
        self.links[name].expired = True

    def expire_links(self) -> None:
        """No link that was given out so far works any more; what is being sent goes on."""
        for link in list(self.links.values()):
            link.expired = True

    @contextmanager
    def counting(self, server: Server, asked: Asked, asked_range: str | None) -> Iterator[Request]:
        request = Request(server, asked.method, urlsplit(asked.target).path, asked_range, asked.token is not None)
        self.log.append(request)
        try:
            yield request
        finally:
            request.ended = time.monotonic()

    def quiet(self, timeout_s: float = 5) -> None:
        """Wait until nothing is being sent: the count may lag behind what a client has seen."""
        deadline = time.monotonic() + timeout_s
        while any(request.ended is None for request in list(self.log)) and time.monotonic() < deadline:
            time.sleep(0.005)

    def sent(self, path: str | None = None) -> int:
        """Bytes of files' contents that went out from the CDN, of one file or of all."""
        self.quiet()
        return sum(each.sent for each in list(self.log) if each.server == "cdn" and path in (None, each.path))

    def asked(self, server: Server, method: str = "GET", path: str | None = None) -> list[Request]:
        self.quiet()
        return [r for r in list(self.log) if (r.server, r.method) == (server, method) and path in (None, r.path)]


def serve_folder(hub: FakeHub, folder: Path) -> None:
    """Add FOLDER/owner/name/... as repositories."""
    for root in sorted(path for path in folder.glob("*/*") if path.is_dir()):
        files = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
        hub.add_repo(root.relative_to(folder).as_posix(), files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bytes-per-s", type=float, default=None, help="of each connection")
    arguments = parser.parse_args()
    with FakeHub(arguments.port, arguments.bytes_per_s) as hub:
        serve_folder(hub, arguments.folder)
        print(f"HF_ENDPOINT={hub.endpoint}  ({len(hub.repos)} repositories; the CDN is {hub.cdn_endpoint})", flush=True)
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
