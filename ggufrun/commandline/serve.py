"""`ggufrun serve`: refuses what can be refused, opens keys, ledger and models, and hands them to the HTTP server."""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, aclosing, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.images.images import Images
from ggufrun.api.library.desk import Desk
from ggufrun.api.listener import Listener
from ggufrun.api.manage.control import Control
from ggufrun.api.manage.metrics import Metrics
from ggufrun.api.manage.shadow_desk import ShadowDesk
from ggufrun.api.server import serve as serve_http
from ggufrun.commandline.comparing import comparing
from ggufrun.commandline.flags import EngineFlags, LoadFlags
from ggufrun.commandline.page import near, shown, tls_of
from ggufrun.commandline.pool_flags import PoolFlags
from ggufrun.commandline.pooling import opened_pool, pool_settings
from ggufrun.commandline.scratch import scratch
from ggufrun.commandline.server_flags import ServerFlags
from ggufrun.commandline.shadowing import Shadows, interval
from ggufrun.commandline.terminated import run
from ggufrun.errors import InputError, OptionError
from ggufrun.library.library import Library
from ggufrun.records.chat_database import CHATS_FILE
from ggufrun.records.chats import ChatStore
from ggufrun.records.database import FILE_NAME
from ggufrun.records.keys import KeyStore
from ggufrun.records.ledger import Ledger
from ggufrun.records.shadows import SHADOWS_FILE, ShadowStore
from ggufrun.remote.table import with_flags
from ggufrun.running import Running, announce, place_of, withdraw
from ggufrun.store.resolve import resolve
from ggufrun.ui.page import Page, PageSettings
from ggufrun.userconfig import FILE_NAME as SETTINGS
from ggufrun.userconfig import data_folder, load_user_settings, mcp_servers_of

DEMO: Final = "demo"


def serve(
    models: Sequence[str],
    server: ServerFlags,
    pool: PoolFlags,
    engine: EngineFlags,
    load: LoadFlags,
    *,
    version: str,
    or_free: bool = False,
) -> None:
    """Serve the models until SIGINT or SIGTERM. `or_free`: on a free port, if need be. Raises `GgufrunError`."""
    server.check()
    load.overrides()  # checks them, as the other two do
    coming_and_going, scheduling = pool_settings(pool), engine.overrides()
    chosen = _chosen(models, pool.remote or ())

    async def main() -> None:
        with ExitStack() as stack:
            listener = stack.enter_context(closing(listener_of(server, or_free=or_free)))
            keys = stack.enter_context(closing(KeyStore(_database())))
            check_reach(server, listener, keys)
            ledger = stack.enter_context(closing(Ledger(_database())))
            chats = stack.enter_context(closing(ChatStore(_database().with_name(CHATS_FILE))))
            kept = stack.enter_context(closing(ShadowStore(_database().with_name(SHADOWS_FILE))))
            shadows = Shadows(kept, ledger)
            desk = stack.enter_context(closing(Desk(Library(), comparing(data_folder(os.environ)))))
            settings = settings_of(server, loopback=listener.loopback)
            control = Control(listener.url)
            place = place_of(data_folder(os.environ), listener.port, control.pid)
            stack.callback(withdraw, place)
            page = None if server.no_ui else stack.enter_context(_page(control, settings))
            async with (
                page.running() if page is not None else nullcontext(),
                opened_pool(chosen, coming_and_going, load, scheduling, pool.remote or (), shadows.watcher) as opened,
                aclosing(shadows),
            ):
                images = Images(urls=not server.no_image_urls, hosts=server.allow_image_host or ())
                gateway = Gateway(
                    opened,
                    settings,
                    Metrics(),
                    keys,
                    ledger,
                    version,
                    control,
                    chats,
                    library=desk,
                    images=images,
                    shadows=ShadowDesk(kept, interval, shadows.running),
                )
                _announce(place, control)
                if page is not None and server.open:
                    stack.callback(asyncio.create_task(shown(page, control.url)).cancel)
                await serve_http(gateway, listener, page)

    run(main())


def _chosen(models: Sequence[str], remotes: Sequence[str]) -> Sequence[str]:
    """What the user named, here or elsewhere; else the demo model, where it is here."""
    if models or with_flags(load_user_settings(data_folder(os.environ) / SETTINGS).remotes, remotes):
        return models
    try:
        resolve(DEMO, data_folder(os.environ))
    except InputError:
        return ()
    return (DEMO,)


@contextmanager
def _page(control: Control, settings: ServerSettings) -> Iterator[Page]:
    """What lies behind a proxy is managed by nobody without a key."""
    local = settings.loopback and not settings.allowed_hosts and not settings.root_path
    token = control.token if local else ""
    with scratch() as folder:
        servers = partial(mcp_servers_of, data_folder(os.environ))
        ours = PageSettings(near(control.url), token=token, root_path=settings.root_path, mcp_servers=servers)
        yield Page(ours, folder)


def _announce(place: Path, control: Control) -> None:
    """Where that cannot be written, the server runs all the same."""
    url = near(control.url)
    try:
        announce(place, Running(url, control.pid, control.token))
    except OSError as error:
        print(f"ggufrun: {place}: {error.strerror}. `ggufrun ps` needs --url {url}.", file=sys.stderr, flush=True)


def listener_of(flags: ServerFlags, *, or_free: bool = False) -> Listener:
    """The address, taken. Raises OptionError where it, or what TLS needs, cannot be used.

    `or_free`: where the port is taken, a free one will do.
    """
    tls = tls_of(flags)
    try:
        return Listener(flags.host, flags.port, tls)
    except OptionError:
        if not or_free:
            raise
        return Listener(flags.host, 0, tls)


def check_reach(flags: ServerFlags, listener: Listener, keys: KeyStore) -> None:
    """Nobody else may reach a server without keys. Raises OptionError, or warns where a proxy may let them in."""
    if keys.listed():
        return
    if not listener.loopback:
        raise OptionError(
            f"Other machines can reach {flags.host}, and there is no API key.",
            "Make one first: ggufrun keys add NAME. Or listen on 127.0.0.1.",
        )
    if flags.auth:
        raise OptionError("--auth asks for an API key, and there is none.", "Make one first: ggufrun keys add NAME.")
    if not keys.any() and flags.proxied:
        print(
            "ggufrun: There is no API key, so whoever the proxy lets through may use the server. ggufrun keys add NAME "
            "makes one.",
            file=sys.stderr,
            flush=True,
        )


def settings_of(flags: ServerFlags, *, loopback: bool) -> ServerSettings:
    return ServerSettings(
        any_model=flags.any_model,
        strict=flags.strict,
        log_prompts=flags.log_prompts,
        cors=tuple(flags.cors or ()),
        allowed_hosts=tuple(flags.allowed_host or ()),
        root_path=flags.root_path,
        loopback=loopback,
        auth=flags.auth,
        max_body=flags.max_body * 1_000_000,
    )


def _database() -> Path:
    return data_folder(os.environ) / FILE_NAME
