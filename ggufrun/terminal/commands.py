"""The chat's slash commands: what each one does to the session. Printing and asking the model are chat.py's."""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ggufrun.chat.types import ChatOptions
from ggufrun.errors import OptionError
from ggufrun.terminal import archive
from ggufrun.terminal.images import named, read_image
from ggufrun.terminal.options import NONE, OPTIONS, default_options, find, given_options, set_option
from ggufrun.terminal.session import Session


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the chat says, and does, after a command."""

    lines: tuple[str, ...] = ()
    then: Literal["go on", "retry", "exit"] = "go on"


@dataclass(frozen=True, slots=True)
class Command:
    usage: str
    summary: str
    run: Callable[[Session, str], Outcome]


def is_command(line: str) -> bool:
    """A line that starts with a slash; one that starts with a space and then a slash is a message."""
    return line.startswith("/")


def run_command(session: Session, line: str) -> Outcome:
    """Run one line that starts with a slash. Raises `OptionError`; the session is then as before."""
    name, _, rest = line.rstrip().partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        near = difflib.get_close_matches(name, COMMANDS, n=3, cutoff=0.5)
        hint = f"Did you mean {', '.join(near)}?" if near else "/help lists them."
        raise OptionError(f"No command is called {name}.", f"{hint} (A message may start with a slash after a space.)")
    return command.run(session, rest.strip())


def _help(session: Session, rest: str) -> Outcome:
    width = max(len(command.usage) for command in COMMANDS.values())
    lines = [f"{command.usage:<{width}}  {command.summary}" for command in COMMANDS.values()]
    keys = (
        "/set stop none leaves out the stop strings that the settings have; /set stop default brings them back.",
        "Enter sends; Alt-Enter (or Esc, then Enter) starts a new line; pasted lines stay together.",
        "Tab completes, Up and Down walk through the history, Ctrl-X Ctrl-E opens $EDITOR.",
        "Ctrl-C stops an answer or clears the line; twice, or Ctrl-D, leaves.",
        "A space before the slash sends a line as a message.",
    )
    return Outcome((*lines, "", *keys))


def _system(session: Session, rest: str) -> Outcome:
    if rest == "none":
        session.system = ""
        return Outcome(("No system prompt from the next message on.",))
    if rest == "default":
        session.system = session.first_system
        return Outcome((f"From the next message on as at the start. {_system_prompt(session)}",))
    if rest:
        session.system = rest
        return Outcome(("The system prompt holds from the next message on.",))
    explained = "/system TEXT sets it, /system none removes it, /system default takes that back."
    return Outcome((_system_prompt(session), explained))


def _system_prompt(session: Session) -> str:
    label = "System prompt by default" if session.system is None else "System prompt"
    return f"{label}: {session.system_prompt}" if session.system_prompt else "There is no system prompt."


def _set(session: Session, rest: str) -> Outcome:
    if not rest:
        defaults = {name: f"{value} by default" for name, value in default_options(session.defaults).items()}
        values = {**dict.fromkeys(OPTIONS, "default"), **defaults, **given_options(session.options)}
        lines = [f"{name} = {_shown(values[name])}  ({option.accepts})" for name, option in OPTIONS.items()]
        return Outcome((*lines, "/set NAME VALUE changes one, /set NAME default takes it back."))
    name, _, text = rest.partition(" ")
    if not text.strip():
        raise OptionError(f"/set {name} needs a value.", f"{find(name).name} takes {find(name).accepts}.")
    session.options = set_option(session.options, name, text.strip())
    return Outcome((_settings(session.options),))


def _retry(session: Session, rest: str) -> Outcome:
    session.ask_again()  # refuses where there is nothing to retry
    temperature = session.options.temperature
    if (session.defaults.temperature if temperature is None else temperature) == 0:
        return Outcome(("The temperature is 0, so the answer may be the same: /set temperature 0.7",), "retry")
    return Outcome((), "retry")


def _save(session: Session, rest: str) -> Outcome:
    path = _path(rest) or session.file
    if path is None:
        raise OptionError("/save needs a file name.", "For example /save talk.json.")
    archive.save(session, path)
    session.file = path
    return Outcome((f"Saved {len(session.messages)} messages to {path}.",))


def _load(session: Session, rest: str) -> Outcome:
    path = _path(rest)
    if path is None:
        raise OptionError("/load needs a file name.", "For example /load talk.json.")
    saved = archive.load(path)
    session.messages, session.system, session.options = list(saved.messages), saved.system, saved.options
    session.file = path
    lines = [f"Loaded {len(saved.messages)} messages from {path}.", _settings(saved.options)]
    if saved.model and saved.model != session.model:
        lines.append(f"They were written with {saved.model}; {session.model} goes on with them.")
    return Outcome(tuple(lines))


def _image(session: Session, rest: str) -> Outcome:
    if rest == NONE:
        session.images = []
    elif (path := _path(rest)) is not None:
        if not session.sees:
            hint = "Its mmproj file is what it lacks: `ggufrun pull` fetches it, --mmproj FILE names it."
            raise OptionError(f"{session.model} cannot see images.", hint)
        session.images = [*session.images, read_image(path)]
    if not session.images:
        return Outcome(("No image goes with the next message; /image FILE attaches one.",))
    return Outcome((f"With the next message: {', '.join(map(named, session.images))}.",))


def _clear(session: Session, rest: str) -> Outcome:
    session.messages, session.images = [], []
    return Outcome(("A new conversation; the system prompt and the settings stay.",))


def _exit(session: Session, rest: str) -> Outcome:
    return Outcome((), "exit")


def _path(text: str) -> Path | None:
    text = text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
    return Path(os.path.expanduser(text)) if text else None


def _settings(options: ChatOptions) -> str:
    given = given_options(options)
    return "Settings: " + (", ".join(f"{name} = {_shown(value)}" for name, value in given.items()) or "all default")


def _shown(value: object) -> object:
    return NONE if value == [] else value


COMMANDS: Mapping[str, Command] = {
    "/help": Command("/help", "show this", _help),
    "/system": Command(
        "/system TEXT", "set the system prompt; alone: show it; none: remove it; default: as at the start", _system
    ),
    "/set": Command(
        "/set NAME VALUE", "set an option, as in /set temperature 0.3; alone: show them; default: take it back", _set
    ),
    "/image": Command("/image FILE", "send an image with the next message; alone: show which; none: none", _image),
    "/retry": Command("/retry", "ask the last message again, with a new seed", _retry),
    "/save": Command("/save FILE", "write the conversation to a JSON file", _save),
    "/load": Command("/load FILE", "go on with a saved conversation", _load),
    "/clear": Command("/clear", "forget the conversation", _clear),
    "/exit": Command("/exit", "leave", _exit),
}
