"""Bad command lines: each is one line that says what to do, and exit code 2. Nothing is loaded for any of them."""

import io
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

from ggufrun.cli import main
from ggufrun.commandline.flags import AskFlags, EngineFlags, LoadFlags
from ggufrun.commandline.values import lora, split_devices, split_overrides, tensor_split
from ggufrun.errors import ModelFileError, OptionError
from ggufrun.settings import EngineOverrides, EngineSettings, LoraSpec, ModelOverrides, ModelSettings
from ggufrun.terminal.options import chat_options

BAD = [
    ["nonsense"],
    ["--nonsense"],
    ["run"],
    ["--port", "1", "list"],
    ["--no-browser", "serve", "m"],
    ["--api", "example.org"],
    ["page", "--api", "example.org"],
    ["page", "--port", "70000"],
    ["serve", "m", "--port", "70000"],
    ["serve", "m", "--parallel", "0"],
    ["serve", "m", "--max-queue", "-1"],
    ["run", "m", "two", "words"],
    ["run", "m", "-x"],
    ["run", "m", "hi", "--temprature", "1"],
    ["run", "m", "hi", "--temperature"],
    ["run", "m", "hi", "--temperature", "hot"],
    ["run", "m", "hi", "--temperature", "2.5"],
    ["run", "m", "hi", "--top-p", "nan"],
    ["run", "m", "hi", "--seed", "-1"],
    ["run", "m", "hi", "--max-tokens", "0"],
    ["run", "m", "hi", "--stop", ""],
    ["run", "m", "hi", "--reasoning-effort", "huge"],
    ["run", "m", "hi", "--kv-type", "q5"],
    ["run", "m", "hi", "--kv-type", "q8_0", "--flash-attn", "off"],
    ["run", "m", "hi", "--context", "4"],
    ["run", "m", "hi", "--context", "many"],
    ["run", "m", "hi", "--threads", "0"],
    ["run", "m", "hi", "--gpu-layers", "all"],
    ["run", "m", "hi", "--gpu-layers", "-1"],
    ["run", "m", "hi", "--tensor-split", "a,b"],
    ["run", "m", "hi", "--override-tensor", "exps"],
    ["run", "m", "hi", "--device", "CUDA0,"],
    ["run", "m", "hi", "--lora", "missing.gguf:0.5"],
    ["run", "m", "hi", "--chat-template", "missing.jinja"],
    ["run", "m", "hi", "--json-schema", "missing.json"],
    ["run", "m", "hi", "--grammar", "missing.gbnf"],
    ["run", "m", "hi", "--regex", "a", "--grammar", "b"],
    ["run", "m", "hi", "--regex", ""],
    ["run", "m", ""],
    ["run", "m"],  # standard input is empty
]


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_bad_input(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ggufrun: ") and err.count("\n") == 1 and len(err) > 30


def test_in_a_process_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-m", "ggufrun.cli", "run", "m", "-5"], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"goes after --" in done.stderr and done.stderr.count(b"\n") == 1


def test_help_is_light_and_complete() -> None:
    code = "import sys; from ggufrun.cli import main; main(['run', '--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    for flag in ("--json-schema", "--min-p", "--gpu-layers", "--override-tensor", "--no-mmap", "--repetition-penalty"):
        assert flag in done.stdout
    assert not {"ggufrun.chat.types", "numpy", "llama_cpp", "prompt_toolkit", "fastapi"} & set(done.stderr.split())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ggufrun ")


def test_flags_become_settings(tmp_path: Path) -> None:
    adapter = tmp_path / "a.gguf"
    adapter.write_bytes(b"")
    flags = LoadFlags(
        context="2k", gpu_layers="7", kv_type="q8_0", no_mmap=True, device=["CUDA0,CUDA1"], tensor_split="3,1",
        override_tensor=["a=CPU,b=CPU"], lora=[f"{adapter}:0.5"],
    )  # fmt: skip
    assert flags.overrides() == {
        "context": 2048,
        "gpu_layers": 7,
        "kv_type": "q8_0",
        "mmap": False,
        "devices": ("CUDA0", "CUDA1"),
        "tensor_split": (3.0, 1.0),
        "override_tensors": ("a=CPU", "b=CPU"),
        "loras": (LoraSpec(adapter, 0.5),),
    }
    assert LoadFlags().overrides() == {}
    assert chat_options(AskFlags(stop=["a", "b"], seed=3).sampling()).stop == ("a", "b")
    assert EngineFlags(parallel=3, no_drafting=True).overrides() == {"parallel": 3, "drafting": False}
    assert EngineFlags(no_disk_cache=True).overrides() == {"disk_cache": None}


def test_overrides_name_the_fields_of_the_settings() -> None:
    settings = get_type_hints(ModelSettings)
    settings.pop("path")
    assert get_type_hints(ModelOverrides) == settings
    assert get_type_hints(EngineOverrides) == get_type_hints(EngineSettings)


def test_lora_files_and_scales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.gguf", "b.gguf:2", "C:0.5"):
        Path(name).write_bytes(b"")
    assert lora("a.gguf") == LoraSpec(Path("a.gguf"))
    assert lora("a.gguf:0.25") == LoraSpec(Path("a.gguf"), 0.25)
    assert lora("b.gguf:2") == LoraSpec(Path("b.gguf:2"))  # a file of the whole name comes first
    assert lora("b.gguf:2:3") == LoraSpec(Path("b.gguf:2"), 3.0)
    assert lora("C:0.5") == LoraSpec(Path("C:0.5"))
    for bad in ("D:0.5", "missing", ".", "a.gguf:much"):
        with pytest.raises(ModelFileError):
            lora(bad)
    with pytest.raises(OptionError, match="scale"):
        lora("a.gguf:nan")


def test_lists_with_commas() -> None:
    assert split_devices(["CUDA0", "CUDA1,CPU"]) == ("CUDA0", "CUDA1", "CPU")
    assert split_overrides([r"blk\.[0-9]{1,2}=CPU"]) == (r"blk\.[0-9]{1,2}=CPU",)
    assert tensor_split("1") == (1.0,)
    for bad in ("", "1,,2", "-1,2", "0,0", "inf,1"):
        with pytest.raises(OptionError):
            tensor_split(bad)
