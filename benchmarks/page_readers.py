"""A window of the page without a screen: Gradio's events over HTTP, as people at other machines are."""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

_JOIN: Final = "/gradio_api/queue/join"
_DATA: Final = "/gradio_api/queue/data"


class Reader:
    """Opens a chat and reads the answer along that is under way in it. `updates`: how many have come."""

    def __init__(self, client: httpx.Client, chat: str) -> None:
        """`chat` is being answered."""
        self._client, self._session, self.updates = client, uuid.uuid4().hex[:11], 0
        events = _Events(client.get("/config").raise_for_status().json())
        self._run(events.loaded, chat)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(events.follow,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The answer is to be stopped first, or this waits for its next update."""
        self._over.set()
        self._thread.join(timeout=10)

    def _run(self, event: int, chat: str = "") -> None:
        for _ in self._messages(event, chat):
            pass

    def _read(self, event: int) -> None:
        for message in self._messages(event):
            self.updates += message == "process_generating"
            if self._over.is_set():
                return

    def _messages(self, event: int, chat: str = "") -> Iterator[str]:
        """The kinds of messages of one event, to its end."""
        asked = {"data": [None], "fn_index": event, "session_hash": self._session, "event_data": None}
        query = {"chat": chat} if chat else {}
        self._client.post(_JOIN, params=query, json=asked).raise_for_status()
        told = {"session_hash": self._session}
        with self._client.stream("GET", _DATA, params=told, timeout=60) as reply:
            for line in reply.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line.removeprefix("data:"))
                yield message["msg"]
                if message["msg"] in ("process_completed", "close_stream"):
                    return


class _Events:
    """Which of the page's events are which: by what they change."""

    def __init__(self, config: dict[str, Any]) -> None:
        ids = {each["props"].get("elem_id"): each["id"] for each in config["components"]}
        said, running, meter = ids["said"], ids["running"], ids["meter"]
        events = config["dependencies"]
        self.follow: int = next(each["id"] for each in events if each["outputs"] == [running, meter])
        changing = [each for each in events if said in each["outputs"] and len(each["inputs"]) == 1]
        self.loaded: int = next(each["id"] for each in changing if "load" in [name for _, name in each["targets"]])


@contextmanager
def reading(client: httpx.Client, chats: list[str]) -> Iterator[list[Reader]]:
    """Each chat's answer has a reader of its own, and updates have come to each."""
    readers = [Reader(client, chat) for chat in chats]
    try:
        yield readers
    finally:
        for each in readers:
            each.close()
