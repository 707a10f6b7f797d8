"""Pictures of the page for docs/, light and dark, as wide as a desktop and as narrow as a phone.

    python -m tests.ui.screenshots [FOLDER] [--only NAME]     (docs unless given; chat, models, side-by-side…)

Needs Chromium. The chat that they show is written here, and the measured report is of the demo model, measured here.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from PIL import Image
from playwright.sync_api import Browser

from tests.api.served import served
from tests.program import at_home, run_ggufrun
from tests.ui.browser import Tab, chromium, tab

DESK: Final = {"width": 1280, "height": 800}
PHONE: Final = {"width": 390, "height": 844}
TABS: Final = {"chat": "Chat", "models": "Models", "side-by-side": "Side by side", "api": "API"}  # by the files' names
COMPARED: Final = ("demo", "--kv-types", "f16,q8_0,q4_0", "--quick")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs"))
    parser.add_argument("--only", choices=[*TABS, "phone"])
    options = parser.parse_args()
    names = [options.only] if options.only else [*TABS, "phone"]
    options.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if "side-by-side" in names:
            run_ggufrun("compare", *COMPARED, environment=at_home(Path(folder)), timeout_s=600).check_returncode()
        with served("demo", Path(folder), page=True) as server, chromium() as browser:
            chat = _written(server.client)
            address = str(server.client.base_url).rstrip("/")
            for scheme in ("light", "dark"):
                _desk(browser, address, chat, scheme, options.folder, names)
            if "phone" in names:
                with tab(browser, address, viewport=PHONE, device_scale_factor=2) as user:
                    _shown(user, chat)
                    _keep(user, options.folder / "phone.png")


def _desk(browser: Browser, address: str, chat: str, scheme: str, out: Path, names: Sequence[str]) -> None:
    with tab(browser, address, viewport=DESK, color_scheme=scheme) as user:
        _shown(user, chat)
        for name in [name for name in TABS if name in names]:
            user.page.get_by_role("tab", name=TABS[name], exact=True).click()
            if name == "side-by-side":
                _measured(user)
            user.page.wait_for_timeout(1500)
            _keep(user, out / f"{name}-{scheme}.png")


def _measured(user: Tab) -> None:
    user.page.get_by_role("button", name="Measured reports").click()
    user.page.locator("#measured-reports").get_by_role("button", name="Show").first.click()
    user.page.locator("#measured-report [data-report]").scroll_into_view_if_needed()


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
    main()
