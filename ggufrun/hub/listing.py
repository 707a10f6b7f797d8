"""What the hub says of a repository, read into a `Listing`. Strangers typed it: nothing is believed."""

import re
from typing import TYPE_CHECKING, Final

from ggufrun.hub.files import Listing, is_safe
from ggufrun.hub.grouping import group
from ggufrun.hub_errors import HubError
from ggufrun.store.checksum import is_sha256

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_MOST_BYTES: Final = 1 << 46  # of one file
_MOST_CHARACTERS: Final = 60  # of a licence's name


def listing_of(info: "ModelInfo", revision: str, asked: str) -> Listing:
    """Raises HubError where the answer cannot be a hub's.

    A repository that has another name by now keeps the one it was asked for by: it is found by that without the hub.
    """
    if not isinstance(info.sha, str) or not _COMMIT.fullmatch(info.sha):
        raise HubError(f"The hub names no commit of {info.id}.", "Try again, and without --mirror.")
    if not is_safe(info.id) or info.id.count("/") > 1:
        raise HubError(
            f"The hub calls a repository {info.id[:_MOST_CHARACTERS]!r}.", "Try again, and without --mirror."
        )
    grouped = group(_entries(info))
    total = info.gguf.get("total") if isinstance(info.gguf, dict) else None
    return Listing(
        repo=info.id if info.id.lower() == asked.lower() else asked,
        commit=info.sha,
        quants=grouped.quants,
        projectors=grouped.projectors,
        gated=bool(info.gated),
        private=bool(info.private),
        licence=licence_of(info.card_data, info.tags),
        parameters=total if isinstance(total, int) and 0 < total < 1 << 50 else None,
        modified=date_of(info.last_modified),
        revision=revision,
        notes=grouped.notes,
    )


def _entries(info: "ModelInfo") -> list[tuple[str, int, str | None]]:
    """Path, size and sha256 of each file whose size is told."""
    found = []
    for sibling in info.siblings if isinstance(info.siblings, list) else []:
        lfs = getattr(sibling, "lfs", None)
        size = getattr(lfs, "size", None) or getattr(sibling, "size", None)
        path, sha256 = getattr(sibling, "rfilename", None), getattr(lfs, "sha256", None)
        if isinstance(path, str) and isinstance(size, int) and 0 < size < _MOST_BYTES:
            found.append((path, size, sha256 if is_sha256(sha256) else None))
    return found


def licence_of(card_data: object, tags: object) -> str:
    """The licence's name, "" where none is told; "other" has a name of its own beside it."""
    told = _told(card_data, "license")
    if told == "other":
        told = _told(card_data, "license_name") or told
    if not isinstance(told, str):
        named = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
        told = next((tag.removeprefix("license:") for tag in named if tag.startswith("license:")), "")
    return told[:_MOST_CHARACTERS]


def _told(card_data: object, key: str) -> object:
    """`card_data` is huggingface_hub's object, or the table as it was sent."""
    return card_data.get(key) if isinstance(card_data, dict) else getattr(card_data, key, None)


def date_of(moment: object) -> str:
    """`2026-05-01` of a datetime, or of one as ISO 8601 writes it; "" of anything else."""
    text = str(moment)[:10] if moment is not None else ""
    return text if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else ""
