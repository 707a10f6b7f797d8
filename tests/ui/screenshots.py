"""Pictures of the page for docs/, light and dark, as wide as a desktop and as narrow as a phone.

usage: python -m tests.ui.screenshots [FOLDER]   (docs unless given)
Needs Chromium. The chat that they show is written here.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import httpx
from PIL import Image
from playwright.sync_api import Browser

from tests.api.served import served
from tests.ui.browser import Tab, chromium, tab

DESK: Final = {"width": 1280, "height": 800}
PHONE: Final = {"width": 390, "height": 844}
CHAT: Final[list[dict[str, Any]]] = [
    {"role": "user", "content": "How far is the horizon, seen from a height $h$? With a function, please."},
    {
        "role": "assistant",
        "thinking": "Pythagoras with the Earth's radius, and then the approximation for small heights.",
        "content": "From a height $h$ over a sphere of radius $R$ the horizon is at a distance of\n\n"
        "$$d = \\sqrt{2Rh + h^2} \\approx \\sqrt{2Rh}$$\n\n"
        "```python\nfrom math import sqrt\n\ndef horizon(height_m: float, radius_m: float = 6_371_000) -> float:\n"
        '    """Distance to the horizon in metres."""\n'
        "    return sqrt(2 * radius_m * height_m + height_m**2)\n```\n\n"
        "| height | horizon |\n|---|---|\n| 1.7 m | 4.7 km |\n| 100 m | 35.7 km |\n| 8,849 m | 336 km |",
    },
]


def main(folder: str = "docs") -> None:
    out = Path(folder)
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, served("demo", Path(home), page=True) as server, chromium() as browser:
        chat = _written(server.client)
        address = str(server.client.base_url).rstrip("/")
        for scheme in ("light", "dark"):
            _desk(browser, address, chat, scheme, out)
        with tab(browser, address, viewport=PHONE, device_scale_factor=2) as user:
            _shown(user, chat)
            _keep(user, out / "phone.png")


def _desk(browser: Browser, address: str, chat: str, scheme: str, out: Path) -> None:
    with tab(browser, address, viewport=DESK, color_scheme=scheme) as user:
        _shown(user, chat)
        _keep(user, out / f"chat-{scheme}.png")
        for name in ("Models", "Side by side", "API"):
            user.page.get_by_role("tab", name=name, exact=True).click()
            user.page.wait_for_timeout(1500)
            _keep(user, out / f"{name.lower().replace(' ', '-')}-{scheme}.png")


def _keep(user: Tab, path: Path) -> None:
    """In few colours: a third of the size, and nothing is lost that one would see."""
    user.page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(128).save(path, optimize=True)


def _shown(user: Tab, chat: str) -> None:
    user.open(f"/?chat={chat}")
    user.page.locator("#said").get_by_text("Distance to the horizon").wait_for()
    user.page.wait_for_timeout(1500)  # what moves has come to rest


def _written(client: httpx.Client) -> str:
    made = client.post("/ggufrun/v1/chats", json={"title": "The horizon", "model": "demo"}).raise_for_status()
    chat: str = made.json()["id"]
    for message in CHAT:
        client.post(f"/ggufrun/v1/chats/{chat}/messages", json=message).raise_for_status()
    for title in ("A letter to the landlord", "Which quant for 24 GB?", "Reading list"):
        client.post("/ggufrun/v1/chats", json={"title": title, "model": "demo"}).raise_for_status()
    return chat


if __name__ == "__main__":
    main(*sys.argv[1:])
