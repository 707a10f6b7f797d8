"""The pieces of a choice's tool calls, numbered from 0, with an id and a name in the first piece of each."""

import json
from typing import Any, Final

from ggufrun.chat.parse_call import new_call_id
from ggufrun.chat.types import ToolCallDelta

_NO_ID: Final = (None, "", "null")  # "null" is what Mistral's API writes


class _Call:
    __slots__ = ("id", "index", "name", "said", "waiting")

    def __init__(self, index: int, id: str) -> None:
        self.index, self.id = index, id
        self.name = ""  # "" until it has come: nothing goes out before
        self.waiting = ""
        self.said = False  # some arguments have gone out


class Calls:
    """`single`: calls behind the first one are left out."""

    def __init__(self, *, single: bool) -> None:
        self._single = single
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}  # the remote's numbers; the latest call of each

    @property
    def called(self) -> bool:
        return bool(self._calls)

    def read(self, pieces: Any, choice: int) -> list[ToolCallDelta]:
        events = []
        for piece in pieces:
            call = self._of(piece)
            function = piece.get("function") or {}
            name = function.get("name") or ""
            if not isinstance(name, str):
                raise TypeError("a call's name is no text")
            arguments = function.get("arguments") or ""
            if not isinstance(arguments, str):
                arguments = json.dumps(arguments, ensure_ascii=False)
            event = self._piece(call, name, arguments, choice)
            if event is not None and not (self._single and call.index):
                events.append(event)
        return events

    def finish(self, choice: int) -> list[ToolCallDelta]:
        """What makes the arguments of calls without any JSON."""
        bare = [call for call in self._calls if call.name and not call.said and not (self._single and call.index)]
        return [ToolCallDelta(call.index, call.id, "", "{}", choice) for call in bare]

    def _of(self, piece: Any) -> _Call:
        """The call that a piece belongs to. Some engines number all whole calls 0, or none of them."""
        written, id = piece.get("index"), piece.get("id")
        name = (piece.get("function") or {}).get("name")
        index = written if isinstance(written, int) else len(self._calls) - (0 if name or not self._calls else 1)
        known = self._by_index.get(index)
        another = known is not None and name and known.name and id not in (*_NO_ID, known.id)
        if known is None or another:
            known = _Call(len(self._calls), new_call_id() if id in _NO_ID else str(id))
            self._calls.append(known)
            self._by_index[index] = known
        return known

    def _piece(self, call: _Call, name: str, arguments: str, choice: int) -> ToolCallDelta | None:
        call.said = call.said or bool(arguments)
        if call.name:
            return ToolCallDelta(call.index, call.id, "", arguments, choice) if arguments else None
        call.waiting += arguments
        if not name:
            return None
        call.name, waiting = name, call.waiting
        return ToolCallDelta(call.index, call.id, name, waiting, choice)
