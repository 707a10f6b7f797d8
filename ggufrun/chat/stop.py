"""Stop strings: the answer's text is cut where the first one begins, and no part of one is ever let through."""

from collections.abc import Sequence

from ggufrun.chat.markers import scan


class StopFilter:
    """Lets text through up to the earliest stop string, holding back what may be the beginning of one.

    >>> stop = StopFilter(["END"])
    >>> stop.feed("fine E"), stop.feed("N or not"), stop.feed("END."), stop.hit
    ('fine ', 'EN or not', '', True)
    """

    __slots__ = ("_stops", "held", "hit")

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self.held = ""
        self.hit = False

    def feed(self, text: str) -> str:
        """The part of the text so far that can go out now."""
        if self.hit:
            return ""
        text = self.held + text
        clear, stop = scan(text, self._stops)
        self.hit = stop is not None
        self.held = "" if self.hit else text[clear:]
        return text[:clear]

    def finish(self) -> str:
        """No more text comes: what was held back, up to a stop string that an unfinished longer one was hiding."""
        text, self.held = self.held, ""
        found = [at for at in map(text.find, self._stops) if at != -1]
        if not found:
            return text
        self.hit = True
        return text[: min(found)]
