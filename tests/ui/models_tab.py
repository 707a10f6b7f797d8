"""A server with one small model and a hub behind it, and a browser that has its Models tab."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Browser, Locator, Page, expect

from tests.api.served import served
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.home import Home
from tests.hub.models import MIB, padded
from tests.ui.browser import Tab, tab

Json = dict[str, Any]
LIBRARY: Final = "/ggufrun/v1/library"
REPO, LARGE, SLOW = "owner/Tiny-GGUF", "owner/Large-GGUF", "owner/Slow-GGUF"
HOSTILE, WRONG = "owner/Odd-GGUF", "owner/Wrong-GGUF"
SMALL: Final = f"{REPO}:Q4_K_M"
ODD: Final = "<img src=x onerror=alert(1)>${alert(1)}{{x}}"


@dataclass(frozen=True)
class ModelsTab:
    user: Tab
    hub: FakeHub
    admin: httpx.Client  # what the API says, to compare the page with
    folder: Path  # of models

    @property
    def page(self) -> Page:
        return self.user.page

    def get(self, path: str, **query: str | int) -> Json:
        answer: Json = self.admin.get(f"{LIBRARY}/{path}", params=query).raise_for_status().json()
        return answer

    def show(self) -> Page:
        """The tab, open, before a hub that works."""
        self.hub.faults.clear()
        self.page.get_by_role("tab", name="Models", exact=True).click()
        expect(self.page.locator("#shelf table")).to_be_visible()
        return self.page


@contextmanager
def models_tab(browser: Browser, folder: Path, tiny: Path, shape: Callable[..., Path]) -> Iterator[ModelsTab]:
    """`first` is here and served. The hub has what loads, what is as large as Mistral Medium, and what is odd."""
    with FakeHub() as hub:
        _fill(hub, tiny, shape)
        home = Home(folder, hub.endpoint)
        models = home.folder / "models"
        models.mkdir(parents=True)
        (models / "first.gguf").write_bytes(tiny.read_bytes())
        with served(
            models / "first.gguf", home.folder, page=True, verify=True, warm=True, **home.environment()
        ) as server:
            address = str(server.client.base_url).rstrip("/")
            (place,) = (home.folder / "run").glob("*.json")
            headers = {"Authorization": f"Bearer {json.loads(place.read_text())['token']}"}
            with (
                tab(browser, address, viewport={"width": 1400, "height": 1600}) as user,
                httpx.Client(base_url=address, headers=headers, timeout=60) as admin,
            ):
                user.open()
                yield ModelsTab(user, hub, admin, models)


def _fill(hub: FakeHub, tiny: Path, shape: Callable[..., Path]) -> None:
    data = padded(tiny, 24 * MIB, "tab")
    hub.add_repo(REPO, {"tiny-Q4_K_M.gguf": data, "tiny-Q8_0.gguf": data + bytes(MIB)}, licence="apache-2.0")
    files = {"real-Q4_K_M.gguf": shape("ministral-3b"), "real-Q8_0.gguf": shape("medium-3.5")}
    claimed = {
        name: FakeFile(path, claimed_sha256=name.encode().hex().ljust(64, "0")[:64]) for name, path in files.items()
    }
    hub.add_repo(LARGE, claimed, licence="mrl", downloads=123_456)
    hub.add_repo(WRONG, {"wrong-Q4_K_M.gguf": FakeFile(data, claimed_sha256="0" * 64)})
    hub.add_repo(SLOW, {"slow-Q4_K_M.gguf": data})
    hub.add_repo(HOSTILE, {"odd-Q4_K_M.gguf": data}, licence=ODD, gated=True)


def row(page: Page, name: str) -> Locator:
    return page.locator("#shelf tbody tr", has=page.get_by_role("rowheader", name=name, exact=True))


def job(page: Page, about: str) -> Locator:
    return page.locator(".job", has_text=about)


def do(part: Locator, words: str) -> None:
    part.get_by_role("button").filter(has_text=re.compile(f"^{re.escape(words)}$")).click()


def choose(page: Page, spec: str) -> None:
    page.fill("#seek-q", spec)
    page.keyboard.press("Enter")
    expect(page.locator("#quants h4")).to_contain_text(spec.partition(":")[0])
