"""The beginning of an answer that the request gave, and that the remote may send again: it is shown once."""


class Prefix:
    """Of one choice. Mistral's documents say that the answer has the prefix, not how a stream begins: both are read."""

    def __init__(self, text: str) -> None:
        self._left = text  # of what may still come of it
        self._held = ""

    def without(self, text: str) -> str:
        """What is new in a piece of the answer; "" while it may be the prefix."""
        if not self._left:
            return text
        if text.startswith(self._left):
            text = text[len(self._left) :]
        elif self._left.startswith(text):
            self._left, self._held = self._left[len(text) :], self._held + text
            return ""
        else:
            text = self._held + text
        self._left = self._held = ""
        return text

    def held(self) -> str:
        """What was taken for the prefix when the answer ended, and was not."""
        held, self._left, self._held = self._held if self._left else "", "", ""
        return held
