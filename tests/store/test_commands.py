"""`ggufrun list`, `path`, `verify` and `rm` over stores of an imaginary user, in this process and as commands."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ggufrun.commandline.listing import show_list
from ggufrun.commandline.path import path as show_path
from ggufrun.commandline.rm import rm
from ggufrun.commandline.verify import verify
from ggufrun.errors import GgufrunError, InputError, ModelNotFound, OptionError
from tests.store.stores import Stores, shard_bytes
from tests.store.test_places import SMALL, STEM


@pytest.fixture
def user(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """The stores that the commands look into."""
    for name, value in environment(stores).items():
        monkeypatch.setenv(name, value)
    return stores


def environment(stores: Stores) -> dict[str, str]:
    home = str(stores.home)
    return {"HOME": home, "USERPROFILE": home, "HF_HUB_CACHE": f"{home}/hub", "GGUFRUN_HOME": f"{home}/data"}


def test_list(user: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    user.hub(SMALL, f"{STEM}-Q4_K_M.gguf")
    user.hub_partial("someone/Begun-GGUF", "begun-Q4_0.gguf", 5 << 20, b"y" * 4096)
    user.ollama("registry.ollama.ai/library/mistral/7b")
    user.own("evil\x1b[31m-Q4_0.gguf")
    show_list(as_json=False)
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if SMALL in line)
    assert all(word in row for word in (f"{SMALL}:Q4_K_M", "Hugging Face cache", "mistral-small-3.2"))
    assert "0.0 MB of 5.2 MB, not whole" in shown and "mistral:7b" in shown and "Ollama" in shown
    assert "\x1b" not in shown and "evil?[31m" in shown
    show_list(as_json=True)
    plain = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    small = plain[f"{SMALL}:Q4_K_M"]
    assert (small["quant"], small["card"], small["source"], small["partial"]) == (
        "Q4_K_M", "mistral-small-3.2", "hub", None,
    )  # fmt: skip
    assert Path(small["files"][0]).stat().st_size == small["bytes"]
    assert plain["someone/Begun-GGUF:Q4_0"]["partial"] == {"bytes": 4096, "of": 5 << 20}


def test_path_prints_what_can_be_opened(user: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    link = user.hub(SMALL, f"{STEM}-Q4_K_M.gguf")
    show_path("mistral-small-3.2")
    assert capsys.readouterr().out == f"{link}\n"
    with pytest.raises(InputError, match="ggufrun pull devstral-small-2"):
        show_path("devstral-small-2")


def test_verify_knows_right_from_wrong(user: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = user.hub("a/Good-GGUF", "good-Q4_0.gguf"), user.hub("a/Bad-GGUF", "bad-Q4_0.gguf")
    user.own("own-Q4_0.gguf")
    user.lm_studio("p/R-GGUF/r-Q4_0.gguf")
    blob = bad.resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    with pytest.raises(
        GgufrunError, match=r"One model is damaged\. ggufrun rm a/Bad-GGUF:Q4_0, then ggufrun pull a/Bad-"
    ):
        verify([])
    lines = capsys.readouterr().out.splitlines()
    assert "a/Good-GGUF:Q4_0: right (sha256)" in lines
    assert any(line.startswith("a/Bad-GGUF:Q4_0: WRONG: the sha256 of bad-Q4_0.gguf is ") for line in lines)
    assert "own-Q4_0: right (header and size; no checksum is known)" in lines
    assert len(lines) == 3  # what other programs have is verified when it is named
    verify(["a/Good-GGUF"])
    assert good.exists()


def test_verify_reads_the_headers_of_what_has_no_checksum(user: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    user.own("cut-Q4_0.gguf", shard_bytes(1, 1)[:-20])
    user.lm_studio("p/R-GGUF/r-Q4_0.gguf", b"not a model")
    with pytest.raises(GgufrunError, match="ggufrun rm cut-Q4_0"):
        verify(["cut-Q4_0"])
    with pytest.raises(GgufrunError, match="in LM Studio"):
        verify(["r-Q4_0"])
    assert "truncated" in capsys.readouterr().out


def test_verify_checks_ollamas_digests_and_passes_over_parts(user: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    blob = user.ollama("registry.ollama.ai/library/mistral/7b")
    user.hub_partial("someone/Begun-GGUF", "begun-Q4_0.gguf", 5 << 20, b"y" * 4096)
    verify(["mistral:7b", "someone/Begun-GGUF"])
    assert "goes on" in capsys.readouterr().out
    blob.write_bytes(blob.read_bytes() + b"!")
    with pytest.raises(GgufrunError, match="ollama pull mistral:7b"):
        verify(["mistral:7b"])
    with pytest.raises(ModelNotFound, match="mistral:7b"):
        verify(["mistral:8b"])


def test_rm_asks_and_says_what_is_free(
    user: Stores, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = user.own("one-Q4_0.gguf")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(OptionError, match="--yes"):
        rm("one-Q4_0", sure=False)
    for answer, goes in (("\n", False), ("n\n", False), ("y\n", True)):
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        if goes:
            rm("one-Q4_0", sure=False)
        else:
            with pytest.raises(InputError, match="Nothing was deleted"):
                rm("one-Q4_0", sure=False)
        assert file.exists() is not goes
    assert "Deleted one-Q4_0: 0.0 MB are free again." in capsys.readouterr().out
    with pytest.raises(ModelNotFound):
        rm("one-Q4_0", sure=True)


class Terminal(io.StringIO):
    """Someone who types."""

    def isatty(self) -> bool:
        return True


def test_rm_takes_the_hubs_own_lock(user: Stores) -> None:
    from filelock import FileLock

    link = user.hub("a/B-GGUF", "b-Q4_0.gguf")
    lock = user.home / "hub" / ".locks" / "models--a--B-GGUF" / f"{link.readlink().name}.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(InputError, match="is being fetched now"):
        rm("a/B-GGUF", sure=True)
    assert link.exists()
    rm("a/B-GGUF", sure=True)
    assert not os.path.lexists(link)


@pytest.mark.process
def test_the_commands_and_how_long_a_list_of_many_takes(stores: Stores) -> None:
    for number in range(150):
        stores.hub(f"someone/Model-{number}-GGUF", f"model-{number}-Q4_0.gguf")
    wrong = stores.hub("a/Bad-GGUF", "bad-Q4_0.gguf").resolve()
    wrong.write_bytes(b"x" * wrong.stat().st_size)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = ggufrun(stores, "list", "--json")
        times.append(time.perf_counter() - start)
    assert len(json.loads(done.stdout)) >= 151
    assert min(times) < 3.0  # 0.5 s on a machine that does nothing else
    assert ggufrun(stores, "path", "model-7-Q4_0").stdout.strip().endswith("model-7-Q4_0.gguf")
    done = ggufrun(stores, "verify", "a/Bad-GGUF")
    assert done.returncode == 1 and "ggufrun: One model is damaged. ggufrun rm a/Bad-GGUF:Q4_0" in done.stderr
    done = ggufrun(stores, "rm", "a/Bad-GGUF", "--yes")
    assert done.returncode == 0 and not wrong.exists()
    done = ggufrun(stores, "rm", "a/Bad-GGUF", "--yes")
    assert done.returncode == 2 and "No model is called 'a/Bad-GGUF'" in done.stderr


def ggufrun(stores: Stores, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ggufrun", *words]
    return subprocess.run(
        command, env=os.environ | environment(stores), capture_output=True, text=True, timeout=60, check=False
    )
