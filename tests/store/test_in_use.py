"""Deleting a model over HTTP: not the file that is served, whatever others are called."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.errors import OptionError
from ggufrun.library.local import removed


def test_a_served_file_stays_and_one_of_its_name_elsewhere_does_not(
    tmp_path: Path, tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    file = tmp_path / "models" / "mine.gguf"
    file.parent.mkdir()
    file.write_bytes(tiny_model("llama-tiny").read_bytes())
    (tmp_path / "link").symlink_to(file.parent)
    with pytest.raises(OptionError, match="is served now"):
        removed("mine", {str(tmp_path / "link" / "mine.gguf")})
    assert file.exists()
    assert removed("mine", {str(tmp_path / "other" / "mine.gguf")})["freed_bytes"] > 0
    assert not file.exists()
