"""The program around the page: how it ends, whom it asks on the network, where uploads lie, what is installed of it."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest
from playwright.sync_api import Browser, expect

from ggufrun.commandline.scratch import scratch
from tests.api.served import Served, served
from tests.program import at_home
from tests.ui.browser import tab
from tests.warm_server import Process

pytestmark = pytest.mark.process
END_S: Final = 40.0  # three on a machine that is not busy; what waits for the page or for an answer has no end

# Of every process that the server starts, too: which hosts are asked for, and where is connected to.
_HEARD: Final = """
import os, sys
def heard(event, args):
    if event == "socket.getaddrinfo":
        told = args[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        told = args[1][0] if isinstance(args[1], tuple) else None  # others are no network
    elif event in ("socket.gethostbyname", "socket.gethostbyaddr"):
        told = args[0]
    else:
        return
    if told is not None:
        told = told.decode() if isinstance(told, bytes) else str(told)
        with open(os.environ["HEARD"], "a") as file:
            file.write(f"{event} {told}\\n")
sys.addaudithook(heard)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("shell")
    (made / "temporary").mkdir()
    (made / "site").mkdir()
    (made / "site" / "sitecustomize.py").write_text(_HEARD)
    return made


@pytest.fixture(scope="module")
def server(demo_path: Path, folder: Path) -> Iterator[Served]:
    """The last test of this module ends it."""
    told = {"TMPDIR": str(folder / "temporary"), "PYTHONPATH": str(folder / "site"), "HEARD": str(folder / "heard")}
    with served("demo", folder / "home", page=True, verify=True, warm=False, **told) as running:
        yield running


def test_a_browser_can_install_it(browser: Browser, server: Served) -> None:
    address = str(server.client.base_url).rstrip("/")
    with tab(browser, address) as user:
        user.open()
        devtools = user.page.context.new_cdp_session(user.page)
        manifest = devtools.send("Page.getAppManifest")
        assert not manifest["errors"] and manifest["url"] == f"{address}/manifest.json"
        read = json.loads(manifest["data"])
        assert (read["name"], read["display"], read["start_url"]) == ("ggufrun", "standalone", "./")
        wrong = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
        assert [each["errorId"] for each in wrong] == ["in-incognito"]  # as all tests are


def test_uploads_lie_in_the_scratch_folder_only(browser: Browser, server: Served, folder: Path) -> None:
    address = str(server.client.base_url).rstrip("/")
    with tab(browser, address) as user:
        user.open()
        note = folder / "note.txt"
        note.write_text("A word that is in no other file: 62c3a1.")
        user.page.locator("#ask input[type=file]").first.set_input_files(note)
        expect(user.page.locator("#ask").get_by_label("Remove file")).to_be_visible()
        (scratch,) = (folder / "temporary").glob("ggufrun-page-*")
        (upload,) = scratch.rglob("*.txt")
        assert upload.read_text() == note.read_text()
        files = [path for path in folder.rglob("*") if path.is_file() and path != note]
        assert [path for path in files if b"62c3a1" in path.read_bytes()] == [upload]


def test_the_log_is_quiet_about_the_page(server: Served) -> None:
    lines = [line for line in server.log if "ggufrun.access" in line]
    assert not [line for line in lines if "/gradio_api" in line or "GET / " in line or "/login" in line], lines
    assert not [line for line in server.log if "WARNING" in line or "ERROR" in line], server.log


def test_it_rests_while_nobody_looks(server: Served) -> None:
    """Gradio's queue would look for work a thousand times a second, 6 % of a core."""
    process = psutil.Process(server.process.pid)

    def used() -> float:
        spent = process.cpu_times()
        return spent.user + spent.system

    def idle() -> bool:
        before = used()
        time.sleep(3.0)
        return used() - before < 0.03 * 3.0

    assert any(idle() for _ in range(8))


def test_sigterm_with_a_page_open_and_an_answer_on_its_way(browser: Browser, server: Served, folder: Path) -> None:
    address = str(server.client.base_url).rstrip("/")
    with tab(browser, address) as user:
        user.open()
        chat = server.client.post("/ggufrun/v1/chats", json={"title": "long"}).json()["id"]
        body = {"model": "demo", "settings": {"max_tokens": 4000, "temperature": 0}}
        server.client.post(f"/ggufrun/v1/chats/{chat}/messages", json={"role": "user", "content": "Count to 1000."})
        server.client.post(f"/ggufrun/v1/chats/{chat}/runs", json=body)
        user.page.locator("#ask textarea").fill("Count from one to one thousand, in words.")
        user.page.keyboard.press("Enter")
        until(lambda: server.active() >= 1)
        assert ended(server.process, signal.SIGTERM) == 0
        user.wrong.clear()  # its server is gone
    assert not list((folder / "temporary").iterdir())
    assert not [line for line in server.log if "Traceback" in line or "ERROR" in line], server.log


def test_it_asks_nobody_on_the_network(folder: Path) -> None:
    """In all that the tests above have done."""
    heard = set((folder / "heard").read_text().split("\n"))
    hosts = {line.split(" ", 1)[1] for line in heard if line}
    assert hosts <= {"127.0.0.1", "::1", "localhost"}, heard
    assert "127.0.0.1" in hosts  # the hook is there


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_it_ends_while_the_page_is_being_imported(
    tiny_model: Callable[[str], Path], tmp_path: Path, sent: signal.Signals
) -> None:
    (tmp_path / "temporary").mkdir()
    told = {"TMPDIR": str(tmp_path / "temporary")}
    with served(tiny_model("llama-tiny"), tmp_path / "home", page=True, warm=False, verify=True, **told) as server:
        assert ended(server.process, sent) == 0
    assert not list((tmp_path / "temporary").iterdir())
    assert not [line for line in server.log if "Traceback" in line or "ERROR" in line], server.log


def test_sigterm_while_a_model_loads(demo_path: Path, tmp_path: Path) -> None:
    """Its page's folder goes, and so does that of a program that was killed."""
    (tmp_path / "ggufrun-page-4194304999-x").mkdir()
    line = [sys.executable, "-m", "ggufrun", "serve", "demo", "--port", "0"]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=at_home(tmp_path, TMPDIR=str(tmp_path)))
    until(lambda: bool(list(tmp_path.glob(f"ggufrun-page-{process.pid}-*"))))
    assert ended(process, signal.SIGTERM) == -signal.SIGTERM
    assert not list(tmp_path.glob("ggufrun-page-*"))
    assert process.stderr is not None and "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_a_folder_is_removed_only_where_its_program_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = 4_194_304_999  # more than there can be
    for name in (f"{dead}-left", f"{dead}-locked", f"{os.getppid()}-alive", "of-another", str(dead)):
        (tmp_path / f"ggufrun-page-{name}").mkdir()
    (tmp_path / f"ggufrun-page-{dead}-link").symlink_to(tmp_path / "ggufrun-page-of-another")
    lock = os.open(tmp_path / f"ggufrun-page-{dead}-locked", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with scratch() as own:
        assert own.is_dir() and own.name.startswith(f"ggufrun-page-{os.getpid()}-")
        left = {path.name.removeprefix("ggufrun-page-") for path in tmp_path.iterdir() if path != own}
    os.close(lock)
    assert left == {f"{dead}-locked", f"{os.getppid()}-alive", "of-another", str(dead), f"{dead}-link"}
    assert not own.exists()


def ended(process: Process, sent: signal.Signals) -> int:
    process.send_signal(sent)
    start = time.monotonic()
    code = process.wait(2 * END_S)
    assert time.monotonic() - start < END_S
    return code


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("arguments", ["--help", "list", "serve --help"])
def test_other_commands_do_not_import_it(arguments: str, tmp_path: Path) -> None:
    code = (
        "import sys; from ggufrun.cli import main; main(sys.argv[1:]); "
        "sys.exit(str([name for name in ('gradio', 'httpx', 'mcp', 'fastapi', 'pypdf') if name in sys.modules]))"
    )
    line = [sys.executable, "-c", code, *arguments.split()]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, env=at_home(tmp_path))
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
