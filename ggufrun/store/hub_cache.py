"""The Hugging Face cache on this disk: what lies in it, and how a file gets its place there.

Knowledge of the layout only; where it is, `hub_folder` says. Nothing is downloaded here, and huggingface_hub is not
imported: it takes 0.2 s.
"""

import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.errors import cut
from ggufrun.hub_errors import HubRefused
from ggufrun.store.looking import changed, entries, file_status

PARTIAL: Final = ".ggufrun.incomplete"  # `hf cache prune` knows the ending, and takes away what was given up
JOURNAL: Final = ".ggufrun.journal.incomplete"

_FOLDER: Final = re.compile(r"models--[\w.-]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
ETAG: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")  # sha256 of an LFS file, git's sha1 of a small one
_LONGEST: Final = 1000  # characters of a name in a repository; a path of 4096 is the end almost everywhere


@dataclass(frozen=True, slots=True)
class CachedFile:
    """One file of one commit. `link` is its place under `snapshots`, `real` where its bytes are."""

    path: str  # its name in the repository, / between folders
    link: Path
    real: Path
    size: int  # bytes
    etag: str | None  # the sha256 (64 hex digits) that the bytes should have, or git's sha1 (40); None: nobody knows


@dataclass(frozen=True, slots=True)
class RepoCache:
    """A model repository's folder in a cache. Paths only: nothing needs to exist."""

    cache: Path
    repo: str  # owner/name

    @property
    def folder(self) -> Path:
        return self.cache / _folder_name(self.repo)

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    def blob(self, etag: str) -> Path:
        """Where the bytes belong. It may be a symlink itself: other files of the cache can share one blob."""
        return self.blobs / _checked(etag, ETAG)

    def partial(self, etag: str) -> Path:
        return self.blobs / f"{_checked(etag, ETAG)}{PARTIAL}"

    def journal(self, etag: str) -> Path:
        return self.blobs / f"{_checked(etag, ETAG)}{JOURNAL}"

    def lock(self, etag: str) -> Path:
        """The file that huggingface_hub locks while it fetches the same blob."""
        return self.cache / ".locks" / _folder_name(self.repo) / f"{_checked(etag, ETAG)}.lock"

    def snapshot(self, commit: str) -> Path:
        return self.folder / "snapshots" / _checked(commit, _COMMIT)

    def link(self, commit: str, path: str) -> Path:
        """The place of a repository's file. HubRefused for a name that would lead out of its folder."""
        return self.snapshot(commit).joinpath(*_parts(path))

    def commits(self) -> tuple[str, ...]:
        """Those that something is here of, the latest to come last."""
        folders = [each for each in entries(self.folder / "snapshots") if _COMMIT.fullmatch(each.name)]
        return tuple(each.name for each in sorted(folders, key=changed))

    def commit_of(self, revision: str) -> str | None:
        """What a branch or a tag meant when it was last asked for; a commit is itself."""
        if _COMMIT.fullmatch(revision):
            return revision
        try:
            text = self.folder.joinpath("refs", *_parts(revision)).read_text("utf-8").strip()
        except (OSError, ValueError):
            return None
        return text if _COMMIT.fullmatch(text) else None

    def files(self, commit: str) -> Iterator[CachedFile]:
        """What is whole of one commit, by name. Links whose bytes are gone are left out."""
        top = self.snapshot(commit)
        for folder, _, names in sorted(os.walk(top)):
            for name in sorted(names):
                link = Path(folder, name)
                real = Path(os.path.realpath(link))
                status = file_status(real)
                if status is not None:
                    etag = self._etag(link, real)
                    yield CachedFile(link.relative_to(top).as_posix(), link, real, status.st_size, etag)

    def _etag(self, link: Path, real: Path) -> str | None:
        """Told by the name of the blob: the link's next stop, as a shared blob is called otherwise, or a hard link."""
        try:
            name = Path(os.readlink(link)).name
        except OSError:  # no symlink
            name = next((each.name for each in entries(self.blobs) if _are_one(each, real)), "")
        return name if ETAG.fullmatch(name) else None

    def partials(self) -> tuple[Path, ...]:
        """Files that came in part, whoever fetched them. Ours are sparse: their size says nothing."""
        return tuple(
            each
            for each in entries(self.blobs)
            if each.name.endswith(".incomplete") and not each.name.endswith(JOURNAL)
        )

    def place(self, commit: str, path: str, etag: str) -> Path:
        """Give a whole blob its name in the snapshot. Where symlinks are not allowed: a hard link, or the file itself.

        The last is what huggingface_hub does on such a disk, too; a copy would take the room twice.
        """
        link, blob = self.link(commit, path), self.blob(etag)
        if link.exists() and (not blob.exists() or link.samefile(blob)):
            return link
        link.parent.mkdir(parents=True, exist_ok=True)
        new = link.with_name(f".{uuid.uuid4().hex[:8]}.tmp")
        try:
            new.symlink_to(os.path.relpath(blob, link.parent))
        except OSError:
            try:
                new.hardlink_to(os.path.realpath(blob))
            except OSError:
                os.replace(blob, new)
        os.replace(new, link)
        return link

    def point(self, revision: str, commit: str) -> None:
        """Remember which commit a branch or a tag means."""
        ref = self.folder.joinpath("refs", *_parts(revision))
        if _COMMIT.fullmatch(revision) or self.commit_of(revision) == commit:
            return
        ref.parent.mkdir(parents=True, exist_ok=True)
        new = ref.with_name(f"{ref.name}.{uuid.uuid4().hex[:8]}.tmp")
        new.write_text(_checked(commit, _COMMIT), "utf-8")
        os.replace(new, ref)


def repositories(cache: Path) -> tuple[RepoCache, ...]:
    """The model repositories that have a folder in the cache, by name."""
    return tuple(map(_repository, (each for each in entries(cache) if _FOLDER.fullmatch(each.name))))


def cached_file(path: Path) -> CachedFile | None:
    """What a cache knows of the file at CACHE/models--OWNER--NAME/snapshots/COMMIT/…/FILE; None for one elsewhere."""
    path = path.absolute()  # and not resolved: what it links to tells no commit
    for folder in path.parents:
        if folder.name == "snapshots" and _FOLDER.fullmatch(folder.parent.name):
            commit = path.relative_to(folder).parts[0]
            files = _repository(folder.parent).files(commit) if _COMMIT.fullmatch(commit) else ()
            return next((file for file in files if file.link == path), None)
    return None


def _repository(folder: Path) -> RepoCache:
    return RepoCache(folder.parent, folder.name.removeprefix("models--").replace("--", "/", 1))


def _are_one(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _folder_name(repo: str) -> str:
    return "models--" + "--".join(_parts(repo))


def _checked(text: str, shape: re.Pattern[str]) -> str:
    if not shape.fullmatch(text):
        raise HubRefused(
            f"The hub names a file or commit by {cut(text)!r}, which is no checksum.",
            "Try again without --mirror or a proxy.",
        )
    return text


def _parts(path: str) -> list[str]:
    """A repository's name for something, taken apart; HubRefused where it would leave the folder it belongs in."""
    parts = path.split("/")
    forbidden = '\\\0:*?"<>|' if os.name == "nt" else "\\\0"
    unfit = (part.strip(". ") == "" or len(part) > 255 or any(char in forbidden for char in part) for part in parts)
    if len(path) > _LONGEST or any(unfit):
        raise HubRefused(
            f"The hub gives {cut(path)!r} as a name, and that leads out of the cache or cannot be a file's.",
            "Do not use this repository.",
        )
    return parts
