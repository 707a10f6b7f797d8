"""Opens the pool of models that a server serves: all of them known and checked, a single one loaded."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial

from ggufrun.chat.types import ChatModel
from ggufrun.commandline.flags import LoadFlags
from ggufrun.commandline.opening import open_model
from ggufrun.commandline.pool_flags import PoolFlags
from ggufrun.commandline.remotes import remote_offers
from ggufrun.commandline.routes import Routes
from ggufrun.errors import OptionError
from ggufrun.pool.naming import name_and_spec, named
from ggufrun.pool.offer import Offer, PoolSettings
from ggufrun.pool.pool import ModelPool
from ggufrun.remote.table import with_flags
from ggufrun.routing.engines import Engines
from ggufrun.routing.settings import RouteSettings
from ggufrun.routing.watcher import Watcher
from ggufrun.settings import EngineOverrides, ModelOverrides
from ggufrun.terminal.constraint import read_text
from ggufrun.terminal.progress import ProgressLine
from ggufrun.terminal.style import Style
from ggufrun.userconfig import FILE_NAME, data_folder, load_user_settings

Watched = Callable[[RouteSettings, Engines], Watcher | None]
_log = logging.getLogger(__name__)


def pool_settings(flags: PoolFlags) -> PoolSettings:
    """Raises OptionError."""
    return PoolSettings(flags.max_loaded, flags.ttl_s(), flags.load_timeout_s())


@asynccontextmanager
async def opened_pool(
    models: Sequence[str],
    settings: PoolSettings,
    load: LoadFlags,
    engine: EngineOverrides,
    remotes: Sequence[str] = (),
    watched: Watched = lambda route, engines: None,
) -> AsyncIterator[ModelPool]:
    """Raises `InputError` for what cannot be served. One model that is to stay is loaded now, others on first use.

    `remotes`: as --remote has them. `watched` is asked for each route, perhaps several times.
    """
    # Imported here: these libraries take a while, and the options are known to be fine by now.
    from ggufrun.opening.describing import describe, free_memory

    wanted = frozenset(name_and_spec(model)[1] for model in models)
    opener = _Opener(load, engine, wanted)
    if len(wanted) > 1 and load.mmproj not in (None, "none"):
        hint = "Write it to [models.NAME] of ggufrun.toml, or leave it out: it is found beside the model."
        raise OptionError("--mmproj FILE is for one model, and there are several.", hint)
    if load.chat_template is not None:
        read_text(load.chat_template, "--chat-template")

    def offer(model: str, name: str) -> Offer:
        info, path = describe(model, opener.overrides(model), name, templated=load.chat_template is not None)
        return Offer(info, partial(opener.open, model, name), str(path))

    offers: list[Offer] = []
    for model in models:
        name, spec = name_and_spec(model)
        offers.append(named(offer, spec, name, offers))
    user = load_user_settings(data_folder(os.environ) / FILE_NAME)
    elsewhere = await remote_offers(with_flags(user.remotes, remotes), offers)
    offers += elsewhere
    routes = Routes(user.routes, offers, lambda route: watched(route, routes))
    for route in user.routes.values():
        watched(route, routes)  # so that whoever watches is known before there is anything to see
    offers += routes.offers()
    opener.pool = routes.pool = pool = ModelPool(offers, settings, partial(free_memory, load.overrides()), offer)
    try:
        for each in elsewhere:
            await pool.load(each.info.name)  # there is nothing to load
        if len(models) == 1 and not settings.ttl_s:
            await _load(pool, offers[0].info.name)
        yield pool
    finally:
        await pool.close()


class _Opener:
    """How the pool's models are opened: rather in the place of an idle one than with less."""

    def __init__(self, load: LoadFlags, engine: EngineOverrides, wanted: Collection[str]) -> None:
        """`wanted`: the models of the command line; others may come later."""
        self._load, self._engine, self._wanted = load, engine, wanted
        self.pool: ModelPool | None = None

    def overrides(self, model: str) -> ModelOverrides:
        """Another model than the one that it was given for does not see with this --mmproj."""
        given = self._load.overrides()
        if model not in self._wanted and given.get("mmproj") != "none":
            given.pop("mmproj", None)
        return given

    @asynccontextmanager
    async def open(self, model: str, name: str, on_progress: Callable[[float], None]) -> AsyncIterator[ChatModel]:
        """For `Offer`. On OutOfMemory the pool unloads all idle ones and tries again."""
        load, sparing = self._load, not self._any_idle()
        async with open_model(
            model, self.overrides(model), self._engine, load.chat_template, on_progress, name=name, sparing=sparing
        ) as loaded:
            if loaded.info.note:
                _log.warning("%s: %s", loaded.info.name, loaded.info.note)
            yield loaded

    def _any_idle(self) -> bool:
        served = self.pool.served() if self.pool is not None else ()
        return any(model.state == "ready" and not model.active for model in served)


async def _load(pool: ModelPool, name: str) -> None:
    """With a progress bar, where standard error is a terminal."""
    line = ProgressLine(sys.stderr, Style.of(sys.stderr, os.environ).tty)
    loading = asyncio.ensure_future(pool.load(name, logged=False))  # what is wrong ends the command, and is said then
    try:
        while not loading.done():
            line.show(pool.served()[0].progress, f"loading {name}")
            await asyncio.wait({loading}, timeout=0.1)
    finally:
        line.clear()
        loading.cancel()
    await loading
