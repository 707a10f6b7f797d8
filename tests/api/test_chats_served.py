"""Chats of a real `ggufrun serve` with a tiny model: its end, however it comes, and what is there at the next start."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.chatting import CHATS
from tests.api.served import Served, served

LONG: dict[str, Any] = {"sampling": {"max_tokens": 4000, "min_tokens": 4000, "temperature": 0}}


def begun(server: Served, settings: dict[str, Any]) -> tuple[str, str]:
    """A chat whose answer is being stored."""
    chat = str(server.client.post(CHATS, json={"settings": settings}).raise_for_status().json()["id"])
    run = server.client.post(f"{CHATS}/{chat}/runs", json={"message": {"content": "Tell me all."}})
    assert run.status_code == 201, run.text
    end = time.monotonic() + 60
    while not read(server, chat)["content"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    return chat, str(run.json()["id"])


def read(server: Served, chat: str) -> dict[str, Any]:
    """The answer."""
    messages = server.client.get(f"{CHATS}/{chat}").raise_for_status().json()["messages"]
    return dict(messages[-1])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_a_server_that_ends_in_the_middle(tmp_path: Path, tiny_model: Callable[[str], Path], how: str) -> None:
    model = tiny_model("llama-tiny")
    with served(model, tmp_path, "--context", "8192") as server:
        chat, run = begun(server, LONG)
        with server.client.stream("GET", f"{CHATS}/{chat}/runs/{run}/events") as reading:  # it holds nothing up
            next(reading.iter_lines())
            came = read(server, chat)["content"]
            start = time.monotonic()
            getattr(server.process, how)()
            server.process.wait(20)
            assert time.monotonic() - start < 10
    with served(model, tmp_path, "--context", "8192") as server:
        answer = read(server, chat)
        assert answer["meta"]["state"] == "stopped" and answer["content"].startswith(came)
        again = server.client.post(
            f"{CHATS}/{chat}/runs",
            json={"parent": answer["parent"], "settings": {"sampling": {"max_tokens": 5, "temperature": 0}}},
        )
        events = server.client.get(f"{CHATS}/{chat}/runs/{again.json()['id']}/events").text.strip().split("\n\n")
        last = json.loads(events[-1].split("data: ")[1])
        assert last["state"] == "done" and last["message"]["meta"]["usage"]["completion_tokens"] == 5
        assert (tmp_path / "chats.db").stat().st_mode & 0o077 == 0


def test_an_answer_is_gone_on_with(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    with served(tiny_model("llama-tiny"), tmp_path, "--context", "2048") as server:
        settings = {"sampling": {"temperature": 0, "max_tokens": 5, "min_tokens": 5}}
        chat, _ = begun(server, settings)
        first = read(server, chat)
        run = server.client.post(f"{CHATS}/{chat}/runs", json={"continue": first["id"]})
        assert run.status_code == 201, run.text
        server.client.get(f"{CHATS}/{chat}/runs/{run.json()['id']}/events")
        second = read(server, chat)
        assert second["id"] == first["id"] and second["meta"]["state"] == "done"
        assert second["content"].startswith(first["content"]) and len(second["content"]) > len(first["content"])
        assert second["content"].count(first["content"]) == 1 or len(first["content"]) < 3
