"""An answer's text and structural tokens to events: thinking, tool calls, and the text that is neither.

Only the answer's form is known here, not its tokens (`output.py`) and not the formats of tool calls (`parse_*.py`).
"""

from collections.abc import Callable

from ggufrun.chat.markers import scan
from ggufrun.chat.parse_call import CallNumbers, Delta, new_call_id
from ggufrun.chat.parse_hermes import CLOSE, OPEN, HermesCall
from ggufrun.chat.parse_mistral import ARGS, CALL_ID, MistralCall
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import TextDelta, ThinkingDelta

THINK, END_THINK = "<think>", "</think>"
THINK_TOKEN, END_THINK_TOKEN, TOOL_CALLS = "[THINK]", "[/THINK]", "[TOOL_CALLS]"

_Mode = Callable[[str, list[Delta]], str]


def structural_tokens(style: OutputStyle) -> dict[int, str]:
    """The tokens that `OutputParser.marker` wants to hear of, by id."""
    names: tuple[str, ...] = ()
    if style.thinking == "tokens":
        names += (THINK_TOKEN, END_THINK_TOKEN)
    if style.tool_calls == "mistral":
        names += (TOOL_CALLS, CALL_ID, ARGS)
    return {style.special[name]: name for name in names if name in style.special}


def text_markers(style: OutputStyle) -> tuple[str, ...]:
    """The markers looked for in the text; some vocabularies have them as special tokens, which must print then."""
    thinking = (THINK, END_THINK) if style.thinking == "markers" else ()
    return thinking + ((OPEN, CLOSE) if style.tool_calls == "hermes" else ())


class OutputParser:
    """One choice's text, cut into events. However the text is cut into pieces, the events add up to the same.

    `<think>` counts at the beginning of the answer only, so that an answer may speak about it. White space around
    `<think>` parts and behind tool calls is dropped. A call that cannot be read comes out as the text that it is.
    """

    def __init__(self, style: OutputStyle, choice: int = 0, new_id: Callable[[], str] = new_call_id) -> None:
        self._choice = choice
        self._by_marker = style.thinking == "markers"
        self._calls_by_text = style.tool_calls == "hermes"
        self._call: HermesCall | MistralCall | None = None
        self._thought = False  # some of the current thinking part has gone out
        self._mode: _Mode = self._opening if self._by_marker else self._text
        if style.starts_in_thinking and style.thinking != "none":
            self._mode = self._thinking
        self.numbers = CallNumbers(choice, new_id)
        self.held = ""

    @property
    def in_text(self) -> bool:
        """Whether the next characters are, as far as is known, the answer's text."""
        return self._call is None and self._mode != self._thinking

    def text(self, text: str) -> list[Delta]:
        out: list[Delta] = []
        while text:
            text = self._mode(text, out)
        return out

    def marker(self, name: str) -> list[Delta]:
        """A structural token, by name; one that means nothing here is ignored."""
        out: list[Delta] = []
        if name in (CALL_ID, ARGS):
            if isinstance(self._call, MistralCall):
                self._call.marker(name, out)
        elif name == END_THINK_TOKEN:
            if self._mode == self._thinking:
                self._leave(out)
                self._mode = self._text
        elif name == TOOL_CALLS or self._mode != self._thinking:
            self._leave(out)
            self._mode = self._thinking
            if name == TOOL_CALLS:
                self._call = MistralCall(self.numbers, self._choice)
                self._mode = self._calling
        return out

    def finish(self) -> list[Delta]:
        """The answer ends here: what was held back."""
        out: list[Delta] = []
        if self._call is not None:
            self._call.finish(out)
        self._release(out)
        self._call = None
        return out

    def _leave(self, out: list[Delta]) -> None:
        """End whatever part is open, because a token says that another begins."""
        if self._call is not None:
            self._call.finish(out)
            self._call = None
        self._release(out)
        if self._mode == self._thinking and self._thought:
            out.append(ThinkingDelta("", self._choice, closed=True))
        self._thought = False

    def _release(self, out: list[Delta]) -> None:
        held, self.held = self.held, ""
        if not held:
            return
        if self._mode != self._thinking:
            out.append(TextDelta(held, self._choice))
        elif held.strip():
            out.append(ThinkingDelta(held, self._choice))
            self._thought = True

    def _opening(self, text: str, out: list[Delta]) -> str:
        text, self.held = self.held + text, ""
        rest = text.lstrip()
        if rest.startswith(THINK):
            self._mode = self._thinking
            return rest[len(THINK) :]
        if THINK.startswith(rest):
            self.held = text
            return ""
        self._mode = self._text
        return text

    def _text(self, text: str, out: list[Delta]) -> str:
        if not self._calls_by_text:
            out.append(TextDelta(text, self._choice))
            return ""
        text = self.held + text
        clear, marker = scan(text, (OPEN,))
        if clear:
            out.append(TextDelta(text[:clear], self._choice))
        if marker is None:
            self.held = text[clear:]
            return ""
        self.held = ""
        self._call = HermesCall(self.numbers, self._choice)
        self._mode = self._calling
        return text[clear + len(marker) :]

    def _thinking(self, text: str, out: list[Delta]) -> str:
        if not self._by_marker:
            out.append(ThinkingDelta(text, self._choice))
            self._thought = True
            return ""
        text, self.held = self.held + text, ""
        if not self._thought:
            text = text.lstrip()
        clear, marker = scan(text, (END_THINK,))
        part = text[:clear].rstrip()
        closed = marker is not None
        if part or (closed and self._thought):
            out.append(ThinkingDelta(part, self._choice, closed))
            self._thought = True
        if not closed:
            self.held = text[len(part) :]
            return ""
        self._thought = False
        self._mode = self._behind
        return text[clear + len(END_THINK) :]

    def _behind(self, text: str, out: list[Delta]) -> str:
        """Behind a thinking part or a call: white space is dropped."""
        text = text.lstrip()
        if text:
            self._mode = self._text
        return text

    def _calling(self, text: str, out: list[Delta]) -> str:
        call = self._call
        assert call is not None
        rest = call.text(text, out)
        if rest is None:
            return ""
        self._call = None
        self._mode = self._behind if call.made else self._text
        return rest
