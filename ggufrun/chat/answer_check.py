"""Finished JSON answers: whether they are complete, and whether they match what no grammar could enforce.

A schema is checked by `python -m ggufrun.chat.schema_validation`, a process of its own: a hostile pattern or schema can
then be ended after a while, whatever it is doing. It starts while the answer is generated and ends with the request.
"""

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from typing import Final

SECONDS: Final = 5.0  # for one answer
_START_S: Final = 30.0  # on a busy machine
_LINE: Final = 1 << 16  # bytes of a verdict


class CheckTimeout(Exception):
    """Checking took too long, and would again."""


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """What is checked: that the answer is complete JSON and, with a `schema` (as JSON, verified), that it matches."""

    schema: str | None = None


class Checker:
    """Checks one request's answers. Made on the event loop; close it."""

    def __init__(self, check: AnswerCheck, seconds: float = SECONDS) -> None:
        self._schema, self._seconds = check.schema, seconds
        self._starting = asyncio.create_task(self._start(check.schema)) if check.schema is not None else None

    async def wrong(self, answer: str) -> str:
        """What is wrong with an answer; "" if nothing is. Raises CheckTimeout."""
        if self._starting is None:
            return _incomplete(answer)
        process = await self._starting
        assert process.stdin is not None and process.stdout is not None
        try:
            async with asyncio.timeout(self._seconds):
                process.stdin.write(json.dumps(answer).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except TimeoutError as error:
            raise CheckTimeout(f"checking it took more than {self._seconds:g} s") from error
        except (OSError, ValueError) as error:
            raise CheckTimeout("the check ended early") from error
        if not line:
            raise CheckTimeout("the check ended early, perhaps for want of memory")
        return str(json.loads(line))

    async def close(self) -> None:
        starting, self._starting = self._starting, None
        if starting is None:
            return
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError, CheckTimeout, OSError):
            await _end(await starting)

    async def _start(self, schema: str) -> asyncio.subprocess.Process:
        # -P: the current directory is the user's, and may hold a json.py
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "ggufrun.chat.schema_validation"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(schema).encode() + b"\n")
            async with asyncio.timeout(_START_S):
                await process.stdout.readline()
        except BaseException as error:
            await _end(process)
            if isinstance(error, TimeoutError):
                raise CheckTimeout("the check did not start") from error
            raise
        return process


def _incomplete(answer: str) -> str:
    try:
        json.loads(answer)
    except ValueError:
        return "it was cut off before its end"
    return ""


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
