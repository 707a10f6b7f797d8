"""Conversations as JSON files: what `/save` writes, whole or not at all, and what `/load` accepts."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ggufrun.chat.types import ChatOptions, Message
from ggufrun.errors import OptionError
from ggufrun.terminal.images import from_json, images_of, text_of, to_json
from ggufrun.terminal.options import given_options, options_from_json
from ggufrun.terminal.session import Session

FORMAT = "ggufrun-chat-1"
LARGEST = 64 << 20  # bytes; longer than any context
_MESSAGES = TypeAdapter(tuple[Message, ...])


@dataclass(frozen=True, slots=True)
class Saved:
    """A conversation read from a file."""

    model: str
    system: str
    options: ChatOptions
    messages: tuple[Message, ...]


def save(session: Session, path: Path) -> None:
    """Write the conversation through a temporary file. An existing file that is no conversation is left alone."""
    if path.is_dir():
        raise OptionError(f"{path} is a directory.", "Give a file name.")
    if path.exists() and path.stat().st_size:
        try:
            load(path)
        except OptionError as error:
            raise OptionError(f"{path} exists and is no saved conversation.", "Give another name.") from error
    system = session.system_prompt
    head = [Message(role="system", content=system)] if system else []
    document = {
        "format": FORMAT,
        "model": session.model,
        "settings": given_options(session.options),
        "messages": [to_json(message) for message in (*head, *session.messages)],
    }
    try:
        _replace(path, json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or error}.", "Give another place.") from error


def load(path: Path) -> Saved:
    """Read a saved conversation. Raises `OptionError` that says what is wrong with the file."""
    document = _document(path)
    try:
        written = document.get("messages")
        messages = _MESSAGES.validate_python([*map(from_json, written)] if isinstance(written, list) else written)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(str(part) for part in ("messages", *first["loc"]))
        raise OptionError(f"{path}: {where}: {first['msg']}.", "Correct it there.") from error
    except ValueError as error:
        raise OptionError(f"{path}: {error}.", "Correct it there.") from error
    try:
        options = options_from_json(document.get("settings", {}))
    except OptionError as error:
        raise OptionError(f"{path}: settings: {error.message}", error.hint) from error
    system = ""
    if messages and messages[0].role == "system":
        system, messages = _text(path, messages[0], 0), messages[1:]
    _check_turns(path, messages, 1 if system else 0)
    return Saved(str(document.get("model", "")), system, options, messages)


def _document(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise OptionError(f"{path}: {'not a file' if path.exists() else 'no such file'}.", "Check the name.")
        if path.stat().st_size > LARGEST:
            raise OptionError(f"{path}: too large for a conversation.", "Check the name.")
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or error}.", "Check the name.") from error
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{path}: not a saved conversation, no JSON.", "Files come from /save.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise OptionError(f"{path}: not a saved conversation.", f'Files come from /save and say "format": "{FORMAT}".')
    return document


def _check_turns(path: Path, messages: tuple[Message, ...], first: int) -> None:
    for number, message in enumerate(messages):
        expected = "assistant" if number % 2 else "user"
        if message.role != expected:
            where = f"{path}: messages/{number + first}"
            raise OptionError(f"{where} is the {message.role}'s.", f"It is the {expected}'s turn.")
        _text(path, message, number + first)
    if len(messages) % 2:
        raise OptionError(f"{path}: the last message has no answer.", "Remove it, or add the assistant's.")


def _text(path: Path, message: Message, number: int) -> str:
    if not isinstance(message.content, str) and not (message.role == "user" and images_of(message)):
        raise OptionError(f"{path}: messages/{number} has no text.", 'Give "content" a string.')
    return text_of(message)


def _replace(path: Path, text: str) -> None:
    """Write beside the target, then rename: a crash leaves the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
