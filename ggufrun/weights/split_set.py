"""The files that are loaded as one: all headers of a split set, read and checked against each other."""

from pathlib import Path

from ggufrun.errors import ModelFileError
from ggufrun.weights.folders import Shard, shard_of
from ggufrun.weights.header import Header, read_header
from ggufrun.weights.numbers import loaded_layers


def read_set(path: Path) -> tuple[Header, ...]:
    """Of a file alone its header; of any file of a split set all headers, the first file's first.

    Raises ModelFileError: a file is missing, damaged, or not the one that its name says; or it has a number of layers
    that llama.cpp would end the process over.
    """
    shard = shard_of(path)
    headers = tuple(map(read_header, _files(path, shard)))
    for number, header in enumerate(headers):
        _check_place(header, number, len(headers))
    if f"{headers[0].architecture}.block_count" in headers[0].metadata:  # a LoRA adapter has none
        loaded_layers(headers[0])
    return headers


def _files(path: Path, shard: Shard | None) -> list[Path]:
    if shard is None:
        return [path]
    wanted = [shard.sibling(path, number) for number in range(1, shard.total + 1)]
    missing = [each.name for each in wanted if not each.exists()]
    if len(missing) == len(wanted):
        raise ModelFileError(path, "there is no such file", "Check the path.")
    if missing:
        names = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        reason = f"{len(missing)} of the {len(wanted)} files of this split set are missing: {names}"
        raise ModelFileError(path, reason, "Put all of them into one folder.")
    return wanted


def _check_place(header: Header, number: int, count: int) -> None:
    """A split set's files say themselves how many there are and which one each is."""
    if header.split_count != count:
        reason = f"its header says it is part of {header.split_count} files, and its name says {count}"
        hint = "Give it back the name it was published under (NAME-00001-of-00003.gguf)."
        raise ModelFileError(header.path, reason, hint)
    if header.split_no != number:
        reason = f"its header says it is file {header.split_no + 1} of its split set, and its name says {number + 1}"
        raise ModelFileError(header.path, reason, "Give the files back the names they were published under.")
