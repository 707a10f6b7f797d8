"""Scenes as bodies and as chunks, in the shapes that the hosted API gives them"""

from collections.abc import Iterator
from typing import Any

from tests.remote.hosted_scenes import Scene
from tests.remote.hosted_wire import NAME

Body = dict[str, Any]
ID = "0123456789abcdef0123456789abcdef"


def usage(scene: Scene, prompt: int) -> Body:
    return {"prompt_tokens": prompt, "completion_tokens": scene.tokens, "total_tokens": prompt + scene.tokens}


def whole(scene: Scene, prompt: int) -> Body:
    """A body without `stream`."""
    text = "".join(scene.pieces)
    content: Any = text
    if scene.thoughts:
        thinking = [{"type": "text", "text": "".join(scene.thoughts)}]
        content = [{"type": "thinking", "thinking": thinking, "closed": True}, {"type": "text", "text": text}]
    calls = [
        {"id": call.id, "function": {"name": call.name, "arguments": "".join(call.pieces)}, "index": index}
        for index, call in enumerate(scene.calls)
    ]
    message = {"role": "assistant", "content": content, "tool_calls": calls or None, "prefix": False}
    choice = {"index": 0, "message": message, "finish_reason": scene.finish, "logprobs": None}
    top = {"id": ID, "object": "chat.completion", "created": 1_780_000_000, "model": NAME, "choices": [choice]}
    return top | {"usage": usage(scene, prompt)}


def deltas(scene: Scene) -> Iterator[Body]:
    """All but the last chunk's, which has the reason and the usage."""
    yield {"role": "assistant", "content": ""}
    for thought in scene.thoughts:
        yield {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}]}
    for number, piece in enumerate(scene.pieces):
        if scene.thoughts and not number:  # where thinking ends, the list has both
            closing = {"type": "thinking", "thinking": [{"type": "text", "text": ""}], "closed": True}
            yield {"content": [closing, {"type": "text", "text": piece}]}
        else:
            yield {"content": piece}
    for index, call in enumerate(scene.calls):
        for number, piece in enumerate(call.pieces):
            first = number == 0
            function = {"name": call.name if first else "", "arguments": piece}
            yield {"tool_calls": [{"id": call.id if first else "null", "function": function, "index": index}]}


def chunk(delta: Body, finish: str | None = None, **more: Any) -> Body:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    top = {"id": ID, "object": "chat.completion.chunk", "created": 1_780_000_000, "model": NAME, "choices": [choice]}
    return top | {"p": "abcdefgh"} | more  # "p" is padding, which the hosted API adds


def card() -> Body:
    able = {
        "completion_chat": True, "function_calling": True, "reasoning": True, "completion_fim": False,
        "fine_tuning": False, "vision": True, "ocr": False, "classification": False, "moderation": False,
        "audio": False, "audio_transcription": False,
    }  # fmt: skip
    return {
        "id": NAME, "object": "model", "created": 1_780_000_000, "owned_by": "mistralai", "capabilities": able,
        "name": NAME, "description": "Mistral Medium 3.5", "max_context_length": 262_144, "aliases": [],
        "deprecation": None, "default_model_temperature": 0.7, "type": "base",
    }  # fmt: skip
