"""The library's routes and jobs, over a library that does what a test tells it."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from ggufrun.api.app import create_app, gateway_for
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.library.beside import Beside
from ggufrun.api.library.desk import Desk
from ggufrun.api.library.jobs import Job, Jobs
from ggufrun.api.library.library import Json, Report, Wanted
from ggufrun.api.manage.metrics import Metrics
from ggufrun.errors import EngineBusy, EngineClosed, ModelFileError, OptionError, UnknownJob
from ggufrun.hub_errors import HubRefused
from ggufrun.pool.served import OneModel
from tests.api.scripted import PlayedModel, client_of

LIBRARY = "/ggufrun/v1/library"
Pull = Callable[[Report, threading.Event], Json]


class ToldLibrary:
    """Remembers what it was asked; `pulling` is what a pull does."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.go = threading.Event()
        self.pulling: Pull = lambda report, stop: {"name": "a/b:Q4_0", "path": "/there"}

    def local(self) -> list[Json]:
        self.go.wait(60)
        return []

    def cards(self) -> list[Json]:
        return []

    def search(self, words: str, limit: int) -> list[Json]:
        self.asked.append((words, limit))
        return []

    def show(self, wanted: Wanted) -> Json:
        raise HubRefused("The hub does not give this.")

    def fit(self, wanted: Wanted) -> Json:
        self.asked.append(wanted)
        raise OptionError("Enough was seen.")

    def machine(self) -> Json:
        raise ValueError("a secret")

    def remove(self, name: str, in_use: Collection[str]) -> Json:
        self.asked.append((name, in_use))
        return {"name": name, "freed_bytes": 1}

    def pull(self, spec: str, revision: str | None, mmproj: bool, report: Report, stop: threading.Event) -> Json:
        return self.pulling(report, stop)

    def verify(self, names: Sequence[str], report: Report, stop: threading.Event) -> Json:
        return {"data": []}


@dataclass
class Open:
    """One application for all tests here: it takes a while to make. Each test has a library of its own in it."""

    app: ASGIApp
    desk: Desk
    library: ToldLibrary

    def client(self) -> httpx.AsyncClient:
        return client_of(self.app)


@pytest.fixture(scope="module")
def app() -> Iterator[Open]:
    library = ToldLibrary()
    desk = Desk(library)
    gateway = Gateway(OneModel(PlayedModel(())), ServerSettings(), Metrics(), library=desk)
    yield Open(create_app(gateway), desk, library)
    desk.close()


@pytest.fixture
def opened(app: Open) -> Iterator[Open]:
    app.desk.library = app.library = ToldLibrary()
    yield app
    app.library.go.set()


def ended(job: Job) -> Job:
    end = time.monotonic() + 60
    while not job.over:
        assert time.monotonic() < end
        time.sleep(0.002)
    return job


async def test_a_server_without_a_library_says_so() -> None:
    async with client_of(create_app(gateway_for(PlayedModel(())))) as client:
        for path in ("local", "pulls"):
            refused = await client.get(f"{LIBRARY}/{path}")
            assert refused.status_code == 400 and "no library" in refused.json()["message"]


async def test_the_query_becomes_what_is_pinned(opened: Open) -> None:
    async with opened.client() as client:
        query = "spec=a/b&context=4096&gpu_layers=7&flash_attention=on&parallel=2&gpu=24GiB&mmproj=false"
        assert (await client.get(f"{LIBRARY}/fit?{query}")).status_code == 400
        assert opened.library.asked.pop() == Wanted(
            "a/b",
            None,
            {"context": 4096, "gpu_layers": 7, "flash_attention": "on"},
            {"parallel": 2},
            "24GiB",
            None,
            False,
        )
        await client.get(f"{LIBRARY}/fit?spec=a/b&gpu_layers=auto")
        assert opened.library.asked.pop() == Wanted("a/b", None, {"gpu_layers": "auto"})
        wrong = await client.get(f"{LIBRARY}/fit?spec=a/b&kv_type=q1")
        assert wrong.status_code == 422 and not opened.library.asked
        await client.get(f"{LIBRARY}/search?q=mini%20x&limit=3")
        assert opened.library.asked.pop() == ("mini x", 3)
        assert (await client.delete(f"{LIBRARY}/local/a/b:Q4_0")).json() == {"name": "a/b:Q4_0", "freed_bytes": 1}
        assert opened.library.asked.pop() == ("a/b:Q4_0", set())


async def test_errors_come_as_everywhere(opened: Open) -> None:
    async with opened.client() as client:
        refused = await client.get(f"{LIBRARY}/show?spec=a/b")
        assert (refused.status_code, refused.json()["message"]) == (400, "The hub does not give this.")
        failed = await client.get(f"{LIBRARY}/machine")
        assert failed.status_code == 500 and "secret" not in failed.text


async def test_a_file_that_the_request_names_is_the_requests_fault(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object) -> Json:
        raise ModelFileError("/there/x.gguf", "there is no such file", "Check the path.")

    async def fails_too(spec: str) -> str:
        raise ModelFileError(spec, "the file is empty")

    monkeypatch.setattr(opened.library, "fit", fails)
    monkeypatch.setattr(OneModel, "add", lambda self, spec, name: fails_too(spec))
    async with opened.client() as client:
        planned = await client.get(f"{LIBRARY}/fit?spec=/there/x.gguf")
        added = await client.post("/ggufrun/v1/models", json={"spec": "/there/y.gguf"})
    assert (planned.status_code, planned.json()["type"]) == (422, "invalid_request_error")
    assert planned.json()["message"] == "/there/x.gguf: there is no such file. Check the path."
    assert (added.status_code, added.json()["message"]) == (422, "/there/y.gguf: the file is empty.")


async def test_a_thread_that_does_not_start_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    beside, jobs = Beside(), Jobs()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        for _ in range(9):
            with pytest.raises(RuntimeError):
                await beside.do(dict)
        with pytest.raises(RuntimeError):
            jobs.begin("pull", {"n": 0}, lambda job: {})
    assert await beside.do(lambda: 7) == 7
    assert ended(jobs.begin("pull", {"n": 0}, lambda job: {})).state == "done" and len(jobs.listed("pull")) == 1


def no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_job_that_would_end_its_thread_ends_alone() -> None:
    jobs, gate = Jobs(), threading.Event()

    def leaves(job: Job) -> Json:
        gate.wait(60)
        raise SystemExit(1)

    first, second = jobs.begin("pull", {"n": 0}, leaves), jobs.begin("pull", {"n": 1}, lambda job: {})
    gate.set()
    assert (ended(first).state, ended(second).state) == ("failed", "done") and "log" in first.error


async def test_many_that_hang_are_refused(opened: Open) -> None:
    async with opened.client() as client:
        hanging = [asyncio.ensure_future(client.get(f"{LIBRARY}/local")) for _ in range(8)]
        await asyncio.sleep(0.05)
        assert (await client.get(f"{LIBRARY}/local")).status_code == 429
        opened.library.go.set()
        assert {(await each).status_code for each in hanging} == {200}
        assert (await client.get(f"{LIBRARY}/local")).json() == {"data": []}


async def test_what_watches_a_pull_sees_each_state_and_the_end(opened: Open) -> None:
    seen = threading.Event()

    def pulling(report: Report, stop: threading.Event) -> Json:
        report.note("On this machine: fine.")
        report.file("a.gguf", "coming", 0, 10)
        for done in range(1000):  # more than anybody wants to hear of
            report.file("a.gguf", "fetching", done // 100, 10)
        seen.wait(60)
        report.file("a.gguf", "here", 10, 10)
        return {"name": "a/b:Q4_0", "path": "/there"}

    opened.library.pulling = pulling
    async with opened.client() as client:
        begun = await client.post(f"{LIBRARY}/pulls", json={"spec": "a/b", "revision": "v1"})
        assert (begun.status_code, begun.json()["spec"], begun.json()["revision"]) == (202, "a/b", "v1")
        at = f"{LIBRARY}/pulls/{begun.json()['id']}"
        asyncio.get_running_loop().call_later(0.1, seen.set)
        events = [json.loads(line[6:]) for line in (await client.get(f"{at}/events")).text.splitlines() if line]
        assert len(events) <= 4  # five a second
        assert (events[-1]["state"], events[-1]["done"], events[-1]["result"]["path"]) == ("done", 10, "/there")
        assert (await client.get(at)).json() == events[-1] == (await client.get(f"{LIBRARY}/pulls")).json()["data"][0]
        assert (await client.get(f"{LIBRARY}/verify/{begun.json()['id']}")).status_code == 404
        check = (await client.post(f"{LIBRARY}/verify", json={"names": ["a"]})).json()
        assert (check["names"], (await client.get(f"{LIBRARY}/verify")).json()["data"][0]["id"]) == (["a"], check["id"])


def test_jobs_of_a_kind_run_one_after_the_other() -> None:
    jobs, gate, running = Jobs(), threading.Event(), []

    def work(job: Job) -> Json:
        running.append(job.asked["n"])
        gate.wait(60)
        return {}

    first, second, third = (jobs.begin("pull", {"n": n}, work) for n in range(3))
    other = jobs.begin("verify", {"n": 9}, lambda job: {})
    assert ended(other).state == "done" and running == [0]
    assert jobs.begin("pull", {"n": 1}, work) is second
    jobs.stop(second)
    assert second.state == "stopped" and jobs.begin("pull", {"n": 1}, work) is not second
    gate.set()
    assert (ended(first).state, ended(third).state) == ("done", "done")
    assert [job.asked["n"] for job in jobs.listed("pull")] == [1, 2, 1, 0]
    assert ended(jobs.begin("pull", {"n": 0}, work)).state == "done"  # after the thread has ended


def test_jobs_end_with_what_was_wrong() -> None:
    jobs, running = Jobs(), threading.Event()

    def refused(job: Job) -> Json:
        raise OptionError("It cannot be.", "Do another.")

    def broken(job: Job) -> Json:
        raise ValueError("a secret")

    def stopped(job: Job) -> Json:
        running.set()
        job.stop.wait(60)
        raise OptionError("It was stopped.")

    said = ended(jobs.begin("pull", {"n": 0}, refused))
    assert (said.state, said.error, said.result) == ("failed", "It cannot be. Do another.", None)
    said = ended(jobs.begin("pull", {"n": 1}, broken))
    assert said.state == "failed" and "secret" not in said.error and "log" in said.error
    said = jobs.begin("pull", {"n": 2}, stopped)
    assert running.wait(60)
    jobs.stop(said)
    assert (ended(said).state, said.error) == ("stopped", "")
    jobs.stop(said)  # once more does nothing
    assert said.state == "stopped"
    with pytest.raises(UnknownJob):
        jobs.find("verify", said.id)


def test_old_jobs_are_forgotten_and_too_many_are_refused() -> None:
    jobs, gate = Jobs(), threading.Event()
    first = ended(jobs.begin("verify", {"n": 0}, lambda job: {}))
    for n in range(1, 60):
        ended(jobs.begin("verify", {"n": n}, lambda job: {}))
    assert len(jobs.listed("verify")) <= 51 and first not in jobs.listed("verify")

    def hang(job: Job) -> Json:
        gate.wait(60)
        return {}

    with pytest.raises(EngineBusy):
        for n in range(200):
            jobs.begin("pull", {"n": n}, hang)
    gate.set()
    jobs.close()


def test_the_end_stops_all_and_waits_for_no_thread_that_hangs() -> None:
    jobs, gate = Jobs(), threading.Event()

    def hang(job: Job) -> Json:
        gate.wait(60)
        return {}

    running, waiting = jobs.begin("pull", {"n": 0}, hang), jobs.begin("pull", {"n": 1}, hang)
    start = time.monotonic()
    jobs.stop_all()
    assert running.stop.is_set() and waiting.state == "stopped" and time.monotonic() - start < 30
    with pytest.raises(EngineClosed):
        jobs.begin("verify", {}, hang)
    gate.set()
    jobs.close()
    assert running.over
