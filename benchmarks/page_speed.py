"""What the page costs: from the server's start to typing, a click while four answers stream, an update in a long chat.

usage: python -m benchmarks.page_speed [ROUNDS]   (3 unless given)
Needs Chromium. Prints medians and their ranges; the demo model answers.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import psutil
from playwright.sync_api import Browser, Page, expect

from benchmarks.page_readers import reading
from tests.api.served import Served, served
from tests.ui.browser import chromium, tab
from tests.ui.held import cold
from tests.ui.talking import ENDLESS, ask, imported, opened, stop, until_running

STREAMS: Final = 4
WATCHED_S: Final = 6.0  # of an answer
_TYPED: Final = "document.activeElement?.matches('textarea')"  # a field has the focus
LONG: Final = 200  # messages of the long chat
_PATIENCE_S: Final = 60.0  # until Gradio's page is there
_SETTLED_MS: Final = 700  # between two clicks: what the one before has begun is over

# From the press, as the browser has its time, to the ends of the frames that show the name marked, and the chat.
_CLICK: Final = """([name, text]) => { window.clicked = new Promise((done, fail) => {
  const painted = (then) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => then(performance.now());
    channel.port2.postMessage(0);
  });
  setTimeout(() => fail(new Error("The chat was not shown.")), 30000);
  let pressed = 0, marked = 0;
  document.addEventListener("mousedown", (event) => { pressed = event.timeStamp; }, { once: true, capture: true });
  const look = new MutationObserver(() => {
    if (!pressed) return;
    if (!marked && document.querySelector("#chats [aria-current]")?.textContent === name) {
      marked = -1;
      painted((at) => { marked = at - pressed; });
    }
    if (document.querySelector("#said").textContent.includes(text)) {
      look.disconnect();
      painted((at) => done([marked, at - pressed]));
    }
  });
  look.observe(document, { childList: true, subtree: true, characterData: true, attributeFilter: ["aria-current"] });
}); }"""


def main(rounds: str = "3") -> None:
    count = int(rounds)
    with chromium() as browser:
        started(browser, count)
        with _server() as server:
            clicked(browser, server, count)
            updated(browser, server, count)


def started(browser: Browser, rounds: int) -> None:
    """From the line that says where the server is: to the first letter that stays, and to the page's own field.

    The server is one that has imported nothing yet. Each letter has to reach the page's field, in its order.
    """
    loads: list[float] = []
    typed: list[float] = []
    mounted: list[float] = []
    for _ in range(rounds):
        before = time.perf_counter()
        with tempfile.TemporaryDirectory() as home, cold(Path(home), "serve", "demo", "--port", "0") as server:
            up = time.perf_counter()
            with tab(browser, _home(server)) as user:
                loads.append(up - before)
                user.page.goto(user.home, wait_until="commit")
                user.page.wait_for_function(_TYPED, polling=10)
                letters = _letters(user.page, up, typed)
                mounted.append(time.perf_counter() - up)
                expect(user.page.locator("#ask textarea")).to_have_value(letters)
    _say("server up after its start", loads, "s")
    _say("typing after the server is up", typed, "s", "< 2")
    _say("the page's own field after that", mounted, "s")


def _letters(page: Page, up: float, typed: list[float]) -> str:
    """What was typed until the page's own field had the focus; one letter, to begin with, is timed."""
    letters, patience = "", time.monotonic() + _PATIENCE_S
    while not page.evaluate("document.activeElement?.closest('#ask') !== null"):
        if time.monotonic() > patience:
            raise RuntimeError("The page's own field does not come.")
        letters += "abcdefghij"[len(letters) % 10]
        page.keyboard.type(letters[-1])
        if len(letters) == 1:
            page.wait_for_function("document.activeElement?.value === 'a'", polling=10)
            typed.append(time.perf_counter() - up)
        page.wait_for_timeout(50)
    return letters


def clicked(browser: Browser, server: Served, rounds: int) -> None:
    """Another chat's name marked, and its messages shown, after the click on it: alone, and beside four answers.

    Those are read along by windows of this machine, or over HTTP only, as people at other machines read them.
    """
    scenes: dict[str, AbstractContextManager[None]] = {
        "alone": nullcontext(),
        f"{STREAMS} read over HTTP": _read_over_http(server),
        f"{STREAMS} windows more": _read_in_windows(browser, server),
    }
    for scene, streams in scenes.items():
        with streams, tab(browser, _home(server)) as user:
            names = [_chat(server, f"{scene}, {number}") for number in range(2)]
            user.open()
            found = [_timed(user.page, names[number % 2]) for number in range(4 * rounds)]
        _say(f"a click marked, {scene}", [each[0] for each in found], "s")
        _say(f"a chat shown after it, {scene}", [each[1] for each in found], "s", "< 0.3")


@contextmanager
def _read_in_windows(browser: Browser, server: Served) -> Iterator[None]:
    with ExitStack() as stack:
        talkers = [stack.enter_context(tab(browser, _home(server))) for _ in range(STREAMS)]
        for talker in talkers:
            opened(talker, imported(server.client, _said(2), settings=ENDLESS))
            ask(talker.page, "Go on.")
            until_running(talker.page)
        yield
        for talker in talkers:
            stop(talker.page)


@contextmanager
def _read_over_http(server: Served) -> Iterator[None]:
    chats = [imported(server.client, _said(2), settings=ENDLESS) for _ in range(STREAMS)]
    runs = [_begun(server, chat) for chat in chats]
    try:
        with reading(server.client, chats) as readers:
            yield
            for chat, run in zip(chats, runs, strict=True):
                server.client.delete(f"/ggufrun/v1/chats/{chat}/runs/{run}").raise_for_status()
        if not all(each.updates > 1 for each in readers):
            raise RuntimeError(f"The readers have read nothing: {[each.updates for each in readers]}.")
    finally:
        for chat in chats:
            server.client.delete(f"/ggufrun/v1/chats/{chat}").raise_for_status()


def _begun(server: Served, chat: str) -> str:
    asked = {"message": {"content": "Go on."}, "settings": ENDLESS}
    return str(server.client.post(f"/ggufrun/v1/chats/{chat}/runs", json=asked).raise_for_status().json()["id"])


def updated(browser: Browser, server: Served, rounds: int) -> None:
    """Processor time of the server's process (the model is another one) and of the browser, while an answer streams."""
    found: dict[str, list[tuple[float, float]]] = {"new chat": [], f"{LONG} messages": []}
    for _ in range(rounds):
        for name, messages in (("new chat", 2), (f"{LONG} messages", LONG)):
            chat = imported(server.client, _said(messages), settings=ENDLESS)
            with tab(browser, _home(server)) as user:
                found[name].append(_stream_cost(server, opened(user, chat)))
    for name, costs in found.items():
        _say(f"server, {name}", [cost[0] for cost in costs], "ms an update")
        _say(f"browser, {name}", [cost[1] for cost in costs], "ms an update")
    for index, who in enumerate(("server", "browser")):
        short, long = (statistics.median(cost[index] for cost in costs) for costs in found.values())
        print(f"{who}: {long / short:.2f} times as much in the long chat (1.5 wanted)", flush=True)


def _stream_cost(server: Served, page: Page) -> tuple[float, float]:
    """Server's and browser's, of an answer that is under way."""
    ask(page, "Go on.")
    until_running(page)
    page.evaluate(
        """() => { window.updates = 0;
        new MutationObserver(() => { window.updates += 1; }).observe(document.querySelector('#running'),
            {childList: true, subtree: true, characterData: true}); }"""
    )
    browsers, ours = _browsers(), [psutil.Process(server.process.pid)]
    before = (_cpu(ours), _cpu(browsers))
    page.wait_for_timeout(1e3 * WATCHED_S)
    after = (_cpu(ours), _cpu(browsers))
    updates = max(1, page.evaluate("() => window.updates"))
    stop(page)
    return 1e3 * (after[0] - before[0]) / updates, 1e3 * (after[1] - before[1]) / updates


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


def _said(messages: int) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [{"role": roles[number % 2], "content": f"This is message {number}."} for number in range(messages)]


def _chat(server: Served, title: str) -> str:
    said = _said(4)
    imported(server.client, [*said[:-1], {**said[-1], "content": f"The end of {title}."}], title=title)
    return title


def _timed(page: Page, title: str) -> tuple[float, float]:
    """Seconds from the press on a chat's name to the frame in which it is marked, and to that with its messages."""
    link = page.locator("#chats").get_by_text(title, exact=True)
    link.wait_for()
    box = link.bounding_box()
    if box is None:
        raise RuntimeError("The chat's name is not on the screen.")
    page.wait_for_timeout(_SETTLED_MS)
    page.evaluate(_CLICK, [title, f"The end of {title}."])
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    marked, shown = page.evaluate("() => window.clicked")
    return marked / 1e3, shown / 1e3


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
