"""`ggufrun quantize`: a ladder of quants from one file, as a table. What is made is `quantizing`'s"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ggufrun.commandline.quantize_flags import QuantizeFlags
from ggufrun.commandline.table import lines, printable
from ggufrun.figures import duration, gb
from ggufrun.quantizing.kinds import kinds_of, named
from ggufrun.quantizing.ladder import Rung, Source, State
from ggufrun.quantizing.making import Wanted, check, make, plan, room, stem_of
from ggufrun.quantizing.process import Quantizer
from ggufrun.store.resolve import ResolvedModel, resolve
from ggufrun.terminal.progress import ProgressLine
from ggufrun.weights.folders import data_folder
from ggufrun.weights.imatrix import Imatrix, read_imatrix


def quantize(spec: str, flags: QuantizeFlags, *, dry_run: bool, as_json: bool) -> None:
    """Prints what was made. Raises InputError, and GgufrunError where llama.cpp ends."""
    kinds = kinds_of(flags.to)
    model = resolve(spec, data_folder(os.environ))
    source = Source(model.headers(), _stem(model))
    folder = flags.out or (Path() if model.stored is not None else model.path.parent)
    matrix = read_imatrix(flags.imatrix) if flags.imatrix is not None else None
    wanted = Wanted(source, kinds, folder, matrix, flags.force, flags.threads)
    warnings = _warnings(source)
    for warning in warnings:
        print(printable(f"ggufrun: WARNING: {warning}"), file=sys.stderr, flush=True)
    with Quantizer() as quantizer:
        rungs = plan(wanted, quantizer)
        if not dry_run:
            check(rungs, folder)
            rungs = _made(wanted, rungs, quantizer)
    if as_json:
        print(json.dumps(_json(source, rungs, warnings, matrix), indent=2))
        return
    _print(source, rungs)
    if dry_run:
        coming, free = room(rungs, folder)
        print(printable(f"{gb(coming)} to be written, {gb(free)} free in {folder}"))


def _stem(model: ResolvedModel) -> str:
    """Ollama's files are called by their checksums, and say nothing."""
    is_blob = model.stored is not None and model.stored.source == "ollama"
    name = f"{model.name.replace(':', '-').replace('/', '-')}.gguf" if is_blob else model.path.name
    return stem_of(Path(name)) or "model"


def _warnings(source: Source) -> list[str]:
    if not source.is_quantized:
        return []
    quant = source.quant
    told = (
        f"{source.path.name} is quantized already ({quant}). What is made of it loses twice: it is worse than the same "
        f"quant of the original weights, and what {quant} lost does not come back."
    )
    if quant == "Q8_0":
        told += " From Q8_0 the difference is small; BF16 or F16 is better still."
    else:
        told += " Take a BF16, F16 or Q8_0 file of this model if you can."
    return [told]


def _made(wanted: Wanted, rungs: Sequence[Rung], quantizer: Quantizer) -> tuple[Rung, ...]:
    line = ProgressLine(sys.stderr, sys.stderr.isatty())
    coming = [rung for rung in rungs if rung.state is State.PLANNED]
    found, count = [], 0
    try:
        for rung in rungs:
            if rung.state is not State.PLANNED:
                found.append(rung)
                continue
            label = f"{rung.kind.name} ({count + 1} of {len(coming)})"
            found.append(make(wanted, rung, quantizer, _showing(line, label, count, len(coming))))
            count += 1
    except KeyboardInterrupt:
        line.clear()
        whole = [rung.path.name for rung in found if rung.state is State.MADE]
        kept = f"Whole and kept: {', '.join(whole)}." if whole else "Nothing was written."
        print(printable(f"Stopped. {kept}"), file=sys.stderr)
        raise
    finally:
        line.clear()
    return tuple(found)


def _showing(line: ProgressLine, label: str, before: int, of: int) -> Callable[[float], None]:
    """The share of one file, as that of all."""
    return lambda share: line.show((before + share) / of, label)


def _print(source: Source, rungs: Sequence[Rung]) -> None:
    before = _bits(sum(tensor.size or 0 for header in source.headers for tensor in header.tensors), source)
    rows = [["", "size", "bits/weight", "", ""], [source.quant, gb(source.bytes), before, "", str(source.path)]]
    for rung in rungs:
        state = {State.PLANNED: "would be made", State.KEPT: "was there, kept", State.MADE: "made"}[rung.state]
        if rung.seconds is not None:
            state += f" in {duration(max(rung.seconds, 1))}"
        rows.append([rung.kind.name, gb(rung.bytes), _bits(rung.weights, source), state, str(rung.path)])
    print("\n".join(lines(rows)))
    for rung in rungs:
        if note := _note(rung):
            print(printable(note))


def _note(rung: Rung) -> str:
    notes = []
    if rung.fell_back:
        instead = named([f"{count} {name}" for name, count in sorted(rung.fallbacks.items())])
        notes.append(
            f"{rung.fell_back} of {rung.tensors} tensors have rows that its types cannot hold, and become {instead}"
        )
    if rung.needs_imatrix:
        notes.append("it needs an importance matrix (--imatrix FILE)")
    return f"{rung.kind.name}: {'; '.join(notes)}." if notes else ""


def _bits(weights: int, source: Source) -> str:
    return f"{weights * 8 / max(1, source.parameters):.2f}"


def _json(source: Source, rungs: Sequence[Rung], warnings: Sequence[str], matrix: Imatrix | None) -> dict[str, Any]:
    return {
        "source": {
            "file": str(source.path),
            "quant": source.quant,
            "bytes": source.bytes,
            "parameters": source.parameters,
            "quantized": source.is_quantized,
        },
        "imatrix": None if matrix is None else {"file": str(matrix.path), "entries": len(matrix.entries)},
        "warnings": list(warnings),
        "files": [
            {
                "quant": rung.kind.name,
                "file": str(rung.path),
                "state": str(rung.state),
                "bytes": rung.bytes,
                "bpw": rung.weights * 8 / max(1, source.parameters),
                "tensors": rung.tensors,
                "fell_back": rung.fell_back,
                "fallbacks": dict(rung.fallbacks),
                "needs_imatrix": rung.needs_imatrix,
                "seconds": rung.seconds,
            }
            for rung in rungs
        ],
    }
