"""Scores files as `ggufrun compare` does, without its report: the same chunks, processes and statistics"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ggufrun.compare.results import Quality, Scores
from ggufrun.compare.run.child import ScoringProcess
from ggufrun.compare.run.chunks import chunked
from ggufrun.compare.scoring import files
from ggufrun.compare.statistics.quality import quality
from ggufrun.compare.texts.source import Part
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import ModelSettings

REFERENCE = "F16"


def measured(models: Mapping[str, Path], text: Path, chunks: int, folder: Path) -> Mapping[str, Quality]:
    """Of each model, by its name; the first is the reference that the others are compared with."""
    reference = next(iter(models))
    vocabulary = LlamaVocabulary.from_path(models[reference])
    cut = chunked([Part(text.name, text.read_text(encoding="utf-8"))], vocabulary, chunks)
    vocabulary.close()
    files.write_tokens(folder / "tokens.npz", cut.tokens, cut.firsts, cut.parts)
    rows = {name: _scores(path, name, folder, keeps=name == reference) for name, path in models.items()}
    return quality(rows, reference, parts=cut.names, draws=200).of


def _scores(path: Path, name: str, folder: Path, *, keeps: bool) -> Scores:
    base, out = folder / "base.npz", folder / f"{name}.npz"
    job = {"kind": "score", "tokens": folder / "tokens.npz", "batch": 512, "out": out}
    job |= {"write_base": base} if keeps else {"base": base}
    settings = ModelSettings(path, threads=1, flash_attention="off")  # as llama-perplexity is told
    request = {"model": asdict(settings), "kv_type": "f16", "context": 512, "jobs": [job]}
    with ScoringProcess(request, lambda: False) as process:
        for event in process.events():
            assert event["event"] != "failed", event
    return files.read_scores(out)
