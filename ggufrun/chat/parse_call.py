"""One tool call that is written as a JSON object, read as it comes: the arguments go out while they are being written.

Nothing here knows what stands around the object; a call that cannot be read is given back as plain text.
"""

import json
import re
import secrets
import string
from collections.abc import Callable

from ggufrun.chat.json_span import JsonSpan
from ggufrun.chat.types import TextDelta, ThinkingDelta, ToolCallDelta

Delta = TextDelta | ThinkingDelta | ToolCallDelta

_ALPHABET = string.ascii_letters + string.digits
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"\\\x00-\x1f]+)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)')


def new_call_id() -> str:
    """Nine letters and digits: Mistral's validator accepts nothing else."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(9))


class CallNumbers:
    """Numbers one choice's tool calls and makes their events."""

    __slots__ = ("_choice", "_new_id", "begun", "done")

    def __init__(self, choice: int = 0, new_id: Callable[[], str] = new_call_id) -> None:
        self._choice, self._new_id = choice, new_id
        self.begun = self.done = 0

    def begin(self, name: str, arguments: str = "", call_id: str = "") -> ToolCallDelta:
        self.begun += 1
        return ToolCallDelta(self.begun - 1, call_id or self._new_id(), name, arguments, self._choice)

    def more(self, arguments: str) -> ToolCallDelta:
        return ToolCallDelta(self.begun - 1, "", "", arguments, self._choice)


class JsonCall:
    """Reads one `{"name": …, "arguments": {…}}`; `parameters` is taken for `arguments` too.

    Where the name comes first, the arguments' own text is sent on piece by piece. Else, and where they are a string,
    the call goes out when the object is complete.
    """

    __slots__ = ("_arguments", "_numbers", "_object", "_unsent", "made")

    def __init__(self, numbers: CallNumbers) -> None:
        self._numbers = numbers
        self._object = JsonSpan()
        self._arguments: JsonSpan | None = None
        self._unsent = ""
        self.made = False  # an event has gone out

    @property
    def ended(self) -> bool:
        return self._object.over or self._object.broken

    def feed(self, text: str, out: list[Delta]) -> int:
        """How many of these characters belong to the object; the rest stands behind it."""
        used = self._object.feed(text)
        self._unsent += text[:used]
        if self._arguments is None and (head := _HEAD.match(self._unsent)):
            self._arguments = JsonSpan()
            self._unsent = self._unsent[head.end() :]
            out.append(self._numbers.begin(head[1]))
            self.made = True
        if self._arguments is not None:
            self._send(self._arguments, out)
        return used

    def close(self, out: list[Delta]) -> str:
        """The object is over, broken or cut off: what of it could not be sent as a call, as plain text."""
        if self._arguments is not None:
            return "" if self._object.over else self._unsent.strip()
        call = _read(self._unsent) if self._object.over else None
        if call is None:
            return self._unsent
        out.append(self._numbers.begin(*call))
        self._numbers.done += 1
        self.made = True
        return ""

    def _send(self, arguments: JsonSpan, out: list[Delta]) -> None:
        if arguments.over:
            return
        used = arguments.feed(self._unsent)
        if used:
            out.append(self._numbers.more(self._unsent[:used]))
            self._unsent = self._unsent[used:]
        self._numbers.done += arguments.over


def _read(raw: str) -> tuple[str, str] | None:
    """Name and arguments of a complete call, or None where it is not one."""
    try:
        call = json.loads(raw)
        name, arguments = call.get("name"), call.get("arguments", call.get("parameters", {}))
        if isinstance(arguments, str):
            arguments = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(name, str) and name and name.isprintable() and isinstance(arguments, dict)):
        return None
    text = json.dumps(arguments, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, written as an escape
        text = json.dumps(arguments)
    return name, text
