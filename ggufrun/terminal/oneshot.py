"""One answer to standard output and nothing else there: `ggufrun run MODEL PROMPT`."""

import json
import os
from typing import TextIO

from ggufrun.chat.types import ChatModel, ChatRequest
from ggufrun.terminal.answer import Answer, read_answer
from ggufrun.terminal.report import as_json
from ggufrun.terminal.screen import StreamScreen
from ggufrun.terminal.style import Style


async def answer_once(model: ChatModel, request: ChatRequest, out: TextIO, err: TextIO, *, json_object: bool) -> None:
    """Stream the answer to `out`, or print one JSON object there. `err`, if a terminal, gets thinking and progress."""
    out_style, err_style = Style.of(out, os.environ), Style.of(err, os.environ)
    screen = StreamScreen(None if json_object else out, out_style, err, err_style)
    answer = Answer()
    finished = False
    try:
        await read_answer(model, request, answer, screen)
        finished = True
    finally:
        screen.end(newline=finished or out_style.tty)
    if json_object:
        print(json.dumps(as_json(answer, model.info.name), ensure_ascii=False), file=out, flush=True)
    elif answer.reason in ("length", "model_length") and err_style.tty:
        limit = "--max-tokens" if answer.reason == "length" else "the context"
        print(err_style.dim(f"(cut by {limit})"), file=err)
