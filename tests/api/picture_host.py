"""A web server on the loopback that answers with bytes that a test chooses: slowly, wrongly, without end."""

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from PIL import Image

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def png(width: int = 8, height: int = 6, color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, "PNG")
    return file.getvalue()


def whole(body: bytes, status: str = "200 OK", **headers: str) -> Answer:
    """`headers`: underscores for hyphens."""
    named = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}

    async def write(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return write


def to(url: str, status: str = "302 Found", **headers: str) -> Answer:
    return whole(b"", status, Location=url, **headers)


@dataclass
class PictureHost:
    """`paths`: what is answered under each. `asked`: the requests' heads, as they came."""

    port: int
    paths: dict[str, Answer]
    asked: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a client has gone before all was written


@asynccontextmanager
async def picture_host(
    paths: dict[str, Answer] | None = None,
    *,
    address: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[PictureHost]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            host.asked.append(head)
            await host.paths[head.split()[1].split("?")[0]](writer)
        except ConnectionError:
            host.left.set()
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, address, port, ssl=tls)
    host = PictureHost(server.sockets[0].getsockname()[1], paths or {})
    async with server:
        yield host
