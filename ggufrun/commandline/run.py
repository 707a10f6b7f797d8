"""`ggufrun run`: what can be refused is refused first; then the model is loaded, and asked or chatted with."""

import asyncio
import os
import sys
from pathlib import Path

from ggufrun.chat.types import ChatModel
from ggufrun.chat.vision import refuse_unseen
from ggufrun.commandline.flags import AskFlags, LoadFlags
from ggufrun.commandline.opening import opened
from ggufrun.errors import OptionError
from ggufrun.settings import EngineOverrides
from ggufrun.terminal.constraint import read_constraint
from ggufrun.terminal.images import read_image
from ggufrun.terminal.oneshot import answer_once
from ggufrun.terminal.options import chat_options
from ggufrun.terminal.piped import encodable, one_prompt
from ggufrun.terminal.session import Session
from ggufrun.userconfig import data_folder


def run(model: str, prompt: str | None, ask: AskFlags, load: LoadFlags) -> None:
    """Answer once, or chat where there is no prompt. Raises `GgufrunError`."""
    session = Session(
        model=model,
        options=chat_options(ask.sampling()),
        system=None if ask.system is None else encodable(ask.system, "--system"),
        constraint=read_constraint(ask.json_schema, ask.regex, ask.grammar),
        images=[read_image(path) for path in ask.image or ()],
    )
    overrides = load.overrides()
    text = one_prompt(prompt, sys.stdin, sys.stderr)
    if text is None:
        _check_chat(ask)
    engine = EngineOverrides(parallel=1)

    async def main() -> None:
        async with opened(model, overrides, engine, load.chat_template) as loaded:
            if text is None:
                await _chat(loaded, session, data_folder(os.environ) / "history")
            else:
                await answer_once(loaded, session.ask(text), sys.stdout, sys.stderr, json_object=ask.json)

    asyncio.run(main())


def _check_chat(ask: AskFlags) -> None:
    if ask.json:
        raise OptionError("--json prints one answer and there is no prompt.", 'Add one: ggufrun run MODEL "…" --json.')
    if not sys.stdout.isatty():
        raise OptionError("A chat needs a terminal and the output is none.", 'Add a prompt: ggufrun run MODEL "…".')


async def _chat(model: ChatModel, session: Session, history: Path) -> None:
    # Imported here: prompt_toolkit takes a tenth of a second that a one-shot answer has no use for.
    from ggufrun.terminal.chat import Chat
    from ggufrun.terminal.prompt import InputLine

    session.model, session.defaults = model.info.name, model.info.defaults
    session.sees = model.info.capabilities.vision
    refuse_unseen(session.ask(""), model.info)
    await Chat(model, session, InputLine(history), sys.stdout).run()
