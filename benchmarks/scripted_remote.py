"""A remote engine that costs nearly nothing: tokens at a fixed rate for each stream, from a timer. No HTTP library.

usage: python -m benchmarks.scripted_remote PORT TOKENS_A_SECOND     (0: as fast as it can)
"""

import asyncio
import json
import sys
import time

MODEL = "scripted"
PREFILL_S = 0.02
BATCH = 64  # chunks between two looks at the loop, where nothing is waited for


def _chunk(delta: dict[str, str], finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    top = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}
    body = b"data: " + json.dumps(top | more).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(body), body)


FIRST, WORD = _chunk({"role": "assistant", "content": ""}), _chunk({"content": " word"})
DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
MODELS = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": 32_768}]}).encode()


async def _answer(writer: asyncio.StreamWriter, tokens: int, rate: float) -> None:
    writer.write(HEAD)
    await asyncio.sleep(PREFILL_S)
    writer.write(FIRST)
    start = time.perf_counter()
    for number in range(tokens):
        writer.write(WORD)
        if rate:
            await writer.drain()
            await asyncio.sleep(max(0.0, start + (number + 1) / rate - time.perf_counter()))
        elif number % BATCH == BATCH - 1:
            await writer.drain()
            await asyncio.sleep(0)
    usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
    writer.write(_chunk({}, "length") + _chunk_of_usage(usage) + DONE)
    await writer.drain()


def _chunk_of_usage(usage: dict[str, int]) -> bytes:
    body = b"data: " + json.dumps({"id": "chatcmpl-1", "choices": [], "usage": usage}).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(body), body)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            line, _, rest = head.partition(b"\r\n")
            lengths = [
                each.split(b":")[1] for each in rest.lower().split(b"\r\n") if each.startswith(b"content-length")
            ]
            body = await reader.readexactly(int(lengths[0])) if lengths else b""
            if line.startswith(b"POST /v1/chat/completions"):
                await _answer(writer, int(json.loads(body).get("max_tokens") or 16), rate)
                continue
            status, said = (b"200 OK", MODELS) if b" /v1/models " in line else (b"404 Not Found", b"{}")
            if b" /health " in line:
                status, said = b"200 OK", b"{}"
            writer.write(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(said))
            )
            writer.write(said)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # its reader has gone
    finally:
        writer.close()


async def main(port: int, rate: float) -> None:
    server = await asyncio.start_server(lambda reader, writer: _serve(reader, writer, rate), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
