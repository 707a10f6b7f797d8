"""What one browser tab shows of a chat, and the answer that it reads along. Kept from event to event."""

from collections.abc import Sequence

from ggufrun.ui.chat.conversation import Conversation, Said
from ggufrun.ui.chat.pace import Reading
from ggufrun.ui.chat.rows import Row, rows


class Tab:
    """For the event loop's thread. What turns to another chat, or asks for an answer, ends what was read before."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.shown: Sequence[Row] = ()  # of the finished messages
        self._reading: Reading | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an answer of this chat is under way."""
        return self._reading is not None

    def turn(self) -> Reading:
        """The page is the caller's until it is over, or somebody else's: `left` says so."""
        self.over()
        self._reading = Reading()
        return self._reading

    def over(self) -> None:
        if self._reading is not None:
            self._reading.leave()
        self._reading = None

    def show(self, conversation: Conversation) -> None:
        """The answer that is under way is not among the finished messages."""
        self.conversation = conversation
        as_json = conversation.settings.get("schema") is not None
        self.shown = rows(finished_of(conversation), as_json=as_json)


def finished_of(conversation: Conversation) -> Sequence[Said]:
    last = conversation.last
    under_way = conversation.run is not None and last is not None and last.role == "assistant"
    return conversation.branch[:-1] if under_way else conversation.branch
