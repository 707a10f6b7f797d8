"""Makes a ladder of quants from one file: first all sizes, then the files, one after another. It prints nothing

A file gets its name when it is whole. What is there already is kept, unless it is to be made anew.
"""

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Final

from ggufrun.errors import GgufrunError, InputError, ModelFileError, OptionError
from ggufrun.figures import gb
from ggufrun.quantizing.kinds import Kind, named
from ggufrun.quantizing.ladder import Rung, Source, State
from ggufrun.quantizing.matrix import check_covered, check_fit
from ggufrun.quantizing.process import Quantizer
from ggufrun.quantizing.sizing import file_size, weights_size
from ggufrun.weights.folders import shard_of
from ggufrun.weights.header import read_header
from ggufrun.weights.imatrix import Imatrix
from ggufrun.weights.quants import label_of

_LEFT_S: Final = 3600.0  # a file under way is written to all the time; what was not for so long is nobody's


@dataclass(frozen=True, slots=True)
class Wanted:
    """`folder` need not exist. `threads` 0: as many as there are cores."""

    source: Source
    kinds: tuple[Kind, ...]
    folder: Path
    matrix: Imatrix | None = None
    force: bool = False
    threads: int = 0


def stem_of(path: PurePath) -> str:
    """A file's name without its quant and its number in a split set; "" where nothing else is in it."""
    shard, label = shard_of(path), label_of(path)
    stem = shard.stem if shard else path.stem
    places = list(re.finditer(re.escape(label), stem, re.IGNORECASE)) if label else []
    if places:
        stem = stem[: places[-1].start()].rstrip("-_. ") + stem[places[-1].end() :]
    return stem.strip("-_. ")


def plan(wanted: Wanted, quantizer: Quantizer) -> tuple[Rung, ...]:
    """What would be made. Raises InputError: a matrix that does not fit, an output that is the source itself, …"""
    if wanted.matrix is not None:
        check_fit(wanted.matrix, (tensor for header in wanted.source.headers for tensor in header.tensors))
    there = _existing(wanted.folder)
    if not there.is_dir():
        raise OptionError(f"{there} is no folder.", "Give one to --out; it need not exist.")
    return tuple(_planned(wanted, kind, quantizer) for kind in wanted.kinds)


def check(rungs: Sequence[Rung], folder: Path) -> None:
    """Before anything is written: raises InputError where a matrix is missing, or room."""
    coming = [rung for rung in rungs if rung.state is State.PLANNED]
    if needy := [rung.kind.name for rung in coming if rung.needs_imatrix]:
        told = (
            f"{named(needy)} {'needs' if len(needy) == 1 else 'need'} an importance matrix: llama.cpp refuses without."
        )
        raise InputError(
            told, "Give one with --imatrix FILE (llama-imatrix makes them), or choose quants of more bits."
        )
    needed, free = room(rungs, folder)
    if needed > free:
        told = f"{folder} has {gb(free)} free, and {gb(needed)} are to be written"
        raise InputError(f"{told}.", "Make room, choose fewer or smaller quants, or another disk with --out.")


def room(rungs: Sequence[Rung], folder: Path) -> tuple[int, int]:
    """Bytes that are to be written, and bytes that are free there."""
    free = shutil.disk_usage(_existing(folder)).free
    return sum(rung.bytes for rung in rungs if rung.state is State.PLANNED), free


def make(wanted: Wanted, rung: Rung, quantizer: Quantizer, on_progress: Callable[[float], None]) -> Rung:
    """Write one file; `on_progress` hears the share that is done. Raises InputError or GgufrunError.

    However it ends, nothing half written stays. After an error the quantizer is closed.
    """
    begun = time.monotonic()
    part = _begun(rung.path)
    try:
        quantizer.ask(_question(wanted, rung.kind, part), _shares(wanted.source, on_progress))
        size = _checked(part, rung)
        os.replace(part, rung.path)
    except BaseException:
        quantizer.close()
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return replace(rung, state=State.MADE, bytes=size, seconds=time.monotonic() - begun)


def _planned(wanted: Wanted, kind: Kind, quantizer: Quantizer) -> Rung:
    path = wanted.folder / f"{wanted.source.stem}-{kind.name}.gguf"
    if path.exists() and any(path.samefile(header.path) for header in wanted.source.headers):
        raise OptionError(f"{path} would be written over itself.", f"Leave {kind.name} out, or give another --out.")
    if path.exists() and not path.is_file():
        raise OptionError(f"{path} is there, and is no file.", "Give another folder to --out.")
    answer = quantizer.ask(_question(wanted, kind, None))
    headers, types = wanted.source.headers, answer["types"]
    check_covered(kind, types, wanted.matrix)
    kept = path.exists() and not wanted.force
    size = file_size(headers, types, _told(wanted.matrix))
    return Rung(
        kind,
        path,
        State.KEPT if kept else State.PLANNED,
        path.stat().st_size if kept else size,
        weights_size(headers, types),
        sum(len(header.tensors) for header in headers),
        dict(Counter(types[name] for name in answer["fallbacks"])),
        answer["needs_imatrix"],
    )


def _question(wanted: Wanted, kind: Kind, out: Path | None) -> dict[str, Any]:
    matrix = wanted.matrix
    return {
        "source": str(wanted.source.path),
        "file_type": kind.file_type,
        "imatrix": None if matrix is None else str(matrix.path),
        "told": _told(matrix),
        "threads": wanted.threads,
        "out": None if out is None else str(out),
    }


def _told(matrix: Imatrix | None) -> Mapping[str, str | int]:
    """The keys in which the file says where its matrix came from, as llama-quantize writes them. Names, no folders."""
    if matrix is None:
        return {}
    told: dict[str, str | int] = {"file": _short(matrix.path.name), "entries_count": len(matrix.entries)}
    told |= {"dataset": _short(PurePath(matrix.datasets[0]).name)} if matrix.datasets else {}
    told |= {"chunks_count": matrix.chunks} if matrix.chunks else {}
    return {f"quantize.imatrix.{name}": value for name, value in told.items()}


def _short(name: str) -> str:
    return name.encode("utf-8", "replace")[:127].decode("utf-8", "ignore")  # what llama.cpp's struct holds


def _shares(source: Source, on_progress: Callable[[float], None]) -> Callable[[str], None]:
    """From the tensor that is begun to the share that is done: each takes time by its elements."""
    elements = {tensor.name: tensor.elements for header in source.headers for tensor in header.tensors}
    done, under_way = 0, 0

    def begun(name: str) -> None:
        nonlocal done, under_way
        done, under_way = done + under_way, elements.get(name, 0)
        on_progress(done / max(1, source.parameters))

    return begun


def _checked(part: Path, rung: Rung) -> int:
    """The size of what was written; GgufrunError where that is no whole GGUF."""
    try:
        header = read_header(part)
    except ModelFileError as error:
        told = f"What llama.cpp wrote as {rung.kind.name} is no whole GGUF file: {error.reason}."
        raise GgufrunError(told, "Look whether the disk is full, and try again.") from error
    if len(header.tensors) != rung.tensors:
        told = f"What llama.cpp wrote as {rung.kind.name} has {len(header.tensors)} of {rung.tensors} tensors."
        raise GgufrunError(told, "Try again.")
    return header.file_size


def _existing(folder: Path) -> Path:
    """The folder, or what is there of the path to it."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())


def _begun(path: Path) -> Path:
    """The file to write into, empty: the system says here why it cannot be, and llama.cpp would not."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _forget_left(path)
        part.touch()
    except OSError as error:
        told = f"Nothing can be written in {path.parent}: {error.strerror or error}."
        raise InputError(told, "Check the rights, or give another folder to --out.") from error
    return part


def _forget_left(path: Path) -> None:
    """Remove what killed ones have left, together with the process that wrote for them."""
    for left in path.parent.glob(f"{_literal(path.name)}.*.part"):
        if time.time() - left.stat().st_mtime > _LEFT_S:
            left.unlink(missing_ok=True)


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)
