"""Finished JSON answers: whether they are complete, and whether they match what no grammar could enforce.

A schema is checked by `python -m ggufrun.chat.schema_validation`, a process for each answer: a hostile pattern or
schema can then be ended after a while, whatever it is doing. It takes 60 ms to start and 20 MB.
"""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from ggufrun.child import child_environment
from ggufrun.errors import EngineError

AT_ONCE: Final = 4  # of one model: starting one is a core's work, and hostile ones take a core each
SECONDS: Final = 5.0  # for one answer
_START_S: Final = 30.0  # on a busy machine
_LINE: Final = 1 << 16  # bytes of a verdict


class CheckTimeout(Exception):
    """Checking took too long, and would again."""


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """What is checked: that the answer is complete JSON and, with a `schema` (as JSON, verified), that it matches."""

    schema: str | None = None


class Checkers:
    """Checks the answers of one model, a few at once. Used on one event loop."""

    def __init__(self, at_once: int = AT_ONCE, seconds: float = SECONDS) -> None:
        self._places, self._seconds = asyncio.Semaphore(at_once), seconds

    async def wrong(self, schema: str, answer: str) -> str:
        """What is wrong with an answer; "" if nothing is. Both are JSON.

        Raises CheckTimeout, and EngineError where the process does not start.
        """
        async with self._places, _running(self._seconds) as process:
            try:
                async with asyncio.timeout(self._seconds):
                    line = await _verdict(process, schema, answer)
            except TimeoutError as error:
                raise CheckTimeout(f"checking it took more than {self._seconds:g} s") from error
            except (OSError, ValueError) as error:
                raise CheckTimeout("the check ended early") from error
        if not line:
            raise CheckTimeout("the check ended early, perhaps for want of memory")
        return str(json.loads(line))


def incomplete(answer: str) -> str:
    """What is wrong with an answer that should be JSON; "" if it is complete."""
    try:
        json.loads(answer)
    except ValueError:
        return "it was cut off before its end"
    except RecursionError:
        return "it is nested too deeply"
    return ""


def cut_short(answer: str) -> bool:
    """Whether something may be missing of an answer that a stop string ended: where a number ends does not show."""
    if incomplete(answer):
        return True
    value = json.loads(answer)
    return isinstance(value, int | float) and not isinstance(value, bool)


async def _verdict(process: Process, schema: str, answer: str) -> bytes:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps([schema, answer]).encode() + b"\n")
    await process.stdin.drain()
    return await process.stdout.readline()


@contextlib.asynccontextmanager
async def _running(seconds: float) -> AsyncIterator[Process]:
    """A process that waits for its answer. It is gone when this is left."""
    # -P: the current directory is the user's, and may hold a json.py
    command = (sys.executable, "-P", "-m", "ggufrun.chat.schema_validation", str(seconds))
    environment = child_environment()
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=_LINE, env=environment
        )
    except OSError as error:
        raise _not_started(str(error)) from error
    try:
        await _ready(process)
        yield process
    finally:
        await _end(process)


async def _ready(process: Process) -> None:
    assert process.stdout is not None and process.stderr is not None
    try:
        async with asyncio.timeout(_START_S):
            if await process.stdout.readline():
                return
            words = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
    except TimeoutError as error:
        raise _not_started(f"nothing was heard of it for {_START_S:g} s") from error
    raise _not_started(words[-1] if words else "it ended at once")


def _not_started(reason: str) -> EngineError:
    return EngineError(f"The process that checks answers did not start: {reason}.", "Send the request again.")


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
