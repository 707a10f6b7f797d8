"""Opens the pool of models that a server serves: all of them known and checked, a single one loaded."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from ggufrun.commandline.flags import LoadFlags
from ggufrun.commandline.opening import open_model
from ggufrun.commandline.pool_flags import PoolFlags
from ggufrun.pool.offer import Offer, PoolSettings
from ggufrun.pool.pool import ModelPool
from ggufrun.settings import EngineOverrides
from ggufrun.terminal.constraint import read_text
from ggufrun.terminal.progress import ProgressLine
from ggufrun.terminal.style import Style


def pool_settings(flags: PoolFlags) -> PoolSettings:
    """Raises OptionError."""
    return PoolSettings(flags.max_loaded, flags.ttl_s(), flags.load_timeout_s())


@asynccontextmanager
async def opened_pool(
    models: Sequence[str], settings: PoolSettings, load: LoadFlags, engine: EngineOverrides
) -> AsyncIterator[ModelPool]:
    """Raises `InputError` for what cannot be served. One model that is to stay is loaded now, others on first use."""
    # Imported here: these libraries take a while, and the options are known to be fine by now.
    from ggufrun.describing import describe, free_memory

    overrides = load.overrides()
    if load.chat_template is not None:
        read_text(load.chat_template, "--chat-template")
    offers = [
        Offer(describe(model, overrides), partial(open_model, model, overrides, engine, load.chat_template))
        for model in models
    ]
    pool = ModelPool(offers, settings, partial(free_memory, overrides))
    try:
        if len(models) == 1 and not settings.ttl_s:
            await _load(pool, offers[0].info.name, Path(models[0]).name)
        yield pool
    finally:
        await pool.close()


async def _load(pool: ModelPool, name: str, shown: str) -> None:
    """With a progress bar, where standard error is a terminal."""
    line = ProgressLine(sys.stderr, Style.of(sys.stderr, os.environ).tty)
    loading = asyncio.ensure_future(pool.load(name))
    try:
        while not loading.done():
            line.show(pool.served()[0].progress, f"loading {shown}")
            await asyncio.wait({loading}, timeout=0.1)
    finally:
        line.clear()
        loading.cancel()
    await loading
