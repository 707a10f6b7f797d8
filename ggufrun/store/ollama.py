"""Ollama's models: a manifest for each name and tag, and blobs that are named by their sha256. Read only."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ggufrun.store.checksum import ollama_sha256
from ggufrun.store.looking import changed, file_status
from ggufrun.store.stored import StoredFile, StoredModel, card_of_repo
from ggufrun.weights.cards import Card

_MODEL: Final = "application/vnd.ollama.image.model"
_PROJECTOR: Final = "application/vnd.ollama.image.projector"
_MOST_BYTES: Final = 1 << 20  # of a manifest; they have a kB or two
_DEFAULT: Final = ("registry.ollama.ai", "library")  # what Ollama leaves out of a name


def ollama_models(folders: Sequence[Path], cards: Sequence[Card]) -> list[StoredModel]:
    """`folders` are what OLLAMA_MODELS may name: each has `manifests` and `blobs` in it."""
    found: dict[str, StoredModel] = {}
    for folder in folders:
        for manifest in _manifests(folder / "manifests"):
            model = _model(folder, manifest, cards)
            if model is not None:
                found.setdefault(model.name.lower(), model)
    return list(found.values())


def _manifests(top: Path) -> Iterator[Path]:
    """manifests/HOST/NAMESPACE/NAME/TAG."""
    try:
        yield from sorted(path for path in top.glob("*/*/*/*") if file_status(path))
    except OSError:
        return


def _model(folder: Path, manifest: Path, cards: Sequence[Card]) -> StoredModel | None:
    """None for a manifest that is damaged, or whose model is no single GGUF."""
    content = _json(manifest)
    layers = content.get("layers")
    layers = [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []
    models = _blobs(folder, layers, _MODEL)
    if len(models) != 1:
        return None
    *place, name, tag = manifest.relative_to(folder / "manifests").parts
    repo = (
        "/".join((*place, name))
        if place[0] != _DEFAULT[0]
        else name
        if place[1] == _DEFAULT[1]
        else f"{place[1]}/{name}"
    )
    config = _blobs(folder, [content.get("config")], None)
    quant = _json(config[0].path).get("file_type") if config else None
    hub = f"{place[1]}/{name}" if place[0] in ("hf.co", "huggingface.co") else ""
    return StoredModel(
        name=f"{repo}:{tag}",
        source="ollama",
        files=tuple(models),
        quant=quant if isinstance(quant, str) and quant != "unknown" else tag if hub else "",
        card=card_of_repo(cards, hub),
        modified=changed(manifest),
        also=(repo,) if tag == "latest" else (),
        projectors=tuple(_blobs(folder, layers, _PROJECTOR)),
        folder=folder,
    )


def _blobs(folder: Path, layers: Sequence[Any], kind: str | None) -> list[StoredFile]:
    """The blobs of the layers of one kind that are here. A digest is checked before it becomes a file's name."""
    found = []
    for layer in layers:
        sha256 = ollama_sha256(str(layer.get("digest"))) if isinstance(layer, dict) else None
        if sha256 is None or (kind is not None and layer.get("mediaType") != kind):
            continue
        path = folder / "blobs" / f"sha256-{sha256}"
        if status := file_status(path):
            found.append(StoredFile(path, status.st_size, sha256))
    return found


def _json(path: Path) -> dict[str, Any]:
    """{} for what is missing, too long, or no JSON object."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
