"""Finds repositories that hold GGUF files, by words of their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ggufrun.hub.answers import patiently
from ggufrun.hub.client import TIMEOUT_S, Client, understood
from ggufrun.hub.files import is_safe
from ggufrun.hub.listing import date_of, licence_of
from ggufrun.hub_errors import HubError

_FIELDS: Final = ("downloads", "likes", "lastModified", "gated", "private", "tags", "cardData")
_WIDER: Final = 100  # repositories that are looked through where the hub finds none for all words together


@dataclass(frozen=True, slots=True)
class Found:
    """One repository. `downloads` in the last 30 days, `modified` as 2026-05-01."""

    repo: str
    downloads: int
    likes: int
    modified: str
    licence: str
    gated: bool
    private: bool


def search(client: Client, words: str, limit: int) -> tuple[Found, ...]:
    """The most downloaded first. Raises HubRefused, HubError."""
    client.check_online()
    parts = words.split()
    if found := _asked(client, " ".join(parts), limit):
        return found
    if len(parts) < 2:
        return ()
    wide = _asked(client, max(parts, key=len), _WIDER)
    return tuple(each for each in wide if all(part.lower() in each.repo.lower() for part in parts))[:limit]


def _asked(client: Client, words: str, limit: int) -> tuple[Found, ...]:
    """One request. Not by `HfApi.list_models`, which asks a hub that is down for 23 s."""
    from huggingface_hub import get_session, hf_raise_for_status

    query: dict[str, str | int | Sequence[str]] = {
        "search": words,
        "filter": "gguf",
        "sort": "downloads",
        "limit": limit,
        "expand": _FIELDS,
    }

    def ask() -> Any:
        url = f"{client.endpoint}/api/models"
        response = get_session().get(url, params=query, headers=client.headers(), timeout=TIMEOUT_S)
        hf_raise_for_status(response)
        return response.json()

    with understood(client.shown), client.errors(words):
        rows = patiently(ask)
        if not isinstance(rows, list):
            raise HubError(f"{client.shown} does not answer as a hub does.", "Check HF_ENDPOINT and --mirror.")
        return tuple(_found(row) for row in rows if is_safe(row["id"]))[:limit]


def _found(row: Mapping[str, Any]) -> Found:
    return Found(
        row["id"],
        int(row.get("downloads") or 0),
        int(row.get("likes") or 0),
        date_of(row.get("lastModified")),
        licence_of(row.get("cardData"), row.get("tags")),
        bool(row.get("gated")),
        bool(row.get("private")),
    )
