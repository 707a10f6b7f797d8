"""Tool calls in the text, as Hermes and Qwen write them: `<tool_call>{"name": …, "arguments": …}</tool_call>`."""

from ggufrun.chat.parse_call import CallNumbers, Delta, JsonCall
from ggufrun.chat.types import TextDelta

OPEN, CLOSE = "<tool_call>", "</tool_call>"


class HermesCall:
    """One call, read from behind its opening marker up to and with its closing one, which may be missing."""

    __slots__ = ("_call", "_choice", "_closing", "_held")

    def __init__(self, numbers: CallNumbers, choice: int) -> None:
        self._call = JsonCall(numbers)
        self._choice = choice
        self._closing = False
        self._held = ""

    @property
    def made(self) -> bool:
        return self._call.made

    def text(self, text: str, out: list[Delta]) -> str | None:
        """None while the call goes on, else the text behind it."""
        if not self._closing:
            used = self._call.feed(text, out)
            if not self._call.ended:
                return None
            self._closing = True
            self._release(out)
            text = text[used:]
            if not self._call.made:
                return text
        return self._close(text)

    def finish(self, out: list[Delta]) -> None:
        """The answer ends here: an unfinished call is given back as text."""
        if not self._closing:
            self._release(out)

    def _release(self, out: list[Delta]) -> None:
        plain = self._call.close(out)
        if not self._call.made:
            plain = OPEN + plain
        if plain:
            out.append(TextDelta(plain, self._choice))

    def _close(self, text: str) -> str | None:
        text = self._held + text
        rest = text.lstrip()
        if rest.startswith(CLOSE):
            return rest[len(CLOSE) :]
        if CLOSE.startswith(rest):
            self._held = text
            return None
        return text
