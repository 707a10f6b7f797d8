"""A process's main: has llama.cpp read a file's vocabulary and checks tokens and chat template; findings as JSON."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ggufrun.chat.mistral import MistralEncoder, parse_version
from ggufrun.chat.tekken import NotTekken, is_tekken, rebuild_tekkenizer
from ggufrun.doctor.asking import answer, ask, refuse
from ggufrun.doctor.finding import Finding
from ggufrun.doctor.template_check import check_template
from ggufrun.doctor.vocabulary_check import check_vocabulary
from ggufrun.errors import EngineError, GgufrunError, OptionError
from ggufrun.llama.pooling import makes_embeddings
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.weights.header import read_header

_ANSWER_S: Final = 60.0
_REPORT: Final = "Report it with all of this, and say where the file is from."


def read_in_a_process(path: Path, version: str | None) -> tuple[Finding, ...]:
    """`version` is the card's Mistral tokenizer version, None where it is to be found out."""
    try:
        told: list[dict[str, Any]] = ask("ggufrun.doctor.reading", str(path), version or "", timeout_s=_ANSWER_S)
    except EngineError as error:
        says = f"llama.cpp cannot read the vocabulary: {error.message}"
        return (Finding("vocabulary", "fault", says, error.hint or _REPORT),)
    return tuple(Finding(**{**each, "shown": tuple(each["shown"])}) for each in told)


def main() -> None:
    try:
        answer([asdict(finding) for finding in findings(Path(sys.argv[1]), sys.argv[2])])
    except GgufrunError as error:
        refuse(error)


def findings(path: Path, version: str) -> Iterator[Finding]:
    header = read_header(path)
    source = header.text("tokenizer.chat_template") or ""
    vocabulary = LlamaVocabulary.from_path(path)
    if makes_embeddings(header.metadata):
        yield from check_vocabulary(header, "", embeds=True)
        return
    mistral = _mistral(vocabulary, version)
    if isinstance(mistral, Finding):
        yield from check_vocabulary(header, "")
        yield mistral
        return
    yield from check_vocabulary(header, mistral[0] if mistral else "")
    # A fine-tune that kept Tekken's words and changed the format has nothing to be compared with.
    ours = mistral is not None and (not source or "[INST]" in source)
    encoder = mistral[1] if mistral and ours else None
    yield from check_template(vocabulary, source, encoder)


def _mistral(vocabulary: LlamaVocabulary, version: str) -> tuple[str, MistralEncoder | None] | Finding | None:
    """The tokenizer version and mistral-common's encoder for it; None for a model that is not Mistral's."""
    if not is_tekken(vocabulary):
        return None
    try:
        tekkenizer = rebuild_tekkenizer(vocabulary, parse_version(version) if version else None)
    except NotTekken as error:
        says = f"tokenizer.ggml.pre says tekken, but {error}."
        return Finding("tokenizer", "warning", says, "Choose another file: its chat template writes the prompts here.")
    if not tekkenizer.is_special("[INST]"):
        return None
    found = tekkenizer.version.value
    try:
        return found, MistralEncoder(tekkenizer)
    except OptionError:  # a control token is missing: check_vocabulary says which
        return found, None


if __name__ == "__main__":
    main()
