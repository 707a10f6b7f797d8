"""Opens a model for a command, with a progress bar on standard error where that is a terminal."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from ggufrun.chat.types import ChatModel
from ggufrun.commandline.exits import print_error
from ggufrun.commandline.table import printable
from ggufrun.remote import in_the_clear
from ggufrun.settings import EngineOverrides, ModelOverrides
from ggufrun.terminal.constraint import read_text
from ggufrun.terminal.progress import ProgressLine
from ggufrun.terminal.style import Style
from ggufrun.userconfig import FILE_NAME, data_folder, load_user_settings


@asynccontextmanager
async def opened(
    model: str, overrides: ModelOverrides, engine: EngineOverrides, chat_template: Path | None
) -> AsyncIterator[ChatModel]:
    """The loaded model, or the remote of ggufrun.toml that is called so; closed on the way out. Raises `InputError`."""
    if chat_template is not None:
        read_text(chat_template, "--chat-template")
    line = ProgressLine(sys.stderr, Style.of(sys.stderr, os.environ).tty)
    label = f"loading {printable(Path(model).name)}"
    async with AsyncExitStack() as stack:
        try:
            line.show(0.0, label)
            context = _elsewhere(model)
            if context is None:
                context = open_model(model, overrides, engine, chat_template, lambda done: line.show(done, label))
            loaded = await stack.enter_async_context(context)
        finally:
            line.clear()
        if loaded.info.note:
            print(f"ggufrun: {printable(loaded.info.note)}", file=sys.stderr, flush=True)
        yield loaded


def _elsewhere(name: str) -> AbstractAsyncContextManager[ChatModel] | None:
    remote = load_user_settings(data_folder(os.environ) / FILE_NAME).remotes.get(name)
    if remote is None:
        return None
    for warning in in_the_clear.warnings([remote]):
        print_error(warning)
    from ggufrun.remote.opening import open_remote  # only then: an HTTP library takes its time, too

    return open_remote(remote)


def open_model(
    model: str,
    overrides: ModelOverrides,
    engine: EngineOverrides,
    chat_template: Path | None,
    on_progress: Callable[[float], None],
    *,
    name: str = "",
    sparing: bool = True,
) -> AbstractAsyncContextManager[ChatModel]:
    """`loading.open_model`, imported only when all options are known to be fine: its libraries take a while."""
    from ggufrun.opening import loading

    return loading.open_model(
        model, overrides, engine, name=name, chat_template=chat_template, on_progress=on_progress, sparing=sparing
    )
