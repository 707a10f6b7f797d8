"""Repositories of the fake hub, and how the hub's API writes them as JSON. No HTTP here."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

LFS_ENDINGS = (".gguf", ".safetensors", ".bin")
LFS_SIZE = 10_000_000  # the hub takes nothing larger into git itself


@dataclass(frozen=True)
class FakeFile:
    """A file's content: bytes, or a file on disk, which may be larger than memory and full of holes."""

    content: bytes | Path = field(repr=False)
    claimed_sha256: str | None = None  # what the hub says instead of the truth

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @cached_property
    def sha256(self) -> str:
        if self.claimed_sha256 is not None:
            return self.claimed_sha256
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @cached_property
    def git_sha1(self) -> str:
        with self.open() as stream:
            return hashlib.sha1(f"blob {self.size}\0".encode() + stream.read(LFS_SIZE)).hexdigest()

    def open(self) -> io.BufferedReader | io.BytesIO:
        return io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content.open("rb")


class About(TypedDict, total=False):
    """What a repository says of itself."""

    gated: bool
    private: bool
    modified: str  # ISO 8601
    licence: str
    parameters: int
    downloads: int


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit."""

    commit: str
    files: Mapping[str, FakeFile]

    def is_lfs(self, path: str) -> bool:
        return path.lower().endswith(LFS_ENDINGS) or self.files[path].size > LFS_SIZE

    def etag(self, path: str) -> str:
        file = self.files[path]
        return file.sha256 if self.is_lfs(path) else file.git_sha1

    def tree(self, under: str, recursive: bool) -> list[dict[str, Any]]:
        """As `/api/models/NAME/tree/REV` writes it, folders included."""
        prefix = f"{under.strip('/')}/" if under.strip("/") else ""
        entries: dict[str, dict[str, Any]] = {}
        for path in self.files:
            if not path.startswith(prefix):
                continue
            parts = path[len(prefix) :].split("/")
            for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
                folder = prefix + "/".join(parts[:depth])
                oid = hashlib.sha1(folder.encode()).hexdigest()
                entries[folder] = {"type": "directory", "oid": oid, "size": 0, "path": folder}
            if recursive or len(parts) == 1:
                entries[path] = self.tree_entry(path)
        return list(entries.values())

    def tree_entry(self, path: str) -> dict[str, Any]:
        size = self.files[path].size
        entry: dict[str, Any] = {"type": "file", "oid": self._blob_id(path), "size": size, "path": path}
        if self.is_lfs(path):
            entry["lfs"] = {"oid": self.files[path].sha256, "size": size, "pointerSize": 134}
        return entry

    def siblings(self, blobs: bool) -> list[dict[str, Any]]:
        """As the repository's own description writes them."""
        if not blobs:
            return [{"rfilename": path} for path in self.files]
        return [self._sibling(path) for path in self.files]

    def _sibling(self, path: str) -> dict[str, Any]:
        size = self.files[path].size
        entry: dict[str, Any] = {"rfilename": path, "blobId": self._blob_id(path), "size": size}
        if self.is_lfs(path):
            entry["lfs"] = {"sha256": self.files[path].sha256, "size": size, "pointerSize": 134}
        return entry

    def _blob_id(self, path: str) -> str:
        """For an LFS file the id of its pointer: never of its content."""
        return hashlib.sha1(self.etag(path).encode()).hexdigest() if self.is_lfs(path) else self.etag(path)


@dataclass
class FakeRepo:
    name: str  # owner/name
    about: About
    revisions: dict[str, Snapshot] = field(default_factory=dict)  # branches and tags
    commits: dict[str, Snapshot] = field(default_factory=dict)

    def at(self, revision: str) -> Snapshot | None:
        return self.revisions.get(revision) or self.commits.get(revision)

    def put(self, revision: str, files: Mapping[str, FakeFile], commit: str | None) -> Snapshot:
        if commit is None:
            told = "".join(f"{path}\0{file.sha256}\n" for path, file in sorted(files.items()))
            commit = hashlib.sha1(f"{self.name}\n{told}".encode(errors="surrogatepass")).hexdigest()
        snapshot = Snapshot(commit, dict(files))
        self.revisions[revision] = self.commits[commit] = snapshot
        return snapshot

    def info(self, snapshot: Snapshot, blobs: bool) -> dict[str, Any]:
        about = self.about
        licence, modified = about.get("licence", "apache-2.0"), about.get("modified", "2026-05-02T10:00:00.000Z")
        total = about.get("parameters")
        holds_gguf = any(path.endswith(".gguf") for path in snapshot.files)
        tags = ["gguf"] * holds_gguf + ([f"license:{licence}"] if licence else []) + ["region:us"]
        return {
            "_id": hashlib.sha1(self.name.encode()).hexdigest()[:24],
            "id": self.name,
            "modelId": self.name,
            "author": self.name.partition("/")[0],
            "sha": snapshot.commit,
            "lastModified": modified,
            "createdAt": modified,
            "private": about.get("private", False),
            "gated": "manual" if about.get("gated") else False,
            "disabled": False,
            "downloads": about.get("downloads", 0),
            "likes": 0,
            "tags": tags,
            "cardData": {"license": licence} if licence else {},
            "gguf": {"total": total, "architecture": "llama", "context_length": 4096} if total is not None else None,
            "siblings": snapshot.siblings(blobs),
        }
