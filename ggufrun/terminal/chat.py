"""The terminal chat: a loop of reading a line, running a command or asking the model, and saying what it cost."""

import asyncio
import os
import time
from typing import TextIO

from ggufrun.chat.types import ChatModel, ChatRequest
from ggufrun.errors import GgufrunError, OptionError, PromptTooLong
from ggufrun.terminal.answer import Answer, read_answer
from ggufrun.terminal.commands import is_command, run_command
from ggufrun.terminal.interrupt import on_interrupt
from ggufrun.terminal.prompt import InputLine
from ggufrun.terminal.report import context_warning, status_line
from ggufrun.terminal.screen import StreamScreen
from ggufrun.terminal.session import Session
from ggufrun.terminal.style import Style

TOO_LONG = "/save FILE keeps the conversation, /clear starts a new one; --context N holds more."


class Chat:
    """One model, one session, one terminal."""

    def __init__(self, model: ChatModel, session: Session, line: InputLine, out: TextIO) -> None:
        self._model, self._session, self._line, self._out = model, session, line, out
        self._style = Style.of(out, os.environ)
        self._answering: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Chat until the user leaves. Ctrl-C is ours until then."""
        with on_interrupt(self._interrupt):
            await self._loop()

    async def _loop(self) -> None:
        info = self._model.info
        self._say(f"{info.name} · {info.description} · context {info.context} · /help shows the commands")
        draft = ""
        while (text := await self._line.read(draft)) is not None:
            draft = ""
            if is_command(text):
                if await self._command(text):
                    break
            elif text.strip():
                draft = await self._turn(self._session.ask(text.strip()), text)
        self._say("Bye.")

    async def _command(self, text: str) -> bool:
        """Run a command; whether it ends the chat."""
        try:
            outcome = run_command(self._session, text)
        except OptionError as error:
            self._say(_one_line(error))
            return False
        for line in outcome.lines:
            self._say(line)
        if outcome.then == "retry":
            await self._turn(self._session.ask_again(), "")
        return outcome.then == "exit"

    async def _turn(self, request: ChatRequest, text: str) -> str:
        """Ask and show the answer. Gives the text back where nothing came of it, for editing."""
        answer, begun = Answer(), time.monotonic()
        try:
            stopped = await self._stream(request, answer)
        except PromptTooLong as error:
            self._say(f"{error.message} {TOO_LONG}")
            return text
        except GgufrunError as error:
            self._say(_one_line(error))
            return text
        if stopped and not answer.text:
            self._say("stopped before the answer began")
            return text
        self._session.keep(request, answer)
        if answer.completed is None:
            self._say(f"stopped after {time.monotonic() - begun:.1f} s")
            return ""
        ending = {"length": " · cut by max_tokens", "model_length": " · cut by the context"}.get(answer.reason, "")
        self._say(status_line(answer.completed) + ending)
        warning = context_warning(answer.completed)
        if warning:
            self._say(warning)
        return ""

    async def _stream(self, request: ChatRequest, answer: Answer) -> bool:
        """Show the answer while it comes; whether Ctrl-C stopped it."""
        screen = StreamScreen(self._out, self._style, self._out, self._style)
        self._answering = task = asyncio.create_task(read_answer(self._model, request, answer, screen))
        try:
            await asyncio.wait({task})
        finally:
            self._answering = None
            if task.cancel():  # we are being cancelled ourselves: let the request end first
                await asyncio.wait({task})
            screen.end()
        if task.cancelled():
            return True
        task.result()
        return False

    def _interrupt(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
        else:
            self._line.interrupt()

    def _say(self, text: str) -> None:
        """A line of our own, dim, apart from the model's words."""
        self._out.write(self._style.dim(self._style.printable(text)) + "\n")
        self._out.flush()


def _one_line(error: GgufrunError) -> str:
    return " ".join(str(error).split())
