"""A remote that is scripted byte by byte: what no well-behaved engine does can be made to happen with it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

DONE = b"data: [DONE]\n\n"


@dataclass
class Reply:
    """`pieces` are sent one after the other. None waits until the client leaves; `cut` ends without a proper end."""

    pieces: Sequence[bytes | None] = ()
    status: int = 200
    type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    mute: bool = False  # the connection is closed before anything is sent


@dataclass
class Raw:
    """`replies` to POST are given in order, the last one again and again; `models` is what GET /v1/models says."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    models: Reply = field(default_factory=lambda: as_json({"data": [{"id": "m", "max_context_length": 100}]}))
    asked: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)  # path, headers, body of each POST
    came: asyncio.Event = field(default_factory=asyncio.Event)  # something was asked
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a client went before its reply's end

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _request(reader):
                method, path, headers, body = request
                if method == "GET":
                    reply = self.models if path.endswith("/models") else as_json({}, 404)
                else:
                    self.asked.append((path, headers, json.loads(body)))
                    self.came.set()
                    reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if not await self._send(reply, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()

    async def _send(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can be used again."""
        if reply.mute:
            return False
        lines = [f"HTTP/1.1 {reply.status} X", f"content-type: {reply.type}", "transfer-encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for piece in reply.pieces:
            if piece is None:
                await writer.drain()
                await reader.read()
                self.left.set()
                return False
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        if reply.cut:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, Mapping[str, str], bytes] | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode().splitlines()
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)}
    method, path, _ = first.split(" ")
    return method, path, headers, await reader.readexactly(int(headers.get("content-length", 0)))


@asynccontextmanager
async def raw_server() -> AsyncIterator[Raw]:
    raw = Raw()
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()


def event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def chunk(delta: Mapping[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    return event({"choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more})


def said(*texts: str, prompt: int = 7) -> Reply:
    """A good answer of these pieces."""
    usage = {"prompt_tokens": prompt, "completion_tokens": len(texts), "total_tokens": prompt + len(texts)}
    return Reply([*(chunk({"content": text}) for text in texts), chunk({}, "stop", usage=usage), DONE])


def as_json(body: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([json.dumps(body).encode()], status, "application/json", named)
