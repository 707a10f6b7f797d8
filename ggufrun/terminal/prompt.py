"""The input line: prompt_toolkit with our keys, persistent history and tab completion. It knows no model."""

from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output

from ggufrun.terminal.commands import COMMANDS
from ggufrun.terminal.options import NONE, OPTIONS

LEAVE_HINT = "Ctrl-C again, Ctrl-D or /exit leaves."


class InputLine:
    """Reads what the user types. `read` gives the text, or None when the user leaves."""

    def __init__(self, history: Path | None, source: Input | None = None, output: Output | None = None) -> None:
        self._interrupted = False  # the last thing that happened on the line was Ctrl-C
        self._pending = False  # Ctrl-C came while nobody was reading
        self._session: PromptSession[str] = PromptSession(
            history=_history(history),
            completer=CommandCompleter(),
            complete_while_typing=False,
            multiline=True,
            prompt_continuation="... ",
            key_bindings=self._keys(),
            enable_open_in_editor=True,
            input=source,
            output=output,
        )

    async def read(self, draft: str = "") -> str | None:
        """One message or command; `draft` is on the line already. A second Ctrl-C or an end of input gives None."""
        while True:
            try:
                text = await self._prompt(draft)
            except EOFError:
                return None
            except KeyboardInterrupt:
                if self._interrupted:
                    return None
                self._interrupted, draft = True, ""
                self._session.output.write(f"{LEAVE_HINT}\n")
                self._session.output.flush()
                continue
            self._interrupted = False
            return text

    def interrupt(self) -> None:
        """Ctrl-C from outside the keyboard's raw mode: as if it had been typed, now or on the next line."""
        if self._session.app.is_running:
            self._session.app.key_processor.send_sigint()
        else:
            self._pending = True

    async def _prompt(self, draft: str) -> str:
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt
        return await self._session.prompt_async(">>> ", default=draft, handle_sigint=False)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("enter")
        def send(event: KeyPressEvent) -> None:
            event.current_buffer.validate_and_handle()

        @keys.add("escape", "enter")
        def new_line(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @keys.add("c-c")
        @keys.add(Keys.SIGINT)
        def interrupt(event: KeyPressEvent) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
                self._interrupted = True
            else:
                event.app.exit(exception=KeyboardInterrupt)

        return keys


class CommandCompleter(Completer):
    """Commands, then what the command takes: option names and their words, or file names."""

    def __init__(self) -> None:
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        line = document.text_before_cursor
        if not line.startswith("/") or "\n" in line:
            return
        command, space, rest = line.partition(" ")
        if not space:
            yield from _matching(command, COMMANDS)
        elif command in ("/save", "/load", "/image"):
            yield from self._paths.get_completions(Document(rest), complete_event)
        elif command == "/system":
            yield from _matching(rest, ("none", "default"))
        elif command == "/set":
            name, space, value = rest.partition(" ")
            option = OPTIONS.get(name)
            if not space:
                yield from _matching(name, OPTIONS)
            elif option is not None:
                yield from _matching(value, (*option.words, *((NONE,) if option.kind == "strings" else ()), "default"))


def _matching(start: str, words: Iterable[str]) -> Iterable[Completion]:
    return (Completion(word, start_position=-len(start)) for word in words if word.startswith(start))


class _QuietFileHistory(FileHistory):
    """A history that goes on in memory where the file cannot be written (a full or read-only disk)."""

    def store_string(self, string: str) -> None:
        try:
            super().store_string(string)
        except OSError:
            return


def _history(path: Path | None) -> History:
    """The history file, readable by its owner only; in memory where there can be none."""
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.read_bytes()
    except OSError:
        return InMemoryHistory()
    return _QuietFileHistory(str(path))
