"""Tool calls by special token, as Mistral's models write them.

Before v11: `[TOOL_CALLS]` and a JSON list of calls. From v11 on: `[TOOL_CALLS]name[ARGS]{…}` for each call, v11 itself
with `[CALL_ID]id` before `[ARGS]`. Which one it is shows in the text, so that both are read whatever the version.
"""

import re
from collections.abc import Callable

from ggufrun.chat.json_span import JsonSpan
from ggufrun.chat.parse_call import CallNumbers, Delta, JsonCall
from ggufrun.chat.types import TextDelta

CALL_ID, ARGS = "[CALL_ID]", "[ARGS]"

_NAME = re.compile(r"\s*[\w.\-:/]*\s*")
_ID = re.compile(r"[a-zA-Z0-9]{9}")

_Reader = Callable[[str, list[Delta]], str | None]


class MistralCall:
    """What follows one [TOOL_CALLS]: a named call, or a list of calls."""

    __slots__ = ("_choice", "_held", "_id", "_list", "_name", "_numbers", "_read", "_span", "made")

    def __init__(self, numbers: CallNumbers, choice: int) -> None:
        self._numbers, self._choice = numbers, choice
        self._read: _Reader = self._read_name
        self._held = self._name = self._id = ""
        self._span = JsonSpan()
        self._list: MistralList | None = None
        self.made = False

    def text(self, text: str, out: list[Delta]) -> str | None:
        """None while the call goes on, else the text behind it."""
        return self._read(text, out)

    def marker(self, name: str, out: list[Delta]) -> None:
        """[CALL_ID] or [ARGS]; either is ignored where it means nothing."""
        if self._read == self._read_name and self._held.strip():
            self._name, self._held = self._held.strip(), ""
            self._read = self._read_id if name == CALL_ID else self._read_arguments
        elif self._read == self._read_id and name == ARGS:
            self._id = self._held.strip() if _ID.fullmatch(self._held.strip()) else ""
            self._held = ""
            self._read = self._read_arguments

    def finish(self, out: list[Delta]) -> None:
        """The answer, or this call, ends here: what was not sent as a call is given back as text."""
        if self._list is not None:
            self._list.finish(out)
        elif not self.made:
            self._give_back("", out)

    def _give_back(self, text: str, out: list[Delta]) -> None:
        plain = self._name + self._held + text
        if plain:
            out.append(TextDelta(plain, self._choice))

    def _read_name(self, text: str, out: list[Delta]) -> str | None:
        text, self._held = self._held + text, ""
        if text.lstrip()[:1] in ("[", "{"):
            self._list = MistralList(self._numbers, self._choice)
            self._read = self._read_list
            return self._read_list(text, out)
        end = self._end_of_word(text)
        if end == len(text):
            self._held = text
            return None
        if text[end] == "{":  # [ARGS] forgotten
            self._name = text[:end].strip()
            self._read = self._read_arguments
            return self._read_arguments(text[end:], out)
        self._give_back(text[:end], out)
        return text[end:]

    def _read_id(self, text: str, out: list[Delta]) -> str | None:
        text = self._held + text
        end = self._end_of_word(text)
        self._held = text[:end]
        if end == len(text):
            return None
        self._give_back("", out)
        return text[end:]

    @staticmethod
    def _end_of_word(text: str) -> int:
        word = _NAME.match(text)
        return word.end() if word else 0

    def _read_arguments(self, text: str, out: list[Delta]) -> str | None:
        used = self._span.feed(text)
        part = text[:used]
        if self.made and part:
            out.append(self._numbers.more(part))
        elif self._span.broken:
            self._give_back(part, out)
        elif part.strip():
            out.append(self._numbers.begin(self._name, part.lstrip(), self._id))
            self.made = True
        else:
            self._held += part
        if not (self._span.over or self._span.broken):
            return None
        self._numbers.done += self._span.over
        return text[used:]

    def _read_list(self, text: str, out: list[Delta]) -> str | None:
        assert self._list is not None
        rest = self._list.text(text, out)
        self.made = self._list.made
        return rest


class MistralList:
    """A JSON list of calls, or one bare call, read element by element."""

    __slots__ = ("_call", "_choice", "_numbers", "_open", "_unsent", "made")

    def __init__(self, numbers: CallNumbers, choice: int) -> None:
        self._numbers, self._choice = numbers, choice
        self._call: JsonCall | None = None
        self._open = False  # behind the list's bracket
        self._unsent = ""  # brackets and commas since the last call
        self.made = False

    def text(self, text: str, out: list[Delta]) -> str | None:
        """None while the list goes on, else the text behind it."""
        while text:
            if self._call is None:
                step, ended = self._between(text)
            else:
                step, ended = self._element(self._call, text, out)
            text = text[step:]
            if ended:
                return text
        return None

    def finish(self, out: list[Delta]) -> None:
        if self._call is not None:
            self._release(self._call, out)
        elif not self.made and self._unsent:
            out.append(TextDelta(self._unsent, self._choice))

    def _between(self, text: str) -> tuple[int, bool]:
        """Read one character between calls: (characters read, whether the list ends there)."""
        mark = text[0]
        if mark == "{":
            self._call = JsonCall(self._numbers)
            return 0, False
        if mark == "]" and self._open:
            return 1, True
        if not (mark.isspace() or (mark == "," and self._open) or (mark == "[" and not self._open)):
            return 0, True
        self._open = self._open or mark == "["
        self._unsent += mark
        return 1, False

    def _element(self, call: JsonCall, text: str, out: list[Delta]) -> tuple[int, bool]:
        used = call.feed(text, out)
        self.made = self.made or call.made
        if not call.ended:
            return used, False
        self._release(call, out)
        self._call = None
        return used, not (call.made and self._open)

    def _release(self, call: JsonCall, out: list[Delta]) -> None:
        plain = call.close(out)
        self.made = self.made or call.made
        if not call.made:
            plain = self._unsent + plain
        self._unsent = ""
        if plain:
            out.append(TextDelta(plain, self._choice))
