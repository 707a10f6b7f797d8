"""A child process that tries damaged headers: what kills it, or takes its memory, its parent sees.

`python -m tests.weights.mutation_child read|load SEED FRONT FROM TO FOLDER`: with our reader variants FROM to TO, or
with llama.cpp's vocabulary loader what our reader accepts of them. SEED is a GGUF whose header has FRONT bytes, or
`none` for whole vocabularies made by chance. Prints two JSON lines a variant, before it and after it.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ggufrun.fit.machine import Gpu, Machine
from ggufrun.weights.header import Header
from tests.weights.mutations import structure_of, variant
from tests.weights.vocabularies import vocabulary

_GB = 1 << 30
_PLAIN = Machine((), 16 * _GB, 14 * _GB, 50e9, "estimated", here=False)
MACHINES = (_PLAIN, replace(_PLAIN, gpus=(Gpu("CUDA0", "a card", 8 * _GB, 7 * _GB, 500e9, "estimated"),)))
READER_BYTES, LOADER_BYTES = 1 << 30, 6 << 30  # of address space; llama.cpp's libraries alone reserve some


def variants(seed: str, front: int, numbers: range, folder: Path) -> Iterator[tuple[int, Path]]:
    """Each in turn as a file of the seed's size: the damaged front, and a hole for the weights behind it."""
    path = folder / "variant.gguf"
    if seed == "none":
        for number in numbers:
            path.write_bytes(vocabulary(number))
            yield number, path
        return
    with Path(seed).open("rb") as file:
        data = file.read(front)
    structure, rest = structure_of(data), os.path.getsize(seed) - front
    for number in numbers:
        changed = variant(data, structure, number)
        path.write_bytes(changed)
        if len(changed) >= structure.end:
            os.truncate(path, len(changed) + rest)
        yield number, path


def read(path: Path) -> str:
    """What became of it; all that it says of itself is looked at, too."""
    from ggufrun.errors import ModelFileError
    from ggufrun.weights.fields import ArrayField, ValueType
    from ggufrun.weights.header import read_header

    try:
        header = read_header(path)
        for key, field in header.metadata.items():
            if isinstance(field, ArrayField) and field.type is ValueType.STRING:
                header.raw_strings(key)
    except ModelFileError as error:
        return "refused" if error.reason and "\n" not in str(error) else f"says {error!r}"
    if odd := plan(header):
        return odd
    ends = [header.data_offset + tensor.offset + (tensor.size or 0) for tensor in header.tensors]
    return "accepted" if max(ends, default=0) <= header.file_size else "its tensors end behind the file"


def plan(header: Header) -> str:
    """What is wrong with a plan for it; "" where there is one, or a refusal in words."""
    from ggufrun.errors import ModelFileError
    from ggufrun.fit.planner import make_plan
    from ggufrun.fit.subject import Subject, Wishes

    subject = Subject(header.path, (header,), "variant")
    for machine in MACHINES:
        try:
            made = make_plan(subject, machine, Wishes(), None)
        except ModelFileError as error:
            return "" if error.reason and "\n" not in str(error) else f"says {error!r}"
        if (made.predicted_tok_s or 0) < 0 or any(use.needed < 0 for use in made.devices):
            return "a plan with less than nothing"
    return ""


def load(path: Path) -> str:
    from ggufrun.errors import ModelFileError
    from ggufrun.llama.model import Model

    if read(path) != "accepted":
        return "refused"
    try:
        Model.load_vocabulary(path).close()
    except ModelFileError:
        return "not loaded"
    return "loaded"


def main() -> None:
    how, seed, front, first, last, folder = sys.argv[1:]
    attempt: Callable[[Path], str] = {"read": read, "load": load}[how]
    _limit(READER_BYTES if how == "read" else LOADER_BYTES)
    for number, path in variants(seed, int(front), range(int(first), int(last)), Path(folder)):
        print(json.dumps({"number": number}), flush=True)
        start = time.process_time()
        try:
            outcome = attempt(path)
        except BaseException as error:
            outcome = f"raised {type(error).__name__}: {error}"
        print(json.dumps({"outcome": outcome, "seconds": time.process_time() - start}), flush=True)


def _limit(size: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


if __name__ == "__main__":
    main()
