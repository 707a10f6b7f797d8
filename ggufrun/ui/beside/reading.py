"""The chunks of a streamed answer of /v1/chat/completions, added up, in either dialect. No HTTP."""

from dataclasses import dataclass, field, replace
from typing import Any

from ggufrun.ui.beside.contender import Contender
from ggufrun.ui.errors import ApiError


@dataclass(slots=True)
class Reading:
    """Joins its pieces only where somebody looks: tokens come faster than anyone does."""

    _text: list[str] = field(default_factory=list)
    _thinking: list[str] = field(default_factory=list)
    _end: dict[str, Any] = field(default_factory=dict)  # fields of `Contender`

    def add(self, chunk: dict[str, Any]) -> None:
        """Raises ApiError where the chunk is the end of an answer that failed."""
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            self._thinking.append(delta.get("reasoning_content") or "")
            self._take(delta.get("content"))
            if choice.get("finish_reason"):
                self._end["finish"] = str(choice["finish_reason"])
        self._end |= {name: chunk[name] for name in ("usage", "timings") if chunk.get(name)}
        if chunk.get("error"):
            raise ApiError.of(0, chunk)

    def onto(self, contender: Contender) -> Contender:
        """The contender with what was read so far."""
        text, thinking = "".join(self._text), "".join(self._thinking)
        self._text, self._thinking = [text], [thinking]
        stage = contender.stage
        if not contender.over and (text or thinking):
            stage = "answering" if text else "thinking"
        return replace(contender, stage=stage, text=text, thinking=thinking, **self._end)

    def _take(self, content: object) -> None:
        if isinstance(content, str):
            self._text.append(content)
        elif isinstance(content, list):
            for part in content:
                if part.get("type") == "thinking":
                    self._thinking += [each.get("text") or "" for each in part.get("thinking") or ()]
                else:
                    self._text.append(part.get("text") or "")
