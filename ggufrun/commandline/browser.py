"""Shows an address in the user's browser, where there is one with windows."""

import os
import sys
import webbrowser
from typing import Final

_IN_TERMINALS: Final = ("www-browser", "links", "elinks", "lynx", "w3m")


def show(url: str) -> bool:
    """Whether a browser was started. One that would run in this terminal is not."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        browser = webbrowser.get()
        return getattr(browser, "name", "") not in _IN_TERMINALS and browser.open(url)
    except webbrowser.Error:
        return False
