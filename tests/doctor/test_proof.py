"""Whether a GPU is really used is judged by numbers; those of the processor are measured here."""

import signal
import sys
from pathlib import Path

import pytest

from ggufrun.doctor.asking import ChildFailed, ask
from ggufrun.doctor.proof import Measurement, Proof, failed_proof, judge_proof, prove
from ggufrun.doctor.proving import measured
from ggufrun.doctor.trial_model import write_trial_model
from ggufrun.errors import EngineError
from ggufrun.settings import ModelSettings
from ggufrun.weights.header import read_header

GB = 1 << 30
NONE: dict[str, int] = {}
ON_CPU = Measurement(GB, NONE, NONE, NONE, prompt_tok_s=500, tok_s=50)


def on_gpu(taken: int, tok_s: float, prompt_tok_s: float = 500) -> Proof:
    free = {"CUDA0": 20 * GB}
    return Proof("The demo model", ON_CPU, Measurement(GB, free, {"CUDA0": 20 * GB - taken}, free, prompt_tok_s, tok_s))


@pytest.mark.parametrize(
    ("proof", "level", "words"),
    [
        (on_gpu(GB + GB // 4, 400), "ok", "The GPU is used"),
        (on_gpu(0, 400), "fault", "The GPU is not used"),
        (on_gpu(GB // 4, 50), "fault", "The GPU is not used"),
        (on_gpu(GB, 50), "warning", "hardly faster"),
        (on_gpu(GB, 45, prompt_tok_s=5000), "ok", "The GPU is used"),
        (Proof("The demo model", ON_CPU, None), "ok", "Measured on the processor"),
    ],
)
def test_judged(proof: Proof, level: str, words: str) -> None:
    finding = judge_proof(proof)
    assert (finding.level, words in finding.says) == (level, True)


def test_a_model_that_fails_is_a_fault() -> None:
    assert failed_proof(EngineError("It crashed.", "Mend it.")).level == "fault"


@pytest.mark.process
@pytest.mark.slow  # `ggufrun doctor --json` shows it, too: see test_doctor_command.py
def test_measured_here() -> None:
    proof = prove(gpu=False)
    assert proof.gpu is None
    assert proof.cpu.tok_s > 0  # a busy machine may be as slow as it likes
    assert proof.cpu.prompt_tok_s > 0
    assert proof.cpu.weights > 50e6


@pytest.mark.process
def test_the_model_that_is_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "trial.gguf"
    write_trial_model(path)
    assert read_header(path).parameters * 2 > 50e6
    assert measured(ModelSettings(path, context=512, gpu_layers=0, mmap=False))["tok_s"] > 0


@pytest.mark.process
class TestAsked:
    def test_the_last_line_is_the_answer(self) -> None:
        assert ask("tests.doctor.dying", "answer", timeout_s=60) == {"value": 3}

    def test_nothing_of_the_current_directory_is_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
        monkeypatch.chdir(tmp_path)
        assert ask("tests.doctor.dying", "answer", timeout_s=60) == {"value": 3}

    def test_its_own_words(self) -> None:
        with pytest.raises(EngineError, match="it is broken") as caught:
            ask("tests.doctor.dying", "refuse", timeout_s=60)
        assert caught.value.hint == "Mend it."

    def test_it_hangs(self) -> None:
        with pytest.raises(ChildFailed, match="did not answer within"):
            ask("tests.doctor.dying", "hang", timeout_s=1)

    @pytest.mark.skipif(sys.platform == "win32", reason="signals")
    def test_it_crashes(self) -> None:
        with pytest.raises(ChildFailed, match=r"SIGABRT.*GGML_ASSERT") as caught:
            ask("tests.doctor.dying", str(int(signal.SIGABRT)), timeout_s=60)
        assert not caught.value.illegal

    @pytest.mark.skipif(sys.platform == "win32", reason="signals")
    def test_an_illegal_instruction(self) -> None:
        with pytest.raises(ChildFailed) as caught:
            ask("tests.doctor.dying", str(int(signal.SIGILL)), timeout_s=60)
        assert caught.value.illegal
