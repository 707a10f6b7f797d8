"""Quantizing with llama.cpp: sizes that are known before, files that load, and what is refused"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ggufrun.errors import InputError, ModelFileError, OptionError
from ggufrun.llama.backend import LlamaBackend
from ggufrun.quantizing.kinds import KINDS, kinds_of
from ggufrun.quantizing.ladder import Rung, Source, State
from ggufrun.quantizing.making import check, make, plan, stem_of
from ggufrun.quantizing.process import Quantizer
from ggufrun.settings import EngineSettings, ModelSettings
from ggufrun.weights.header import read_header
from ggufrun.weights.quants import quant_of
from ggufrun.weights.split_set import read_set
from tests.llama.quantizable import NEEDY, made, wanted, write_wide
from tests.llama.steps import feed


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wide(tmp_path_factory.mktemp("wide") / "wide-F16.gguf")


@pytest.mark.process
def test_sizes_are_known_to_the_byte_before(wide: Path, tmp_path: Path) -> None:
    """Of all kinds: a type whose size is not known, or a rule of llama.cpp's that has changed, shows here."""
    what = wanted(wide, ",".join(name for name in KINDS if name not in NEEDY), tmp_path)
    with Quantizer() as quantizer:
        planned = plan(what, quantizer)
        assert not list(tmp_path.iterdir())
        for rung in planned:
            whole = make(what, rung, quantizer, lambda _: None)
            header = read_header(rung.path)
            assert (rung.bytes, whole.bytes) == (rung.path.stat().st_size,) * 2, rung.kind.name
            assert rung.weights == sum(tensor.size or 0 for tensor in header.tensors), rung.kind.name
            assert quant_of(Path("x.gguf"), header) == rung.kind.name
            assert (rung.state, whole.state) == (State.PLANNED, State.MADE)
    assert {path.name for path in tmp_path.iterdir()} == {f"wide-{kind.name}.gguf" for kind in what.kinds}


@pytest.mark.process
def test_what_is_made_computes_nearly_the_same(wide: Path, tmp_path: Path) -> None:
    def logits(path: Path) -> np.ndarray:
        settings = ModelSettings(path, context=64, threads=1)
        backend = LlamaBackend.load(settings, EngineSettings(parallel=1, cached_sequences=0))
        try:
            return feed(backend, 0, list(range(100, 140)))
        finally:
            backend.close()

    true, distances = logits(wide), []
    for rung in made(wanted(wide, "Q8_0,Q6_K,Q4_K_M,Q2_K", tmp_path)):
        found = logits(rung.path)
        assert np.isfinite(found).all()
        distances.append(float(np.abs(found - true).mean()))
    assert distances == sorted(distances) and 0 < distances[0] < 0.1 * float(true.std())


@pytest.mark.process
def test_rows_that_do_not_fit_fall_back(wide: Path, tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    narrow = tiny_model("llama-tiny")  # its rows have 64 and 128 elements
    (rung,) = made(wanted(narrow, "Q4_K_M", tmp_path))
    types = [tensor.type_name for tensor in read_header(rung.path).tensors if tensor.name != "output.weight"]
    assert rung.fallbacks == {"Q5_0": types.count("Q5_0"), "Q8_0": types.count("Q8_0")}
    assert rung.fell_back == 15 and "Q4_K" not in types
    (rung,) = made(wanted(wide, "Q4_K_M", tmp_path))
    assert rung.fell_back == 0 and rung.tensors == len(types) + 1


@pytest.mark.process
def test_a_split_set_becomes_one_file(wide: Path, tmp_path: Path) -> None:
    first = write_wide(tmp_path / "wide-F16.gguf", tensors_a_file=9)
    assert first.name == "wide-F16-00001-of-00003.gguf"
    second = first.with_name("wide-F16-00002-of-00003.gguf")
    whole, split, same = tmp_path / "whole", tmp_path / "split", tmp_path / "same"
    (alone,) = made(wanted(wide, "Q8_0", whole))
    (joined,) = made(wanted(second, "Q8_0", split))
    assert joined.path.name == "wide-Q8_0.gguf"
    assert joined.bytes == joined.path.stat().st_size == plan_size(second, same)
    ours, theirs = read_header(joined.path), read_header(alone.path)
    assert ours.split_count == 1 and "split.no" not in ours.metadata
    assert {tensor.name: tensor.size for tensor in ours.tensors} == {each.name: each.size for each in theirs.tensors}
    second.unlink()
    with pytest.raises(ModelFileError, match="1 of the 3 files of this split set are missing"):
        wanted(first, "Q8_0", split)


def plan_size(path: Path, folder: Path) -> int:
    with Quantizer() as quantizer:
        return plan(wanted(path, "Q8_0", folder), quantizer)[0].bytes


@pytest.mark.process
def test_what_is_there_is_kept_and_never_the_source(wide: Path, tmp_path: Path) -> None:
    what = wanted(wide, "Q8_0", tmp_path)
    (tmp_path / "wide-Q8_0.gguf").write_bytes(b"something else")
    with Quantizer() as quantizer:
        (rung,) = plan(what, quantizer)
        assert (rung.state, rung.bytes) == (State.KEPT, 14)
        (rung,) = plan(replace(what, force=True), quantizer)
        assert rung.state is State.PLANNED
        copy = tmp_path / "wide-F16.gguf"
        shutil.copy(wide, copy)
        with pytest.raises(OptionError, match="written over itself"):
            plan(replace(wanted(copy, "Q8_0,F16", tmp_path), force=True), quantizer)
        for folder in (copy, copy / "below"):
            with pytest.raises(OptionError, match=f"{copy.name} is no folder"):
                plan(replace(what, folder=folder), quantizer)
        (tmp_path / "wide-Q6_K.gguf").mkdir()
        with pytest.raises(OptionError, match=r"wide-Q6_K.gguf is there, and is no file"):
            plan(wanted(wide, "Q6_K", tmp_path), quantizer)
    made(replace(what, force=True))
    assert read_header(tmp_path / "wide-Q8_0.gguf").tensors


@pytest.mark.process
def test_a_folder_that_takes_no_file_says_why(wide: Path, tmp_path: Path) -> None:
    """Here a name that has no room for what marks it as half written; as well with rights, or a disk that is read."""
    with pytest.raises(InputError, match=r"Nothing can be written in .*: File name too long\..*another folder"):
        made(replace(wanted(wide, "Q8_0", tmp_path), source=Source(read_set(wide), "w" * 240)))
    assert not list(tmp_path.iterdir())


@pytest.mark.process
def test_what_llama_cpp_refuses(wide: Path, tmp_path: Path) -> None:
    """Our own reader takes any architecture."""
    foreign = tmp_path / "foreign-F16.gguf"
    foreign.write_bytes(wide.read_bytes().replace(b"llama", b"lluma"))
    with Quantizer() as quantizer:
        with pytest.raises(ModelFileError, match="cannot quantize it: unknown model architecture: 'lluma'"):
            plan(wanted(foreign, "Q8_0", tmp_path), quantizer)
        (rung,) = plan(wanted(wide, "Q8_0", tmp_path), quantizer)  # the process goes on
        assert rung.bytes


def test_without_room_nothing_is_begun(tmp_path: Path) -> None:
    kind = KINDS["Q8_0"]
    much = shutil.disk_usage(tmp_path).free + 10**12
    rung = Rung(kind, tmp_path / "x.gguf", State.PLANNED, much, much, 1, {})
    folder = tmp_path / "not" / "yet"
    with pytest.raises(InputError, match=r"free, and .* are to be written.*another disk"):
        check([rung], folder)
    check([replace(rung, state=State.KEPT)], folder)
    with pytest.raises(InputError, match=r"Q8_0 needs an importance matrix.*--imatrix"):
        check([replace(rung, bytes=1, needs_imatrix=True)], folder)


def test_names_without_their_quant() -> None:
    for name, stem in {
        "Smol-135M.Q4_1.gguf": "Smol-135M",
        "Ministral-3-8B-Instruct-2512-BF16.gguf": "Ministral-3-8B-Instruct-2512",
        "a-UD-Q4_K_XL-00001-of-00003.gguf": "a",
        "q8_0-tuned-f16.gguf": "q8_0-tuned",
        "Plain 7B.gguf": "Plain 7B",
        "model-Q4_K_M-imat.gguf": "model-imat",
        "F16.gguf": "",
    }.items():
        assert stem_of(Path(name)) == stem, name


def test_kinds_are_named_as_people_name_them() -> None:
    assert [kind.name for kind in kinds_of("q8_0, Q4_K,,Q4_K_M,bf16")] == ["Q8_0", "Q4_K_M", "BF16"]
    assert KINDS["Q4_K_M"].file_type == 15 and KINDS["F32"].file_type == 0
    with pytest.raises(OptionError, match=r"no 'Q4_L'.*There are F32, F16, Q4_0"):
        kinds_of("Q8_0,Q4_L")
    with pytest.raises(OptionError, match="maker's own"):
        kinds_of("UD-Q4_K_XL")
    with pytest.raises(OptionError, match="names no quant"):
        kinds_of(" , ")
