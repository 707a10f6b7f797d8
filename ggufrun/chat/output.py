"""One choice's way out: token ids → text → thinking, tool calls and text → stop strings → events.

Stop strings apply to the answer's text only: thinking and tool calls pass, and none is found across one of these.
Logprobs too are given for the answer's text only. This runs once for each token of each stream, on the event loop.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ggufrun.chat.decode import Detokenizer
from ggufrun.chat.logprobs import LogprobQueue
from ggufrun.chat.parse import OutputParser, structural_tokens, text_markers
from ggufrun.chat.parse_call import Delta, new_call_id
from ggufrun.chat.stop import StopFilter
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import Logprob, TextDelta, ThinkingDelta, ToolCallDelta
from ggufrun.engine.types import TokenLogprob
from ggufrun.engine.vocabulary import Vocabulary


class ChoiceOutput:
    """Events of one choice. `stopped` is set when a stop string, or the end of the only call allowed, has ended it."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        style: OutputStyle,
        *,
        stops: Sequence[str] = (),
        choice: int = 0,
        skip_spaces: int = 0,
        single_call: bool = False,
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        shown = {marker.encode() for marker in text_markers(style)}
        self._decoder = Detokenizer(vocabulary, shown=shown, skip_spaces=skip_spaces)
        self._parser = OutputParser(style, choice, new_id)
        self._structural = structural_tokens(style)
        self._ids = frozenset(self._structural)
        self._stop = StopFilter(stops) if stops else None
        self._single_call = single_call
        self._choice = choice
        self._logprobs = LogprobQueue(vocabulary)
        self._sent = 0  # characters of text that have gone out; counted for logprobs only
        self._call_sent = False
        self.stopped = False

    @property
    def found_stop(self) -> str | None:
        """The stop string that ended the answer."""
        return self._stop.found if self._stop is not None else None

    @property
    def called(self) -> bool:
        """Whether a tool call has gone out."""
        return self._parser.numbers.begun > 0

    def feed(self, tokens: Sequence[int], logprobs: Sequence[TokenLogprob] = ()) -> list[Delta]:
        """What these tokens let out, neighbouring pieces of one kind joined. Nothing once stopped."""
        if self.stopped:
            return []
        if logprobs:
            return self._feed_each(tokens, logprobs)
        deltas = self._read(tokens)
        if len(deltas) > 1 or self._stop is not None or self._single_call:
            deltas = self._pass(deltas)
        return deltas

    def finish(self) -> list[Delta]:
        """The answer has ended: what was held back."""
        if self.stopped:
            return []
        text = self._decoder.finish()
        deltas = self._parser.text(text) if text else []
        deltas = self._pass(deltas + self._parser.finish())
        if self._stop is not None and not self.stopped:
            self._release(self._stop, deltas)
        self._sent += sum(len(delta.text) for delta in deltas if type(delta) is TextDelta)
        return self._with_logprobs(deltas, self._logprobs.release(self._sent if self.stopped else None))

    def _read(self, tokens: Sequence[int]) -> list[Delta]:
        if self._ids.isdisjoint(tokens):
            text = self._decoder.feed(tokens)
            return self._parser.text(text) if text else []
        deltas: list[Delta] = []
        begin = 0
        for at, token in enumerate(tokens):
            if token in self._ids:
                text = self._decoder.feed(tokens[begin:at]) + self._decoder.finish()
                deltas += self._parser.text(text)
                deltas += self._parser.marker(self._structural[token])
                begin = at + 1
        deltas += self._parser.text(self._decoder.feed(tokens[begin:]))
        return deltas

    def _pass(self, deltas: list[Delta]) -> list[Delta]:
        """Cut at stop strings and behind the only call, and join neighbours of one kind."""
        out: list[Delta] = []
        for delta in deltas:
            if self._single_call and self._is_too_much(delta):
                self.stopped = True
                break
            if self._stop is None:
                _append(out, delta)
            elif type(delta) is TextDelta:
                text = self._stop.feed(delta.text)
                if text:
                    _append(out, TextDelta(text, self._choice))
                self.stopped = self._stop.hit
            else:
                self._release(self._stop, out)
                if not self.stopped:
                    _append(out, delta)
            if self.stopped:
                break
            self._call_sent = self._call_sent or type(delta) is ToolCallDelta
        if self._single_call and self._parser.numbers.done:
            self.stopped = True
        return out

    def _is_too_much(self, delta: Delta) -> bool:
        if type(delta) is ToolCallDelta:
            return delta.index > 0
        return self._call_sent and self._parser.numbers.done > 0

    def _release(self, stop: StopFilter, out: list[Delta]) -> None:
        """Let out what the filter holds, because no more text follows here."""
        text = stop.finish()
        if text:
            _append(out, TextDelta(text, self._choice))
        self.stopped = stop.hit

    def _feed_each(self, tokens: Sequence[int], logprobs: Sequence[TokenLogprob]) -> list[Delta]:
        out: list[Delta] = []
        for token, value in zip(tokens, logprobs, strict=True):
            if self._parser.in_text:
                held = len(self._stop.held) if self._stop is not None else 0
                self._logprobs.add(self._sent + held + len(self._parser.held), value)
            deltas = self._pass(self._read((token,)))
            self._sent += sum(len(delta.text) for delta in deltas if type(delta) is TextDelta)
            for delta in self._with_logprobs(deltas, self._logprobs.release(self._sent)):
                _append(out, delta)
            if self.stopped:
                break
            if not self._parser.in_text:
                self._logprobs.clear()
        return out

    def _with_logprobs(self, deltas: list[Delta], logprobs: tuple[Logprob, ...]) -> list[Delta]:
        """Put the logprobs on the last text delta, or on an empty one of their own."""
        if not logprobs:
            return deltas
        for at in reversed(range(len(deltas))):
            delta = deltas[at]
            if type(delta) is TextDelta:
                deltas[at] = replace(delta, logprobs=logprobs)
                return deltas
        return [*deltas, TextDelta("", self._choice, logprobs)]


def _append(out: list[Delta], delta: Delta) -> None:
    """Add to the last delta where both are pieces of one thing."""
    last = out[-1] if out else None
    if type(last) is TextDelta and type(delta) is TextDelta:
        out[-1] = TextDelta(last.text + delta.text, delta.choice, last.logprobs + delta.logprobs)
    elif type(last) is ThinkingDelta and type(delta) is ThinkingDelta and not last.closed:
        out[-1] = ThinkingDelta(last.text + delta.text, delta.choice, delta.closed)
    elif type(last) is ToolCallDelta and type(delta) is ToolCallDelta and last.index == delta.index:
        out[-1] = ToolCallDelta(last.index, last.id, last.name, last.arguments + delta.arguments, delta.choice)
    else:
        out.append(delta)
