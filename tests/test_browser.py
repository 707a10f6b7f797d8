"""Which browser shows the page, and that none is started where it would take the terminal or nobody would see it."""

import webbrowser
from collections.abc import Callable

import pytest

from ggufrun.commandline import browser

URL = "http://127.0.0.1:8080"


class Known:
    """As `webbrowser.get` gives one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.shown: list[str] = []

    def open(self, url: str) -> bool:
        self.shown.append(url)
        return True


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Known]:
    """A machine with this browser."""

    def made(platform: str, name: str = "firefox", release: str = "6.1", wsl: str | None = None) -> Known:
        known = Known(name)
        monkeypatch.setattr("sys.platform", platform)
        monkeypatch.setattr("platform.release", lambda: release)
        monkeypatch.setattr(webbrowser, "get", lambda: known)
        monkeypatch.setattr("shutil.which", lambda program: f"/bin/{program}" if program == wsl else None)
        return known

    return made


def test_it_is_shown_where_there_is_a_screen(on: Callable[..., Known], monkeypatch: pytest.MonkeyPatch) -> None:
    known = on("linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        assert browser.browser({name: "x"}) == known.open
    monkeypatch.setenv("DISPLAY", ":0")
    assert browser.show(URL, wait=True) and known.shown == [URL]


def test_no_browser_takes_the_terminal(on: Callable[..., Known]) -> None:
    assert on("linux") and browser.browser({}) is None
    assert on("linux", "/usr/bin/w3m") and browser.browser({"DISPLAY": ":0"}) is None


def test_where_there_is_none_nothing_is_shown(on: Callable[..., Known], monkeypatch: pytest.MonkeyPatch) -> None:
    on("linux")

    def none() -> Known:
        raise webbrowser.Error

    monkeypatch.setattr(webbrowser, "get", none)
    monkeypatch.setenv("DISPLAY", ":0")
    assert not browser.show(URL)


def test_on_a_mac_only_for_who_sits_there(on: Callable[..., Known]) -> None:
    known = on("darwin", "MacOSX")
    assert browser.browser({"SSH_CONNECTION": "1"}) is None
    assert browser.browser({"SSH_CONNECTION": "1", "BROWSER": "x"}) == known.open == browser.browser({})


def test_wsl_has_the_browser_of_windows(on: Callable[..., Known], monkeypatch: pytest.MonkeyPatch) -> None:
    on("linux", release="5.15-microsoft-standard-WSL2", wsl="explorer.exe")
    started: list[list[str]] = []
    monkeypatch.setattr("subprocess.run", lambda command, **_: started.append(command))
    found = browser.browser({})
    assert found is not None
    found(URL)
    assert started == [["/bin/explorer.exe", URL]]
    on("linux", release="5.15-microsoft-standard-WSL2")
    assert browser.browser({}) is None
