"""What the page costs: from the server's start to typing, a click while four answers stream, an update in a long chat.

usage: python -m benchmarks.page_speed [ROUNDS]   (3 unless given)
Needs Chromium. Prints medians and their ranges; the demo model answers.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx
import psutil
from playwright.sync_api import Browser

from tests.api.served import Served, served
from tests.ui.browser import Tab, chromium, tab

STREAMS: Final = 4
TOKENS: Final = 400  # of an answer that is watched
LONG: Final = 200  # messages of the long chat


def main(rounds: str = "3") -> None:
    count = int(rounds)
    with chromium() as browser:
        started(browser, count)
        with _server() as server:
            clicked(browser, server, count)
            updated(browser, server, count)


def started(browser: Browser, rounds: int) -> None:
    """From the line that says where the server is to the first moment that one can type."""
    waits, loads = [], []
    for _ in range(rounds):
        before = time.perf_counter()
        with _server() as server, tab(browser, _home(server)) as user:
            up = time.perf_counter()
            user.open()
            waits.append(time.perf_counter() - up)
            loads.append(up - before)
    _say("server up after its start", loads, "s")
    _say("typing after the server is up", waits, "s", "< 2")


def clicked(browser: Browser, server: Served, rounds: int) -> None:
    """Another chat's messages on the screen after the click on its name."""
    for streams in (0, STREAMS):
        waits = []
        with ExitStack() as stack:
            opened = [stack.enter_context(tab(browser, _home(server))) for _ in range(streams + 1)]
            names = [_chat(server.client, f"chat {streams} {number}", 4) for number in range(2)]
            *talkers, user = opened
            for each in opened:
                each.open()
            for _ in range(rounds):
                for talker in talkers:
                    _ask(talker, "Count from one to a thousand in words.")
                for number, name in enumerate((*names, *names)):
                    waits.append(_timed(user, name, number))
                for talker in talkers:
                    _stop(talker)
        _say(f"a chat opened by a click, {streams} streams", waits, "s", "< 0.3")


def updated(browser: Browser, server: Served, rounds: int) -> None:
    """Processor time of the server's process (the model is another one) and of the browser, while an answer streams."""
    found: dict[str, list[tuple[float, float]]] = {"new chat": [], f"{LONG} messages": []}
    for number in range(rounds):
        for name, messages in (("new chat", 0), (f"{LONG} messages", LONG)):
            title = _chat(server.client, f"{name} {number}", messages)
            with tab(browser, _home(server)) as user:
                user.open()
                user.page.get_by_text(title, exact=True).first.click()
                user.page.wait_for_timeout(1500)
                found[name].append(_stream_cost(server, user))
    for name, costs in found.items():
        _say(f"server, {name}", [cost[0] for cost in costs], "ms an update")
        _say(f"browser, {name}", [cost[1] for cost in costs], "ms an update")
    for index, who in enumerate(("server", "browser")):
        short, long = (statistics.median(cost[index] for cost in costs) for costs in found.values())
        print(f"{who}: {long / short:.2f} times as much in the long chat (1.5 wanted)", flush=True)


def _stream_cost(server: Served, user: Tab) -> tuple[float, float]:
    updates = user.page.evaluate(
        """() => { window.updates = 0;
        new MutationObserver(() => { window.updates += 1; }).observe(document.querySelector('#running'),
            {childList: true, subtree: true, characterData: true}); }"""
    )
    browsers = _browsers()
    before = (_cpu([psutil.Process(server.process.pid)]), _cpu(browsers))
    _ask(user, "Count from one to a thousand in words.")
    user.page.wait_for_timeout(6000)
    after = (_cpu([psutil.Process(server.process.pid)]), _cpu(browsers))
    updates = max(1, user.page.evaluate("() => window.updates"))
    _stop(user)
    return tuple(1e3 * (b - a) / updates for a, b in zip(before, after, strict=True))


def _browsers() -> list[psutil.Process]:
    return [each for each in psutil.Process().children(recursive=True) if "chrom" in each.name()]


def _cpu(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _chat(client: httpx.Client, title: str, messages: int) -> str:
    """A chat of so many messages; its title."""
    chat = client.post("/ggufrun/v1/chats", json={"title": title, "model": "demo"}).raise_for_status().json()["id"]
    for number in range(messages):
        said = {"role": "user" if number % 2 == 0 else "assistant", "content": f"This is message {number}."}
        client.post(f"/ggufrun/v1/chats/{chat}/messages", json=said).raise_for_status()
    return title


def _ask(user: Tab, text: str) -> None:
    box = user.page.locator("#ask textarea")
    box.fill(text)
    box.press("Enter")
    user.page.locator("#running").get_by_text("e").first.wait_for()


def _stop(user: Tab) -> None:
    button = user.page.get_by_role("button", name="Stop")
    if button.first.is_visible():
        button.first.click()


def _timed(user: Tab, title: str, number: int) -> float:
    link = user.page.get_by_text(title, exact=True).first
    link.wait_for()
    start = time.perf_counter()
    link.click()
    user.page.locator("#said").get_by_text("This is message 3.").wait_for()
    took = time.perf_counter() - start
    user.page.get_by_role("button", name="New chat").first.click()
    user.page.locator("#said").get_by_text("This is message 3.").wait_for(state="hidden")
    return took


@contextmanager
def _server() -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as home, served("demo", Path(home), page=True) as server:
        yield server


def _home(server: Served) -> str:
    return str(server.client.base_url).rstrip("/")


def _say(what: str, values: Sequence[float], unit: str, wanted: str = "") -> None:
    ordered = sorted(values)
    shown = f"{statistics.median(ordered):8.2f} ({ordered[0]:.2f} to {ordered[-1]:.2f}) {unit}"
    print(f"{what:36} {shown}{f'   {wanted} wanted' if wanted else ''}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
