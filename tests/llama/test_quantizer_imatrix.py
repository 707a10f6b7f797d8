"""Importance matrices: both formats say the same, they change what is made, and what does not fit is refused"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ggufrun.errors import InputError, ModelFileError
from ggufrun.quantizing.ladder import Rung
from ggufrun.quantizing.making import make, plan
from ggufrun.quantizing.process import Quantizer
from ggufrun.weights.header import Header, read_header
from ggufrun.weights.imatrix import Imatrix, read_imatrix
from tests.llama.quantizable import NEEDY, made, matrices, wanted, write_dat, write_imatrix, write_wide


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wide(tmp_path_factory.mktemp("wide") / "wide-F16.gguf")


@pytest.fixture(scope="module")
def matrix(wide: Path) -> Imatrix:
    return read_imatrix(write_imatrix(wide.with_name("imatrix.gguf"), matrices(wide)))


def data_of(header: Header) -> bytes:
    return header.path.read_bytes()[header.data_offset :]


def test_both_formats_say_the_same(wide: Path, matrix: Imatrix, tmp_path: Path) -> None:
    older = read_imatrix(write_dat(tmp_path / "imatrix.dat", matrices(wide)))
    for found in (matrix, older):
        assert (found.chunks, found.datasets) == (7, ("/somewhere/calibration.txt",))
        assert found.entries.keys() == matrices(wide).keys()
        for name, values in matrices(wide).items():
            np.testing.assert_allclose(found.entries[name], values, rtol=1e-6)


def test_an_expert_that_saw_nothing_weighs_all_alike(tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "experts.gguf", "llama")
    writer.add_type("imatrix")
    writer.add_tensor("blk.0.ffn_up_exps.weight.in_sum2", np.array([[8, 4], [5, 5]], np.float32))
    writer.add_tensor("blk.0.ffn_up_exps.weight.counts", np.array([[4], [0]], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_imatrix(tmp_path / "experts.gguf")
    assert found.entries["blk.0.ffn_up_exps.weight"].tolist() == [2, 1, 1, 1]
    assert (found.chunks, found.datasets) == (0, ())


@pytest.mark.process
def test_it_changes_what_is_made_and_is_told_in_the_file(wide: Path, matrix: Imatrix, tmp_path: Path) -> None:
    """And the sizes are known with it, too: the file says where its matrix came from."""
    older = read_imatrix(write_dat(tmp_path / "older.dat", matrices(wide)))
    (plain,) = made(wanted(wide, "Q4_K_M", tmp_path / "plain"))
    (with_it,) = made(wanted(wide, "Q4_K_M", tmp_path / "with", matrix))
    (with_older,) = made(wanted(wide, "Q4_K_M", tmp_path / "older", older))
    headers = [read_header(rung.path) for rung in (plain, with_it, with_older)]
    assert data_of(headers[0]) != data_of(headers[1]) == data_of(headers[2])
    told = {key: value for key, value in headers[1].metadata.items() if key.startswith("quantize.imatrix.")}
    assert told == {
        "quantize.imatrix.file": "imatrix.gguf",
        "quantize.imatrix.dataset": "calibration.txt",
        "quantize.imatrix.entries_count": len(matrix.entries),
        "quantize.imatrix.chunks_count": 7,
    }
    with Quantizer() as quantizer:
        (planned,) = plan(wanted(wide, "Q4_K_M", tmp_path / "again", matrix), quantizer)
        assert planned.bytes == with_it.path.stat().st_size
        requantized = wanted(with_it.path, "Q8_0", tmp_path, older)
        (planned,) = plan(requantized, quantizer)  # the keys are there already, and other strings come into them
        assert planned.bytes == make(requantized, planned, quantizer, lambda _: None).bytes


@pytest.mark.process
def test_the_lowest_kinds_need_one(wide: Path, matrix: Imatrix, tmp_path: Path) -> None:
    kinds = "IQ1_M,IQ2_XXS,IQ2_M,IQ3_XXS,Q2_K_S,Q2_K,IQ3_S"

    def needing(rungs: Sequence[Rung]) -> set[str]:
        return {rung.kind.name for rung in rungs if rung.needs_imatrix}

    with Quantizer() as quantizer:
        without, with_it = (plan(wanted(wide, kinds, tmp_path, each), quantizer) for each in (None, matrix))
    assert needing(without) == {"IQ1_M", "IQ2_XXS", "IQ2_M", "IQ3_XXS", "Q2_K_S"} and not needing(with_it)
    for rung in made(wanted(wide, "IQ2_XXS,Q2_K_S", tmp_path, matrix)):
        assert rung.bytes == rung.path.stat().st_size < wide.stat().st_size / 3
    with Quantizer() as quantizer, pytest.raises(InputError, match=r"IQ2_XXS needs .* each tensor.*blk.0.attn_q"):
        lacking = {name: values for name, values in matrix.entries.items() if name != "blk.0.attn_q.weight"}
        plan(wanted(wide, "IQ2_XXS", tmp_path, replace(matrix, entries=lacking)), quantizer)


@pytest.mark.process
@pytest.mark.slow  # IQ1_S and IQ1_M alone take ten seconds each
def test_sizes_of_all_that_need_one_are_known_to_the_byte_before(wide: Path, matrix: Imatrix, tmp_path: Path) -> None:
    what = wanted(wide, ",".join(sorted(NEEDY)), tmp_path, matrix)
    with Quantizer() as quantizer:
        planned = plan(what, quantizer)
    assert [rung.bytes for rung in planned] == [rung.path.stat().st_size for rung in made(what)]


@pytest.mark.process
def test_another_models_matrix_is_refused(wide: Path, matrix: Imatrix, tmp_path: Path) -> None:
    name = "blk.1.ffn_down.weight"
    short = replace(matrix, entries={**matrix.entries, name: matrix.entries[name][:256]})
    foreign = replace(matrix, entries={f"model.{key}": value for key, value in matrix.entries.items()})
    with Quantizer() as quantizer:
        with pytest.raises(ModelFileError, match=f"256 values for {name}, which has 512 columns"):
            plan(wanted(wide, "Q4_K_M", tmp_path, short), quantizer)
        with pytest.raises(ModelFileError, match="none of its entries is a tensor of this model"):
            plan(wanted(wide, "Q4_K_M", tmp_path, foreign), quantizer)


def test_files_that_are_no_matrix(wide: Path, tmp_path: Path) -> None:
    entries = {"blk.0.attn_q.weight": np.ones(256, np.float32)}
    dat = write_dat(tmp_path / "whole.dat", entries).read_bytes()
    files = {
        "empty.dat": (b"", "it ends too early"),
        "text.dat": (b"# A heading\n\nand a text", "no importance matrix"),
        "cut.dat": (dat[:600], "claims 256 values"),
        "random.dat": (np.random.default_rng(1).bytes(5000), "no importance matrix"),
        "model.gguf": (wide.read_bytes(), "of the type 'model', not an importance matrix"),
        "nan.dat": (write_dat(tmp_path / "x", {"a": np.array([np.nan], np.float32)}).read_bytes(), "not finite"),
        "negative.dat": (write_dat(tmp_path / "x", {"a": np.array([-1], np.float32)}).read_bytes(), "negative"),
    }
    for name, (data, words) in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelFileError, match=words):
            read_imatrix(tmp_path / name)
    with pytest.raises(ModelFileError, match="no such file"):
        read_imatrix(tmp_path / "none.dat")
    half = write_imatrix(tmp_path / "half.gguf", entries)
    half.write_bytes(half.read_bytes().replace(b".counts", b".kounts"))
    with pytest.raises(ModelFileError, match=r"has sums of .* and no counts"):
        read_imatrix(half)
