"""The chats that this machine's server has saved, as values for who compares models"""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ggufrun.records.chat_database import CHATS_FILE, ChatDatabase
from ggufrun.records.chat_messages import ChatMessage, Messages
from ggufrun.records.chat_search import TextIndex

Chat = list[tuple[str, str]]  # roles and texts, in their order


def saved_chats(folder: Path) -> list[Chat]:
    """In this data folder, all owners', the newest first; of each the branch that is shown, behind its system prompt.

    [] where none are saved. Raises OptionError where the file cannot be used.
    """
    path = folder / CHATS_FILE
    if not path.exists():
        return []
    with closing(ChatDatabase(path)) as database:
        messages = Messages(database, TextIndex(database))
        found = database.rows("SELECT number, head, settings FROM chats ORDER BY updated DESC")
        return [_chat(row["settings"], messages.branch(row["number"], row["head"])) for row in found]


def _chat(settings: str, branch: Sequence[ChatMessage]) -> Chat:
    system = json.loads(settings).get("system")
    said = [("system", str(system))] if system else []
    return [*said, *((each.role, each.text) for each in branch)]
