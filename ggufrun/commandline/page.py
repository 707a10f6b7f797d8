"""`ggufrun page`: the page alone, for the models of another ggufrun. And `ggufrun` alone: whichever page there is."""

import asyncio
import os
import sys
import urllib.error
import urllib.request
from contextlib import closing
from functools import partial

from ggufrun.api.gateway import ServerSettings
from ggufrun.api.listener import Listener, Tls
from ggufrun.api.server import serve_page
from ggufrun.commandline.browser import show
from ggufrun.commandline.remote import KEY_VARIABLE, NobodyThere, checked, no_proxy, remotes
from ggufrun.commandline.scratch import scratch
from ggufrun.commandline.server_flags import ReachFlags
from ggufrun.commandline.terminated import run
from ggufrun.errors import EngineError, OptionError
from ggufrun.ui.page import Page, PageSettings
from ggufrun.userconfig import data_folder, mcp_servers_of


def page(api: str, host: str, port: int, reach: ReachFlags, *, open_browser: bool) -> None:
    """Until SIGINT or SIGTERM. Raises OptionError for what is no URL, and where nobody is asked for a key."""
    reach.check()
    url = checked(api, "--api")
    listener = Listener(host, port, tls_of(reach))
    local = listener.loopback and not reach.proxied
    if not local and _status(url) == 200:
        others = "A proxy may let others in" if listener.loopback else f"Other machines can reach {host}"
        listener.close()
        told = f"{others}, and {url} asks nobody for an API key."
        raise OptionError(told, "Make one there: ggufrun keys add NAME. Or let only this machine in.")
    settings = PageSettings(
        url,
        own=False,
        key=os.environ.get(KEY_VARIABLE, "") if local else "",  # it is not everybody's
        root_path=reach.root_path,
        always_login=not local,
        mcp_servers=partial(mcp_servers_of, data_folder(os.environ)) if local else dict,
    )
    hosts = tuple(reach.allowed_host or ())
    guard = ServerSettings(loopback=listener.loopback, allowed_hosts=hosts, root_path=reach.root_path)

    async def main() -> None:
        with closing(listener), scratch() as folder:
            served = Page(settings, folder)
            async with served.running():
                opening = asyncio.create_task(shown(served, listener.url)) if open_browser else None
                await serve_page(served, listener, guard, url)
                if opening is not None:
                    opening.cancel()

    run(main())


def tls_of(reach: ReachFlags) -> Tls | None:
    """Raises OptionError where its files are no certificate and key."""
    return Tls(reach.tls_cert, reach.tls_key) if reach.tls_cert is not None and reach.tls_key is not None else None


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
