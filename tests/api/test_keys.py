"""Keys in their database: made, found, revoked, by several processes at once, and never readable there."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ggufrun.errors import OptionError
from ggufrun.records.database import MIGRATIONS, connect
from ggufrun.records.keys import KeyStore

pytestmark = pytest.mark.process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ggufrun.db"


def test_a_key_is_found_by_its_secret_only(path: Path) -> None:
    store = KeyStore(path)
    assert not store.any() and store.find("gr-x") is None and store.find("") is None
    secret = store.add("ci", "admin", 500, ["demo", "other"])
    assert secret.startswith("gr-") and len(secret) == 46
    found = store.find(secret)
    assert found is not None and found == store.listed()[0] and abs(found.created - time.time()) < 60
    assert (found.name, found.scope, found.tokens_per_day, found.models) == ("ci", "admin", 500, ("demo", "other"))
    for wrong in (secret[:-1], secret + "a", secret.upper(), "", "ci", "gr-Ä\udcff"):
        assert store.find(wrong) is None
    store.close()
    assert KeyStore(path).find(secret) == found


def test_revoked_keys_are_refused_and_still_make_keys_necessary(path: Path) -> None:
    store = KeyStore(path)
    first, second = store.add("a"), store.add("b")
    assert [store.revoke(name).name for name in ("a", "b")] == ["a", "b"]
    assert store.find(first) is None and store.find(second) is None and store.listed() == []
    assert store.any()
    with pytest.raises(OptionError, match="no key called 'a'"):
        store.revoke("a")
    again = store.add("a")
    assert store.find(again) and not store.find(first)
    assert store.clear() == 1 and not store.any() and not store.find(again)


def test_names_and_limits_are_checked(path: Path) -> None:
    store = KeyStore(path)
    store.add("a")
    with pytest.raises(OptionError, match="There is a key called 'a'"):
        store.add("a")
    for name in ("", "-a", "a b", "a\n", "é", "a" * 65, "../a", "a,b"):
        with pytest.raises(OptionError, match="cannot be called"):
            store.add(name)
    for tokens in (0, -1, 2**63):
        with pytest.raises(OptionError, match="tokens_per_day"):
            store.add("b", tokens_per_day=tokens)
    with pytest.raises(OptionError, match="scope"):
        store.add("b", "root")  # type: ignore[arg-type]
    assert [key.name for key in store.listed()] == ["a"]


def test_no_secret_is_in_the_files_and_nobody_else_may_read_them(path: Path) -> None:
    store = KeyStore(path)
    secrets = [store.add(f"k{n}") for n in range(3)]
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"ggufrun.db", "ggufrun.db-wal", "ggufrun.db-shm"}
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        data = file.read_bytes()
        assert not any(secret.encode() in data or secret[3:].encode() in data for secret in secrets), file


def test_a_store_sees_what_another_process_does(path: Path) -> None:
    store = KeyStore(path)
    code = "import sys; from pathlib import Path; from ggufrun.records.keys import KeyStore\n"
    made = subprocess.run(
        [sys.executable, "-c", code + f"print(KeyStore(Path({str(path)!r})).add('other'))"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout.strip()  # fmt: skip
    assert store.any() and store.find(made)
    subprocess.run(
        [sys.executable, "-c", code + f"KeyStore(Path({str(path)!r})).revoke('other')"], timeout=60, check=True
    )
    assert store.find(made) is None


def test_looking_for_changes_is_cheap(path: Path) -> None:
    store = KeyStore(path)
    secret = store.add("a")
    best = min(_seconds(store, secret) for _ in range(5))
    assert best / 100 < 0.001  # some 15 microseconds


def _seconds(store: KeyStore, secret: str) -> float:
    start = time.perf_counter()
    for _ in range(100):
        store.find(secret)
    return time.perf_counter() - start


def test_processes_that_open_a_new_file_together_do_not_disturb_each_other(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ggufrun.records.keys import KeyStore\n"
        "sys.stdin.read(1); store = KeyStore(Path(sys.argv[1]))\n"
        "for n in range(5): store.add(f'{sys.argv[2]}-{n}')"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), f"p{n}"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for n in range(4)
    ]
    time.sleep(0.5)
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in running]
    assert all(process.returncode == 0 for process in running), ended
    assert len(KeyStore(path).listed()) == 20


def test_switching_to_wal_waits_for_a_writer(path: Path) -> None:
    """SQLite's own busy timeout does not cover it."""
    path.parent.mkdir()
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for statement in ("CREATE TABLE other (x)", "BEGIN IMMEDIATE", "INSERT INTO other VALUES (1)"):
        writer.execute(statement)
    ending = threading.Timer(0.2, writer.execute, ["COMMIT"])
    ending.start()
    assert connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ending.join()


def test_a_file_that_is_no_database_or_too_new_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("hello " * 1000)
    with pytest.raises(OptionError, match=r"text\.db.*Move it away"):
        connect(tmp_path / "text.db")
    with pytest.raises(OptionError, match=r"cannot be opened.*GGUFRUN_HOME"):
        connect(tmp_path / "text.db" / "inside.db")
    newer = connect(tmp_path / "newer.db")
    newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    newer.close()
    with pytest.raises(OptionError, match="newer ggufrun"):
        connect(tmp_path / "newer.db")


def test_an_older_file_gets_what_it_lacks(path: Path) -> None:
    path.parent.mkdir()
    old = sqlite3.connect(path)
    old.execute(MIGRATIONS[0])
    old.execute("PRAGMA user_version = 1")
    old.execute("INSERT INTO keys VALUES ('a', 'd', 'chat', NULL, '[]', 1.0, NULL)")
    old.commit()
    old.close()
    os.chmod(path, 0o600)
    assert [key.name for key in KeyStore(path).listed()] == ["a"]
    version = connect(path).execute("PRAGMA user_version").fetchone()[0]
    assert version == len(MIGRATIONS)
