"""Stop strings: the answer's text is cut where the first one begins, and no part of one is ever let through."""

from collections.abc import Sequence

from ggufrun.chat.markers import scan


class StopFilter:
    """Lets text through up to the earliest stop string, holding back what may be the beginning of one.

    >>> stop = StopFilter(["END"])
    >>> stop.feed("fine E"), stop.feed("N or not"), stop.feed("END."), stop.hit
    ('fine ', 'EN or not', '', True)
    """

    __slots__ = ("_stops", "found", "held")

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self.held = ""
        self.found: str | None = None  # the stop string that the text was cut at

    @property
    def hit(self) -> bool:
        return self.found is not None

    def feed(self, text: str) -> str:
        """The part of the text so far that can go out now."""
        if self.hit:
            return ""
        text = self.held + text
        clear, self.found = scan(text, self._stops)
        self.held = "" if self.hit else text[clear:]
        return text[:clear]

    def finish(self) -> str:
        """No more text comes: what was held back, up to a stop string that an unfinished longer one was hiding."""
        text, self.held = self.held, ""
        found = [(at, stop) for stop in self._stops if (at := text.find(stop)) != -1]
        if not found:
            return text
        at, self.found = min(found)
        return text[:at]
