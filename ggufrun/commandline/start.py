"""`ggufrun` without a command: the page in the browser, of a server that runs already or of a new one."""

from typing import Final

from ggufrun.commandline.browser import show
from ggufrun.commandline.flags import EngineFlags, LoadFlags
from ggufrun.commandline.page import page, running_page, say
from ggufrun.commandline.pool_flags import PoolFlags
from ggufrun.commandline.serve import serve
from ggufrun.commandline.server_flags import ReachFlags, ServerFlags

PORT: Final = 8080


def start(api: str | None, port: int | None, *, open_browser: bool, version: str) -> None:
    """Raises GgufrunError. A port that somebody names is that one or none."""
    if api is not None:
        page(api, "127.0.0.1", port or 0, ReachFlags(), open_browser=open_browser)
        return
    url = running_page() if port is None else None
    if url is not None:
        say(f"A server of yours runs already; its page is at {url} (ggufrun stop ends it).")
        if open_browser:
            show(url, wait=True)
        return
    server = ServerFlags(port=PORT if port is None else port, open=open_browser)
    serve((), server, PoolFlags(), EngineFlags(), LoadFlags(), version=version, or_free=port is None)
