"""`ggufrun compare --blind A B`: one model answers all prompts, then the other; then the answers are voted on"""

import asyncio
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

from ggufrun.chat.types import ChatModel, ChatOptions, ChatRequest, Message
from ggufrun.commandline.opening import opened
from ggufrun.commandline.saved_chats import saved_chats
from ggufrun.commandline.table import printable
from ggufrun.compare.blind.file import read, write
from ggufrun.compare.blind.outcome import sentence
from ggufrun.compare.blind.prompts import MOST, read_prompts
from ggufrun.compare.blind.trial import BlindTest, Contender, Item
from ggufrun.compare.run.contender import Contender as File
from ggufrun.compare.run.contender import contenders
from ggufrun.compare.texts.chats import prompts_of
from ggufrun.errors import ModelFileError, OptionError, RequestError
from ggufrun.settings import EngineOverrides, ModelOverrides
from ggufrun.store.resolve import locate
from ggufrun.terminal.answer import Answer, read_answer
from ggufrun.terminal.progress import ProgressLine
from ggufrun.userconfig import data_folder

_SOURCES: Final = "Give --prompts FILE, or --chats for the questions of your saved chats."


@dataclass(frozen=True, slots=True)
class BlindOptions:
    """`out`: the folder of the test's file; None: `compare/blind` in the data folder. `overrides`: for both models."""

    prompts: Path | None = None
    chats: bool = False
    max_tokens: int = 300
    out: Path | None = None
    overrides: ModelOverrides = field(default_factory=ModelOverrides)


def blind(a: str, b: str, options: BlindOptions) -> None:
    """`a` and `b` as `ggufrun run` takes them. The same command goes on where it was left. Raises `GgufrunError`.

    Ctrl-C keeps all answers and votes, and is raised.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise OptionError("Votes are given by hand, and there is no terminal.", "Run it in one, or use the page.")
    home = data_folder(os.environ)
    items, files = _items(options, home), _files(a, b, home)
    path = _place(options, home, files, items)
    test = read(path)
    if test is None:
        settings = {"temperature": 0, "max_tokens": options.max_tokens, "sha256": [each.sha256 for each in files]}
        test = BlindTest.begun(*_names(files), items, seed=secrets.randbits(32), settings=settings)
    try:
        for contender, file in zip(get_args(Contender), files, strict=True):
            if test.missing(contender):
                test = asyncio.run(_answers(test, contender, file, options, path))
        test = asyncio.run(_voted(test, path))
    except KeyboardInterrupt:
        print(f"\n{_kept(path)}", flush=True)
        raise
    print(f"{printable(sentence(test))}\n{_kept(path)}", flush=True)


def _items(options: BlindOptions, home: Path) -> list[Item]:
    if (options.prompts is None) == (not options.chats):
        both = "--prompts and --chats contradict each other."
        raise OptionError(both if options.chats else "A blind test needs prompts.", _SOURCES)
    if options.prompts is not None:
        return [Item(prompt) for prompt in read_prompts(options.prompts)]
    asked = dict.fromkeys(prompts_of(saved_chats(home)))
    if not asked:
        raise OptionError("There are no saved chats with a question in them.", "Chat first, or give --prompts FILE.")
    return [Item(each.question, each.messages[:-1]) for each in asked][:MOST]


def _files(a: str, b: str, home: Path) -> tuple[File, File]:
    first, second = contenders([locate(spec, home) for spec in (a, b)], home)
    for each in (first, second):
        if each.error is not None:
            raise ModelFileError(each.path, each.error.rstrip("."))
    if first.sha256 == second.sha256:
        raise OptionError(f"{a} and {b} are one model: their answers are the same.", "Name two different ones.")
    return first, second


def _names(files: tuple[File, File]) -> tuple[str, str]:
    """The files' own: a quant alone, as in a comparison's table, does not say of which of two models it is."""
    a, b = (each.found.name if each.found is not None else each.name for each in files)
    return (a, b) if a != b else (files[0].name, files[1].name)


def _place(options: BlindOptions, home: Path, files: Sequence[File], items: Sequence[Item]) -> Path:
    """Of this test: with other models, prompts, lengths or options of loading it is another one."""
    said = [[*each.before, each.prompt] for each in items]
    what = [[each.sha256 for each in files], said, options.max_tokens, options.overrides]
    digest = hashlib.sha256(json.dumps(what, default=str).encode()).hexdigest()
    folder = options.out if options.out is not None else home / "compare" / "blind"
    return folder / f"blind-{digest[:16]}.json"


async def _answers(test: BlindTest, contender: Contender, file: File, options: BlindOptions, path: Path) -> BlindTest:
    """Each is written as soon as it is there."""
    line = ProgressLine(sys.stderr, sys.stderr.isatty())
    missing, name = test.missing(contender), printable(test.a if contender == "a" else test.b)
    async with opened(str(file.path), options.overrides, EngineOverrides(parallel=1), None) as model:
        try:
            for done, at in enumerate(missing):
                line.show(done / len(missing), f"{name} answers {done + 1} of {len(missing)}")
                test = await _answered(test, contender, at, model, options.max_tokens)
                write(path, test)
        finally:
            line.clear()
    return test


async def _answered(test: BlindTest, contender: Contender, at: int, model: ChatModel, max_tokens: int) -> BlindTest:
    item = test.items[at]
    said = [*item.before, ("user", item.prompt)]
    messages = tuple(Message.model_validate({"role": role, "content": text}) for role, text in said)
    request = ChatRequest(messages, ChatOptions(temperature=0, seed=0, max_tokens=max_tokens))
    answer = Answer()
    try:
        await read_answer(model, request, answer, _Unseen())
    except RequestError as error:  # too long for it, say: the other prompts go on
        return test.failed(at, str(error))
    return test.answered(at, contender, answer.text)


class _Unseen:
    """Nothing is shown before both have answered. Implements `Screen`."""

    def prompt_progress(self, event: object) -> None: ...
    def thinking(self, text: str) -> None: ...
    def text(self, text: str) -> None: ...


async def _voted(test: BlindTest, path: Path) -> BlindTest:
    # Imported here: what it needs takes a while that a refused command has no use for.
    from ggufrun.commandline.blind_screen import BlindScreen, drop_typed, keys

    drop_typed()
    async with aclosing(keys()) as pressed, aclosing(BlindScreen(sys.stdout).votes(test, pressed)) as tests:
        async for test in tests:
            write(path, test)
    return test


def _kept(path: Path) -> str:
    return f"Answers and votes are in {printable(str(path))}; the same command goes on with them."
