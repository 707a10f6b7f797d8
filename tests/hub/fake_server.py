"""How the fake hub sends: HTTP/1.1 with keep-alive and ranges, at a rate, counted, and with the faults asked for."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from tests.hub.fake_api import Asked, Reply, answer_cdn, answer_hub
from tests.hub.fake_repo import FakeFile
from tests.hub.faults import (
    Cut,
    Drop,
    Expired,
    Fault,
    Html,
    IgnoredRange,
    Slow,
    Stall,
    Status,
    WrongBytes,
    WrongLength,
    WrongRange,
)

if TYPE_CHECKING:
    from tests.hub.fake_hub import FakeHub, Listener, Request

PIECE: Final = 1 << 18
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
_PAGE: Final = FakeFile(b"<!doctype html><title>Welcome</title><p>Accept our terms to use this network.</p>" * 20)


@dataclass(frozen=True, slots=True)
class Shipment:
    """What goes out as a reply's body: `length` bytes of a file from `start`, zeros past its end."""

    file: FakeFile
    start: int
    length: int

    def pieces(self, piece: int, wrong_at: int | None) -> Iterator[bytes]:
        with self.file.open() as stream:
            stream.seek(self.start)
            at, end = self.start, self.start + self.length
            while at < end:
                data = stream.read(min(piece, end - at)) or bytes(min(piece, end - at))
                if wrong_at is not None and at <= wrong_at < at + len(data):
                    k = wrong_at - at
                    data = data[:k] + bytes([data[k] ^ 0xFF]) + data[k + 1 :]
                at += len(data)
                yield data


class Handler(BaseHTTPRequestHandler):
    """One connection, to the hub or to its CDN."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def hub(self) -> "FakeHub":
        return self._listener.hub

    @property
    def _listener(self) -> "Listener":
        return cast("Listener", self.server)

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = self.headers.get("Authorization")
        asked = Asked(self.command, self.path, body, given.removeprefix("Bearer ") if given else None)
        # As a proxy this is sent whole addresses, the CDN's too.
        server = "cdn" if self.path.startswith(self.hub.cdn_endpoint) else self._listener.role
        with self.hub.counting(server, asked, self.headers.get("Range")) as request:
            reply = (answer_hub if server == "hub" else answer_cdn)(self.hub, asked)
            request.path = reply.subject
            request.fault = fault = self.hub.faults.take(server, self.command, reply.subject)
            try:
                self._send(self._damaged(reply, fault), fault, request)
            except OSError:  # the client has left
                self.close_connection = True

    def _damaged(self, reply: Reply, fault: Fault | None) -> Reply:
        """The reply that some faults put in its place."""
        match fault:
            case Status(code, retry_after):
                wait = {} if retry_after is None else {"Retry-After": str(retry_after)}
                return Reply(reply.subject, code, wait, FakeFile(b'{"error": "asked for by a test"}'))
            case Html():
                return Reply(reply.subject, 200, {"Content-Type": "text/html; charset=utf-8"}, _PAGE)
            case Expired():
                self.hub.expire_link(self.path.rpartition("/")[2].partition("?")[0])
                return answer_cdn(self.hub, Asked(self.command, self.path, b"", None))
        return reply

    def _send(self, reply: Reply, fault: Fault | None, request: "Request") -> None:
        if isinstance(fault, Drop):
            self._hang_up()
            return
        reply, shipment = self._ranged(reply, fault)
        request.status = reply.status
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(shipment.length))
        self.end_headers()
        if self.command != "HEAD":
            self._pour(shipment, fault, request)

    def _ranged(self, reply: Reply, fault: Fault | None) -> tuple[Reply, Shipment]:
        size = reply.file.size
        start, stop, status, headers = 0, size, reply.status, dict(reply.headers)
        span = _span(self.headers.get("Range"), size) if status == 200 and not isinstance(fault, Html) else None
        if span is not None and not isinstance(fault, IgnoredRange):
            start, stop = span
            if isinstance(fault, WrongRange):
                start, stop = max(0, start + fault.by), min(size, stop + fault.by)
            if start >= stop:
                return Reply(reply.subject, 416, {"Content-Range": f"bytes */{size}"}), Shipment(reply.file, 0, 0)
            status, headers["Content-Range"] = 206, f"bytes {start}-{stop - 1}/{size}"
        length = stop - start + (fault.by if isinstance(fault, WrongLength) else 0)
        return replace(reply, status=status, headers=headers), Shipment(reply.file, start, max(0, length))

    def _pour(self, shipment: Shipment, fault: Fault | None, request: "Request") -> None:
        rate = fault.bytes_per_s if isinstance(fault, Slow) else self.hub.bytes_per_s
        piece = PIECE if rate is None else max(256, min(PIECE, int(rate / 50)))
        until = fault.after if isinstance(fault, Cut | Stall) else None
        began = monotonic()
        for data in shipment.pieces(piece, fault.at if isinstance(fault, WrongBytes) else None):
            if until is not None and request.sent + len(data) > until:
                now, data = data[: until - request.sent], data[until - request.sent :]
                self._push(now, request)
                if isinstance(fault, Cut):
                    self._hang_up()
                    return
                self.hub.closing.wait(fault.seconds if isinstance(fault, Stall) else 0)
                until = None
            self._push(data, request)
            if rate is not None and self.hub.closing.wait(max(0.0, began + request.sent / rate - monotonic())):
                self._hang_up()
                return

    def _push(self, data: bytes, request: "Request") -> None:
        self.connection.sendall(data)
        request.sent += len(data)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _span(text: str | None, size: int) -> tuple[int, int] | None:
    """First byte, and the one past the last; None where no single range is asked for."""
    match = _RANGE.fullmatch(text or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
