"""Reports that are kept, over HTTP: listed, read, deleted. Damaged and hostile ones beside them harm nobody."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from ggufrun.api.app import create_app
from ggufrun.api.compare.reports import policy_of
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.library.desk import Desk
from ggufrun.api.manage.metrics import Metrics
from ggufrun.commandline.comparing import Comparing
from ggufrun.compare.report.json_report import json_bytes
from ggufrun.compare.report.written import write_report
from ggufrun.pool.served import OneModel
from tests.api.scripted import PlayedModel, client_of
from tests.api.test_library import ToldLibrary
from tests.compare.report import reports

COMPARE = "/ggufrun/v1/compare"
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One is drawn, and once: pictures take a while."""
    home = tmp_path_factory.mktemp("written")
    write_report(reports.full(), home / "compare" / "full")
    put(home, "hostile", json_bytes(reports.hostile()))
    return home


@pytest.fixture
def home(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def app(home: Path) -> Iterator[ASGIApp]:
    desk = Desk(ToldLibrary(), Comparing(home, home / "cache"))
    yield create_app(Gateway(OneModel(PlayedModel(())), ServerSettings(), Metrics(), library=desk))
    desk.close()


def put(home: Path, id: str, content: bytes) -> None:
    (home / "compare" / id).mkdir()
    (home / "compare" / id / "report.json").write_bytes(content)


def changed(home: Path, **changes: Any) -> bytes:
    """The report's JSON, with other values."""
    return json.dumps({**json.loads((home / "compare" / "full" / "report.json").read_bytes()), **changes}).encode()


async def test_a_report_and_its_files(app: ASGIApp) -> None:
    async with client_of(app) as client:
        listed = (await client.get(COMPARE)).raise_for_status().json()
        assert {each["id"]: each["rows"] for each in listed["data"]} == {"full": 10, "hostile": 4}
        found = (await client.get(f"{COMPARE}/full")).raise_for_status().json()
        assert (found["id"], found["run"], found["report"]["reference"]) == ("full", None, "Q8_0")
        html = (await client.get(f"{COMPARE}/full/report.html")).raise_for_status()
        assert html.headers["content-type"] == "text/html; charset=utf-8"
        policy = html.headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts; default-src 'none';")
        assert f"script-src '{policy.rpartition('script-src ')[2].strip(chr(39))}'" in html.text  # the report's own
        assert html.headers["x-content-type-options"] == "nosniff"
        assert (await client.get(f"{COMPARE}/full/report.csv")).text.startswith("name,")
        kept = await client.get(f"{COMPARE}/full/report.json")
        assert (kept.headers["content-type"], kept.headers["content-security-policy"]) == ("application/json", SANDBOX)
        assert kept.json() == found["report"]


async def test_what_is_no_file_of_a_report(app: ASGIApp, home: Path) -> None:
    (home / "report.json").write_text("{}")
    (home / "compare" / "full" / "secret.txt").write_text("secret")
    paths = ("full/report.txt", "full/secret.txt", "..%2freport.json", "%2e%2e/report.json", "../report.json", "x")
    async with client_of(app) as client:
        for path in paths:
            for method in ("GET", "DELETE"):
                answer = await client.request(method, f"{COMPARE}/{path}")
                assert answer.status_code in (404, 405, 422), (method, path)
    assert (home / "report.json").exists()


async def test_a_report_is_deleted(app: ASGIApp, home: Path) -> None:
    folder = home / "compare" / "hostile"
    (folder / "mine.txt").write_text("Not of the report.")
    async with client_of(app) as client:
        gone = await client.delete(f"{COMPARE}/full")
        assert (gone.status_code, gone.json()) == (200, {"id": "full", "run": None, "report": None})
        assert [each["id"] for each in (await client.get(COMPARE)).json()["data"]] == ["hostile"]
        for again in (await client.delete(f"{COMPARE}/full"), await client.get(f"{COMPARE}/full")):
            assert again.status_code == 404 and "'full'" in again.json()["message"]
        assert (await client.delete(f"{COMPARE}/hostile")).status_code == 200
    assert [each.name for each in folder.parent.iterdir()] == ["hostile"]
    assert [each.name for each in folder.iterdir()] == ["mine.txt"]


async def test_damaged_reports_stand_in_nobodys_way(app: ASGIApp, home: Path) -> None:
    damaged = {
        "empty": b"",
        "a-list": b"[]",
        "deep": b"[" * 100_000,
        "when": changed(home, created=float("nan")),
        "far": changed(home, created=1e300),
        "huge": changed(home, created=10**400),
        "rows": changed(home, rows=None),
        "new": changed(home, schema_version=99),
        "advice": changed(home, recommendation={"name": 1, "sentence": ["Take it."]}),
    }
    for id, content in damaged.items():
        put(home, id, content)
    put(home, "not-a-number", changed(home, noise_kld_mean=float("nan")))
    async with client_of(app) as client:
        listed = (await client.get(COMPARE)).raise_for_status().json()["data"]
        assert {each["id"] for each in listed} == {"full", "hostile", "new", "advice", "not-a-number"}
        for id in ("empty", "a-list", "deep", "rows", "new"):
            refused = await client.get(f"{COMPARE}/{id}")
            assert refused.status_code == 400 and "This is no report" in refused.json()["message"], id
        found = (await client.get(f"{COMPARE}/not-a-number")).raise_for_status().json()
        assert found["report"]["noise_kld_mean"] is None
        assert (await client.get(f"{COMPARE}/hostile")).raise_for_status().json()["report"]["model"]


def test_what_a_report_may_run() -> None:
    assert policy_of(b"<p>script-src 'unsafe-inline'</p>") == SANDBOX
    assert policy_of(b"script-src 'sha256-abc='; x").endswith("; script-src 'sha256-abc='")
    assert "allow-scripts" in policy_of(b"script-src 'sha256-abc='")
