"""Making the add-on: which files are taken, and what is said where it cannot be made. Made for real: the fixture."""

import tarfile
from pathlib import Path

import pytest

from ggufrun.errors import EngineError, OptionError
from ggufrun.llama import rpc_library
from ggufrun.rpc import building, source
from tests.rpc.lent import source_of

TAKEN = {
    *("include/ggml.h", "include/ggml-rpc.h", "src/ggml-impl.h"),
    *("src/ggml-rpc/ggml-rpc.cpp", "src/ggml-rpc/transport.cpp", "src/ggml-rpc/transport.h"),
}


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without an add-on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if rpc_library.is_built_in():
        pytest.skip("this llama.cpp has RPC of its own")
    return tmp_path


def test_only_the_needed_files_are_taken(tmp_path: Path) -> None:
    given = source_of(tmp_path / "llama_cpp_python-9")
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(given, given.name)
    for number, where in enumerate((given, given / "vendor/llama.cpp", archive)):
        assert names(source.take(where, tmp_path / str(number))) == TAKEN


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.tar.gz").write_bytes(b"no archive")
    for given, words in ((tmp_path / "empty", "has no ggml-rpc.cpp"), (tmp_path / "no.tar.gz", "cannot be read")):
        with pytest.raises(OptionError, match=words):
            source.take(given, tmp_path / "into")


def test_without_a_compiler_a_line_says_how_to_get_one(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(elsewhere))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(OptionError, match="no C\\+\\+ compiler") as refused:
        building.build(source_of(elsewhere / "source"))
    assert refused.value.hint.startswith("First: ")


@pytest.mark.process
def test_source_that_does_not_compile_leaves_nothing(elsewhere: Path) -> None:
    try:
        building.compiler_here()
    except OptionError as error:
        pytest.skip(str(error))
    with pytest.raises(EngineError, match=r"does not compile: .*error"):
        building.build(source_of(elsewhere / "source"))
    assert not list((elsewhere / "cache").rglob("*.*")) and not rpc_library.is_there()


def test_without_the_add_on_the_next_step_is_said(elsewhere: Path) -> None:
    with pytest.raises(OptionError, match="built without RPC") as refused:
        rpc_library.protocol()
    assert "ggufrun rpc-build" in refused.value.hint


def test_it_is_made_once(addon: Path | None) -> None:
    assert building.build() == building.Built(addon)
    assert addon is None or rpc_library.protocol() is not None
