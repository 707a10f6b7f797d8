"""Presets: what an owner of chats has saved by name. JSON; what is in it is not looked at here."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ggufrun.errors import ChatNotFound
from ggufrun.records.chat_database import ChatDatabase, to_json

Preset = Mapping[str, Any]


class Presets:
    def __init__(self, database: ChatDatabase) -> None:
        self._database = database

    def listed(self, owner: str) -> Sequence[tuple[str, Preset]]:
        rows = self._database.rows("SELECT name, preset FROM presets WHERE owner = ? ORDER BY name", owner)
        return [(row["name"], json.loads(row["preset"])) for row in rows]

    def put(self, owner: str, name: str, preset: Preset) -> None:
        """Instead of an earlier one of this name."""
        row = (owner, name, to_json(preset), time.time())
        with self._database.change() as cursor:
            cursor.execute("INSERT OR REPLACE INTO presets (owner, name, preset, updated) VALUES (?, ?, ?, ?)", row)

    def delete(self, owner: str, name: str) -> None:
        """Raises ChatNotFound."""
        with self._database.change() as cursor:
            cursor.execute("DELETE FROM presets WHERE owner = ? AND name = ?", (owner, name))
            if not cursor.rowcount:
                raise ChatNotFound("preset", name, "GET /ggufrun/v1/presets lists them.")
