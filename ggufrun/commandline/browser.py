"""Shows an address in the user's browser, where there is one with windows."""

import os
import platform
import shutil
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from typing import Final

_IN_TERMINALS: Final = ("www-browser", "links", "elinks", "lynx", "w3m")
_OF_WINDOWS: Final = ("wslview", "explorer.exe")  # what WSL has of it


def show(url: str, *, wait: bool = False) -> bool:
    """Whether a browser is started. Some end only when their windows do: without `wait` a thread waits for that."""
    start = browser(os.environ)
    if start is None:
        return False
    thread = threading.Thread(target=start, args=(url,), name="browser", daemon=True)
    thread.start()
    if wait:
        thread.join()
    return True


def browser(environ: Mapping[str, str]) -> Callable[[str], object] | None:
    """What shows a page, None where nothing does: what runs in a terminal would take this one. BROWSER says which."""
    if sys.platform.startswith("linux") and not _screen(environ):
        found = next(filter(None, map(shutil.which, _OF_WINDOWS)), None) if _wsl() else None
        return None if found is None else lambda url: _started(found, url)
    if sys.platform == "darwin" and environ.get("SSH_CONNECTION") and not environ.get("BROWSER"):
        return None  # it would open on a screen that somebody else sits at
    try:
        found_browser = webbrowser.get()
    except webbrowser.Error:
        return None
    return None if os.path.basename(getattr(found_browser, "name", "")) in _IN_TERMINALS else found_browser.open


def _screen(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _wsl() -> bool:
    return "microsoft" in platform.release().lower()


def _started(program: str, url: str) -> None:
    subprocess.run([program, url], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
