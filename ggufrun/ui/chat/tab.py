"""What one browser tab shows of a chat, and the answer that it reads along. Kept from event to event."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from ggufrun.ui.chat.conversation import Conversation, Said
from ggufrun.ui.chat.pace import Reading
from ggufrun.ui.chat.pictures import Pictures
from ggufrun.ui.chat.rows import Row, rows
from ggufrun.ui.chat.verdict import schema_text, warmed

Asked = tuple[str, tuple[str, ...]]  # text and files
_BRIEF: Final = 1000  # characters at either end of a long text, by which the page's script knows it (`assets/ask.js`)


class Taken(NamedTuple):
    """What stood in the box and came to the server, for the page's script, which empties the box of nothing else."""

    times: int = 0  # how often something did
    chats: Sequence[str] = ()  # of which it was; "": of none yet
    text: str = ""  # in brief
    files: int = 0


class Tab:
    """For the event loop's thread. What turns to another chat, or asks for an answer, ends what was read before."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.shown: Sequence[Row] = ()  # of the finished messages
        self.wanted = ""  # the chat that was last asked for: it is shown once it is here
        self.click = 0  # the number of the click that has asked for it, as the browser counts them
        self.asked: Asked = ("", ())  # what stood in the box when it was last sent
        self.taken = Taken()
        self.opens = 0  # how often another chat was opened
        self.asking: dict[int, Reading] = {}  # of what was asked and is not with the server yet, by `opens` of then
        self.begun: set[str] = set()  # runs that were asked for here; of others this tab only reads along
        self.applying = False  # the settings of the chat that was opened are not in the page's fields yet
        self.pictures = Pictures()
        self._reading: Reading | None = None

    @property
    def reading(self) -> Reading | None:
        return self._reading

    @property
    def is_busy(self) -> bool:
        """Whether an answer of this chat is under way, or another chat is being opened."""
        return self._reading is not None

    @property
    def is_opening(self) -> bool:
        """Whether another chat was asked for, and is not here."""
        return self.wanted != self.conversation.id

    def turn(self) -> Reading:
        """The page is the caller's until it is over, or somebody else's: `left` says so."""
        self.over()
        self._reading = Reading()
        return self._reading

    @contextmanager
    def turned(self) -> Iterator[Reading]:
        """`turn`, and over in the end, whatever happens; unless there is an answer now that goes on."""
        reading = self.turn()
        try:
            yield reading
        except BaseException:
            reading.live = None
            raise
        finally:
            if not reading.left and reading.live is None:
                self.over()

    def over(self) -> None:
        if self._reading is not None:
            self._reading.leave()
        self._reading = None

    async def prepare(self, conversation: Conversation) -> None:
        """What takes long of showing it, in other threads."""
        await self.pictures.make(conversation.id, conversation.branch)
        await warmed(conversation.branch, conversation.settings.get("schema"))

    def rows_of(self, conversation: Conversation) -> Sequence[Row]:
        """The answer that is read along is not among the finished messages."""
        hidden = self._reading is not None and self._reading.live is not None and conversation.run is not None
        said = finished_of(conversation) if hidden else conversation.branch
        return rows(said, schema=schema_text(conversation.settings.get("schema")), pictures=self.pictures)

    def show(self, conversation: Conversation) -> None:
        self.shown, self.conversation = self.rows_of(conversation), conversation

    def was_taken(self, sent: Asked, *chats: str) -> None:
        text, files = sent
        brief = text if len(text) <= 2 * _BRIEF else text[:_BRIEF] + text[-_BRIEF:]
        self.taken = Taken(self.taken.times + 1, chats, brief, len(files))


def asked_in(value: dict[str, Any] | None) -> Asked:
    """`value`: of the box."""
    given = value or {}
    return str(given.get("text") or ""), tuple(map(str, given.get("files") or ()))


def finished_of(conversation: Conversation) -> Sequence[Said]:
    last = conversation.last
    return conversation.branch[:-1] if last is not None and last.role == "assistant" else conversation.branch
