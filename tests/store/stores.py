"""Stores as other programs leave them on a disk, made for tests: with real files, links, manifests and journals."""

import hashlib
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

from ggufrun.store.hub_cache import RepoCache
from ggufrun.store.places import Places
from ggufrun.weights.cards import Card
from tests.weights import gguf_bytes as make

COMMIT, OLDER = "c" * 40, "a" * 40


def model_bytes(mark: str = "x") -> bytes:
    """A small GGUF that differs by its mark."""
    return make.gguf(
        [
            make.field("general.architecture", make.STRING, make.text("llama")),
            make.field("general.name", make.STRING, make.text(mark)),
        ],
        [make.tensor("token_embd.weight", (32, 32), 0, 0)],
        data=4096,
    )


def shard_bytes(number: int, count: int) -> bytes:
    fields = [
        make.field("split.no", make.UINT16, struct.pack("<H", number - 1)),
        make.field("split.count", make.UINT16, struct.pack("<H", count)),
    ]
    return make.gguf(fields, [make.tensor(f"t{number}", (32,), 0, 0)], data=128)


@dataclass
class Stores:
    """All stores of one imaginary user, under one folder."""

    home: Path
    cards: tuple[Card, ...] = field(default=())

    @property
    def places(self) -> Places:
        return Places(
            (self.home / "data" / "models",),
            self.home / "hub",
            (self.home / ".lmstudio" / "models",),
            (self.home / ".ollama" / "models",),
            self.cards,
        )

    def own(self, name: str, data: bytes | None = None) -> Path:
        return _write(self.home / "data" / "models" / name, data or model_bytes(name))

    def hub(self, repo: str, path: str, data: bytes | None = None, commit: str = COMMIT) -> Path:
        """A file as huggingface_hub puts it there; gives its link."""
        cache, data = RepoCache(self.home / "hub", repo), data or model_bytes(path)
        etag = hashlib.sha256(data).hexdigest()
        _write(cache.blob(etag), data)
        link = cache.place(commit, path, etag)
        if commit == COMMIT:
            cache.point("main", commit)
        return link

    def hub_partial(self, repo: str, path: str, size: int, here: bytes) -> Path:
        """A file that came in part: sparse, with a journal beside it."""
        cache, etag = RepoCache(self.home / "hub", repo), hashlib.sha256(path.encode()).hexdigest()
        partial = _write(cache.partial(etag), here)
        with partial.open("r+b") as file:
            file.truncate(size)
        head = {"version": 1, "path": path, "etag": etag, "size": size, "boot": ""}
        _write(cache.journal(etag), json.dumps(head).encode() + b"\n[0,1]\n")
        return partial

    def lm_studio(self, path: str, data: bytes | None = None) -> Path:
        return _write(self.home / ".lmstudio" / "models" / path, data or model_bytes(path))

    def ollama(self, place: str, data: bytes | None = None, *, file_type: str = "Q4_K_M") -> Path:
        """`place`: registry.ollama.ai/library/mistral/7b; gives the blob."""
        top, data = self.home / ".ollama" / "models", data or model_bytes(place)
        config = json.dumps({"file_type": file_type, "model_family": "llama"}).encode()
        layers = [
            ("application/vnd.ollama.image.template", b"{{ .Prompt }}"),
            ("application/vnd.ollama.image.model", data),
        ]
        digests = [
            (kind, hashlib.sha256(content).hexdigest(), content) for kind, content in [("config", config), *layers]
        ]
        for _, digest, content in digests:
            _write(top / "blobs" / f"sha256-{digest}", content)
        named = [{"mediaType": kind, "digest": f"sha256:{digest}", "size": len(c)} for kind, digest, c in digests]
        _write(top / "manifests" / place, json.dumps({"config": named[0], "layers": named[1:]}).encode())
        return top / "blobs" / f"sha256-{digests[-1][1]}"


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
