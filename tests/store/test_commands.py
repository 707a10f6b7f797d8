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
from ggufrun.library import verifying
from ggufrun.library.verifying import to_verify
from ggufrun.store.checksum import git_sha1_of
from tests.program import run_ggufrun
from tests.store.stores import Stores, model_bytes, shard_bytes
from tests.store.test_places import SMALL, STEM
from tests.warm_program import run_warm


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
    user.hub("a/Left-GGUF", "l-Q4_0.gguf").unlink()
    show_list(as_json=False)
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if SMALL in line)
    assert all(word in row for word in (f"{SMALL}:Q4_K_M", "Hugging Face cache", "mistral-small-3.2"))
    assert (
        "0.0 of 5.2 MB, not whole" in shown
        and "kB, of no model" in shown
        and "mistral:7b" in shown
        and "Ollama" in shown
    )
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
    again = (
        r"ggufrun verify a/Bad-GGUF:Q4_0 --mend deletes bad-Q4_0\.gguf and nothing else; ggufrun pull a/Bad-GGUF:Q4_0"
    )
    with pytest.raises(GgufrunError, match=rf"One model is damaged\. {again} brings bad-Q4_0\.gguf again"):
        verify([])
    lines = capsys.readouterr().out.splitlines()
    assert "a/Good-GGUF:Q4_0: right (sha256)" in lines
    assert any(line.startswith("a/Bad-GGUF:Q4_0: WRONG: the sha256 of bad-Q4_0.gguf is ") for line in lines)
    assert "own-Q4_0: right (header and size; no checksum is known)" in lines
    assert len(lines) == 3  # what other programs have is verified when it is named
    verify(["a/Good-GGUF"])
    assert good.exists()


def test_verify_mends_a_file_alone(user: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged projector of two quants: read once, told with both, deleted by itself."""
    quants = [user.hub("a/B-GGUF", f"b-{quant}.gguf") for quant in ("Q4_0", "Q8_0")]
    projector = user.hub("a/B-GGUF", "mmproj-F16.gguf")
    projector.write_bytes(projector.read_bytes()[:-1] + b"!")
    told = (
        r"verify a/B-GGUF:Q4_0 --mend deletes mmproj-F16\.gguf and nothing else; ggufrun pull a/B-GGUF:Q4_0 brings mm"
    )
    with pytest.raises(GgufrunError, match=told) as caught:
        verify([])
    assert str(caught.value).count("--mend") == 1
    assert projector.exists() and capsys.readouterr().out.count("WRONG: the sha256 of mmproj-F16.gguf is ") == 2
    with pytest.raises(GgufrunError, match=r"damaged\. ggufrun pull a/B-GGUF:Q4_0 brings mmproj-F16\.gguf again\."):
        verify([], mend=True)
    assert not os.path.lexists(projector) and all(quant.exists() for quant in quants)
    assert capsys.readouterr().out.count("Deleted mmproj-F16.gguf of a/B-GGUF") == 1
    verify([])


def test_a_file_that_several_models_share_is_read_once(user: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    for quant in ("Q4_0", "Q8_0"):
        user.hub("a/B-GGUF", f"b-{quant}.gguf")
    user.hub("a/B-GGUF", "mmproj-F16.gguf")
    read = []
    monkeypatch.setattr(verifying, "check", lambda path, *more: read.append(path.name))
    verify([])
    assert sorted(read) == ["b-Q4_0.gguf", "b-Q8_0.gguf", "mmproj-F16.gguf"]


def test_verify_says_what_leads_on_from_each_kind_of_fault(user: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    whole = user.hub("a/B-GGUF", "b-Q4_0.gguf").resolve()
    whole.with_name(f"{'e' * 64}.1234abcd.incomplete").write_bytes(b"x" * 5000)
    user.own("cut-00002-of-00003.gguf", shard_bytes(2, 3))
    user.hub("a/None-GGUF", "n-Q4_0.gguf", b"no GGUF, and what was published")
    user.hub("a/Left-GGUF", "l-Q4_0.gguf").unlink()
    with pytest.raises(GgufrunError, match="a/None-GGUF:Q4_0 is as it was published"):
        verify([])
    lines = capsys.readouterr().out.splitlines()
    assert (
        "a/B-GGUF:part-eeeeeeee: not whole: another program began to fetch it; ggufrun pull a/B-GGUF begins anew"
        in lines
    )
    assert "cut: not whole: files of its split set are missing" in lines
    assert "a/Left-GGUF:left-over: belongs to no model; ggufrun rm a/Left-GGUF:left-over deletes it" in lines


def test_verify_takes_gits_checksums_and_paths(user: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    link = user.hub("a/B-GGUF", "b-Q4_0.gguf")
    blob = link.resolve()
    link.unlink()
    small = blob.replace(blob.with_name(git_sha1_of(blob)))
    link.symlink_to(os.path.relpath(small, link.parent))
    verify([str(link)])
    assert capsys.readouterr().out == "a/B-GGUF:Q4_0: right (git sha1)\n"
    small.write_bytes(small.read_bytes()[:-1] + b"!")
    with pytest.raises(GgufrunError, match="--mend deletes b-Q4_0"):
        verify([str(small)])
    assert "WRONG: the git sha1 of b-Q4_0.gguf is " in capsys.readouterr().out
    other = user.home / "else-Q4_0.gguf"
    other.write_bytes(model_bytes())
    verify([str(other)])
    assert capsys.readouterr().out == f"{other}: right (header and size; no checksum is known)\n"
    with pytest.raises(ModelNotFound):  # over a network, no file is looked at that is in no store
        to_verify([str(other)], user.places)
    other.write_bytes(model_bytes()[:-20])
    with pytest.raises(GgufrunError, match=r"Get .*else-Q4_0\.gguf again"):
        verify([str(other)])
    with pytest.raises(ModelNotFound, match="`ggufrun list`"):
        verify([str(user.home / "zzzz.gguf")])


def test_verify_reads_the_headers_of_what_has_no_checksum(user: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    user.own("cut-Q4_0.gguf", shard_bytes(1, 1)[:-20])
    user.lm_studio("p/R-GGUF/r-Q4_0.gguf", b"not a model")
    with pytest.raises(GgufrunError, match=r"Get .*cut-Q4_0\.gguf again from where it came"):
        verify(["cut-Q4_0"])
    with pytest.raises(GgufrunError, match="in LM Studio"):
        verify(["r-Q4_0"])
    assert "truncated" in capsys.readouterr().out


def test_verify_checks_ollamas_digests_and_passes_over_parts(user: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    blob = user.ollama("registry.ollama.ai/library/mistral/7b")
    user.hub_partial("someone/Begun-GGUF", "begun-Q4_0.gguf", 5 << 20, b"y" * 4096)
    verify(["mistral:7b", "someone/Begun-GGUF"])
    assert "ggufrun pull someone/Begun-GGUF:Q4_0 goes on" in capsys.readouterr().out
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
    assert "Deleted one-Q4_0: 4.3 kB are free again." in capsys.readouterr().out
    with pytest.raises(ModelNotFound):
        rm("one-Q4_0", sure=True)


class Terminal(io.StringIO):
    """Someone who types."""

    def isatty(self) -> bool:
        return True


def test_rm_takes_a_path_of_a_stored_file_and_of_no_other(user: Stores) -> None:
    link, other = user.hub("a/B-GGUF", "b-Q4_0.gguf"), user.home / "else.gguf"
    other.write_bytes(model_bytes())
    with pytest.raises(ModelNotFound, match="none of the stores"):
        rm(str(other), sure=True)
    rm(str(link), sure=True)
    assert other.exists() and not os.path.lexists(link)


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
    for _ in range(2):
        start = time.perf_counter()
        done = started(stores, "list", "--json")
        times.append(time.perf_counter() - start)
    assert len(json.loads(done.stdout)) >= 151
    assert min(times) < 3.0  # 0.5 s on a machine that does nothing else
    assert warm(stores, "path", "model-7-Q4_0").stdout.strip().endswith("model-7-Q4_0.gguf")
    done = warm(stores, "verify", "a/Bad-GGUF")
    assert done.returncode == 1 and "ggufrun: One model is damaged. ggufrun verify a/Bad-GGUF:Q4_0" in done.stderr
    done = warm(stores, "rm", "a/Bad-GGUF", "--yes")
    assert done.returncode == 0 and not wrong.exists()
    done = warm(stores, "rm", "a/Bad-GGUF", "--yes")
    assert done.returncode == 2 and "No model is called 'a/Bad-GGUF'" in done.stderr


def started(stores: Stores, *words: str) -> "subprocess.CompletedProcess[str]":
    return run_ggufrun(*words, environment=os.environ | environment(stores))


def warm(stores: Stores, *words: str) -> "subprocess.CompletedProcess[str]":
    return run_warm(*words, environment=os.environ | environment(stores))
