"""What is compared with what: rows, names, the reference, and what is refused"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ggufrun.commandline.compare_named import model_of
from ggufrun.compare.run.contender import Contender, contenders
from ggufrun.compare.run.plan import best
from ggufrun.errors import InputError, OptionError
from tests.compare.run.comparing import small_plan

pytestmark = pytest.mark.process


def test_rows_are_called_by_their_quant_if_that_tells_them_apart(ladder: dict[str, Path], tmp_path: Path) -> None:
    assert [each.name for each in contenders(list(ladder.values()), tmp_path)] == ["F16", "Q8_0", "Q4_0"]
    copy = tmp_path / "other.gguf"
    copy.write_bytes(ladder["Q8_0"].read_bytes())
    names = [each.name for each in contenders([ladder["Q8_0"], copy], tmp_path)]
    assert names == [ladder["Q8_0"].stem, "other"]
    twice = contenders([copy, copy], tmp_path)
    assert len({each.name for each in twice}) == 2


def test_of_two_models_the_rows_are_called_by_their_files(ladder: dict[str, Path], tmp_path: Path) -> None:
    """ "F16" and "Q4_0" would hide that they are not quants of one model."""
    other = tmp_path / "Tuned-Q4_0.gguf"
    data = ladder["Q4_0"].read_bytes()
    other.write_bytes(data.replace(b"wide-llama-random", b"wide-llama-tuned-"))
    assert other.read_bytes() != data
    found = contenders([ladder["F16"], other], tmp_path)
    assert [each.name for each in found] == [ladder["F16"].stem, "Tuned-Q4_0"]
    plan = small_plan([ladder["F16"], other], tmp_path)
    assert plan.title.endswith(", 2 files")
    assert model_of(found) == f"{found[0].model} and Tuned"


def test_files_of_one_name_are_told_apart_by_their_folders(ladder: dict[str, Path], tmp_path: Path) -> None:
    copies = [tmp_path / folder / "same" / "m-Q8_0.gguf" for folder in ("a", "b")]
    for copy in copies:
        copy.parent.mkdir(parents=True)
        copy.write_bytes(ladder["Q8_0"].read_bytes())
    assert [each.name for each in contenders(copies, tmp_path)] == ["a/same/m-Q8_0", "b/same/m-Q8_0"]
    with pytest.raises(OptionError, match=r"'Q8_0' is 2 of the files.*Give one of: a/same/m-Q8_0, b/same"):
        small_plan(copies, tmp_path, reference="Q8_0")
    assert small_plan(copies, tmp_path, reference="B/same/m-q8_0").rows[0].contender.path == copies[1]


def test_a_contender_knows_its_size_and_its_bits(ladder: dict[str, Path], tmp_path: Path) -> None:
    f16, q8, _ = contenders(list(ladder.values()), tmp_path)
    assert f16.size == ladder["F16"].stat().st_size
    assert 15.5 < f16.bpw <= 17 and 8.4 < q8.bpw < 9
    assert len({f16.sha256, q8.sha256}) == 2


def test_other_weights_under_the_same_header_are_another_model(ladder: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / ladder["Q8_0"].name
    data = bytearray(ladder["Q8_0"].read_bytes())
    data[-1000] ^= 1
    copy.write_bytes(data)
    same, other = contenders([ladder["Q8_0"], copy], tmp_path)
    assert same.sha256 != other.sha256


@pytest.mark.parametrize(
    ("quants", "chosen"),
    [
        (("Q4_K_M", "F16", "BF16", "Q8_0"), "BF16"),
        (("Q4_K_M", "Q8_0", "F16"), "F16"),
        (("Q4_K_M", "Q8_0", "Q6_K"), "Q8_0"),
        (("Q2_K", "Q6_K", "Q4_K_M"), "Q6_K"),
    ],
)
def test_the_reference_is_the_best_that_there_is(quants: tuple[str, ...], chosen: str) -> None:
    sizes = {"Q2_K": 2, "Q4_K_M": 4, "Q6_K": 6, "Q8_0": 8, "F16": 16, "BF16": 16}
    able = [Contender(Path(quant), quant, quant, size=sizes[quant]) for quant in quants]
    assert best(able).quant == chosen


def test_a_reference_that_was_asked_for_counts_and_must_be_there(ladder: dict[str, Path], tmp_path: Path) -> None:
    paths = list(ladder.values())
    plan = small_plan(paths, tmp_path, reference="q4_0")
    assert plan.rows[0].name == "Q4_0"
    assert not plan.chosen
    with pytest.raises(OptionError, match=r"'Q5_K_M' is not compared.*F16, Q8_0, Q4_0"):
        small_plan(paths, tmp_path, reference="Q5_K_M")


def test_one_model_needs_another_kv_cache_to_be_compared(ladder: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nothing to compare"):
        small_plan([ladder["F16"]], tmp_path)
    with pytest.raises(OptionError, match=r"none\.gguf cannot take part"):  # which is why there is one only
        small_plan([ladder["F16"], tmp_path / "none.gguf"], tmp_path)
    plan = small_plan([ladder["F16"]], tmp_path, kv_types=("f16", "q4_0"))
    assert [row.name for row in plan.rows][-1] == "F16 kv q4_0"


def test_nothing_but_broken_files_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "no.gguf"
    path.write_bytes(b"text")
    with pytest.raises(InputError, match="not a GGUF"):
        small_plan([path, tmp_path / "missing.gguf"], tmp_path)


def test_different_vocabularies_are_refused_with_the_reason(
    ladder: dict[str, Path], tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=r"512 and 131,072 tokens"):
        small_plan([ladder["F16"], tiny_model("mistral3-v7")], tmp_path)
    with pytest.raises(OptionError, match=r"different kinds of tokenizer \(gpt2 and llama\)"):
        small_plan([ladder["F16"], tiny_model("spm-mistral-v3")], tmp_path)


def test_one_token_that_is_another_is_enough_to_be_refused(ladder: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    data = ladder["Q8_0"].read_bytes()
    other.write_bytes(data.replace(b"<unk>", b"<UNK>"))
    assert other.read_bytes() != data
    with pytest.raises(OptionError, match="different vocabularies"):
        small_plan([ladder["F16"], other], tmp_path)


def test_an_embedding_model_is_a_row_that_says_so(
    ladder: dict[str, Path], tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    plan = small_plan([ladder["F16"], ladder["Q8_0"], tiny_model("llama-mean-tiny")], tmp_path)
    assert "embeddings" in str(plan.contenders[2].error)
    lost = replace(plan, contenders=plan.contenders[:2]).without_reference("it is broken")
    assert lost.reference.name == "Q8_0"
