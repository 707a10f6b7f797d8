"""The headers of files that nobody has downloaded: read over HTTP, and kept as sparse files that can be measured."""

import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import platformdirs

from ggufrun.errors import InputError, ModelFileError
from ggufrun.hub import seeding
from ggufrun.hub.at_once import at_once
from ggufrun.hub.client import Client
from ggufrun.hub.files import HubFile, HubQuant, Listing
from ggufrun.hub.front import RemoteFront
from ggufrun.hub.lock import held
from ggufrun.weights.folders import is_projector, shard_of
from ggufrun.weights.header import Header, parse_header, read_header

FIRST: Final = 12 << 20  # bytes; a vocabulary of 131,072 tokens takes 8.4 MB
LATER: Final = 1 << 20  # the later files of a split set, and projectors, have no vocabulary
_AT_ONCE: Final = 4
_KEPT: Final = 64  # sets of files; the ones used last


def remote_header(client: Client, listing: Listing, quant: HubQuant, folder: Path | None = None) -> tuple[Header, ...]:
    """Of all files of a quant, in their order. Raises HubRefused, HubError, or ModelFileError for what is no GGUF;
    InputError where the folder cannot be written.

    Their paths are sparse files under `folder` (without: this user's cache), as long as the real ones, which llama.cpp
    finds one by the other. Contents that were seen before are not asked for again, whatever the commit.
    """
    return remote_headers(client, listing, quant.files, folder)


def remote_headers(
    client: Client, listing: Listing, files: Sequence[HubFile], folder: Path | None = None
) -> tuple[Header, ...]:
    """As `remote_header`, for any files that belong together: a projector is one of its own."""
    place = (folder or default_folder()) / _key(listing, files)
    kept = [_kept(place / file.name, file) for file in files]
    if None not in kept:
        with suppress(OSError):  # a folder that is only for reading
            os.utime(place)
        return tuple(header for header in kept if header is not None)
    client.check_online(listing.repo)
    try:
        # Of two processes that want the same headers the second waits, and finds them.
        with held(place / ".lock", threading.Event(), lambda: None):
            fetched = at_once(lambda file, stop: _fetch(client, listing, file, place, stop), files, _AT_ONCE)
    except OSError as error:
        where = "Make room there, give yourself the right to write, or set XDG_CACHE_HOME to another folder."
        raise InputError(f"{place.parent} cannot take the model's header: {error.strerror or error}.", where) from error
    _forget_old(place.parent)
    return tuple(fetched)


def default_folder() -> Path:
    return platformdirs.user_cache_path("ggufrun", appauthor=False) / "headers"


def _key(listing: Listing, files: Sequence[HubFile]) -> str:
    """A folder's name for these contents: the same in every commit and in every repository that holds them."""
    told = [file.sha256 or f"{listing.repo}@{listing.commit}/{file.path}" for file in files]
    return hashlib.sha256("\n".join([*told, files[0].name]).encode()).hexdigest()[:32]


def _kept(path: Path, file: HubFile) -> Header | None:
    try:
        header = read_header(path)
    except ModelFileError:  # not there, or a disk that was full or lost power
        return None
    return header if header.file_size == file.size else None


def _fetch(client: Client, listing: Listing, file: HubFile, place: Path, stop: threading.Event) -> Header:
    path = place / file.name
    part = _part(path)
    if header := _kept(path, file):
        return header
    try:
        if part.exists() and part.stat().st_size:
            with suppress(ModelFileError):  # a power cut may have spoiled what an earlier process left
                return _laid(client, listing, file, path, stop)
            part.unlink()
        return _laid(client, listing, file, path, stop)
    except ModelFileError as error:
        part.unlink()
        hint = "Choose another quant or repository."
        raise ModelFileError(f"{listing.repo}/{file.path}", error.reason, hint) from error


def _laid(client: Client, listing: Listing, file: HubFile, path: Path, stop: threading.Event) -> Header:
    """Go on with the part that is there, and rename it when the header is whole."""
    part = _part(path)
    shard = shard_of(Path(file.name))
    step = LATER if is_projector(file.name) or (shard is not None and shard.number > 1) else FIRST
    part.touch()
    with part.open("r+b") as target:
        front = RemoteFront(client, listing, file, target, step, stop)
        header = parse_header(path, front, file.size)
        front.reach(header.data_offset)
        front.finish()
    seeding.unnote(path)
    os.replace(part, path)
    seeding.note(path, file.sha256, front.here)
    return header


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _forget_old(folder: Path) -> None:
    """Each holds some megabytes."""
    try:
        sets = sorted(folder.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    except OSError:  # another process forgets, too
        return
    for old in sets[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
