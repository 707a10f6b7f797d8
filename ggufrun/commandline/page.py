"""`ggufrun page`: the page alone, for the models of another ggufrun. And `ggufrun` alone: whichever page there is."""

import asyncio
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ggufrun.api.gateway import ServerSettings
from ggufrun.api.listener import Listener
from ggufrun.api.server import serve_page
from ggufrun.commandline.browser import show
from ggufrun.commandline.remote import KEY_VARIABLE, NobodyThere, checked, no_proxy, remotes
from ggufrun.errors import EngineError, OptionError
from ggufrun.ui.page import Page, PageSettings
from ggufrun.userconfig import data_folder, mcp_servers_of


def page(api: str, listener: Listener, *, open_browser: bool) -> None:
    """Until SIGINT or SIGTERM. Raises OptionError for what is no URL, and where nobody is asked for a key."""
    url = checked(api, "--api")
    key = os.environ.get(KEY_VARIABLE, "")
    if not listener.loopback:
        key = ""  # it is not everybody's
        if _status(url) == 200:
            told = f"Other machines can reach {listener.host}, and {url} asks nobody for an API key."
            raise OptionError(told, "Make one there: ggufrun keys add NAME. Or listen on 127.0.0.1.")
    servers = partial(mcp_servers_of, data_folder(os.environ)) if listener.loopback else dict
    settings = PageSettings(url, own=False, key=key, always_login=not listener.loopback, mcp_servers=servers)

    async def main() -> None:
        with closing(listener), scratch() as folder:
            served = Page(settings, folder)
            async with served.running():
                opening = asyncio.create_task(shown(served, listener.url)) if open_browser else None
                await serve_page(served, listener, ServerSettings(loopback=listener.loopback), url)
                if opening is not None:
                    opening.cancel()

    asyncio.run(main())


def running_page() -> str | None:
    """The address of a page of ours that runs already, None where there is none."""
    for remote in remotes(None):
        if not remote.ours:
            continue
        try:
            remote.get("/server")
        except (EngineError, NobodyThere):
            continue
        if _status(f"{remote.url}/login", ours=True) == 200:
            return remote.url
    return None


@contextmanager
def scratch() -> Iterator[Path]:
    """Where uploads lie until the end."""
    with TemporaryDirectory(prefix="ggufrun-page-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


async def shown(page: Page, url: str) -> None:
    """In the browser, once it is there."""
    if await page.ready():
        show(near(url))


def near(url: str) -> str:
    """How this machine reaches an address on which a server listens."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _status(url: str, *, ours: bool = False) -> int:
    """Of a reply; 0 where there is none."""
    request = urllib.request.Request(url if ours else f"{url}/v1/models", headers={"Host": "localhost"} if ours else {})
    try:
        with no_proxy(ours=ours).open(request, timeout=5.0) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return 0
