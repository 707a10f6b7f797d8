"""/ggufrun/v1/chats/{id}/runs: an answer is a run of the chat, not of a connection; readers come and go."""

from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from ggufrun.api.calls.call import Begun
from ggufrun.api.calls.event_stream import EventStream
from ggufrun.api.chats.answering import Answering
from ggufrun.api.chats.bodies import RunBody
from ggufrun.api.chats.owned import Chats, refused
from ggufrun.api.chats.question import question_of
from ggufrun.api.chats.replies import EndedRun, MessageReply, RunReply
from ggufrun.api.chats.run import Run
from ggufrun.api.chats.run_events import ending, line
from ggufrun.api.conversation.fields import check_fields

router = APIRouter(prefix="/ggufrun/v1/chats", tags=["chats"])
_EXAMPLE: Final = 'id: 2\nevent: text\ndata: {"type": "text", "text": "Because"}\n\n'
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "`start` (the message as it was), then `progress`, `thinking`, `text` and `tool_call` pieces "
        "to be added to it, each with the answer's `tokens` so far and the `ms` since its first, then `end` (the whole "
        "message and its `state`).",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}


@router.post(
    "/{id}/runs",
    summary="Answer in a chat",
    status_code=201,
    responses=refused(400, 401, 403, 404, 409, 413, 422, 429, 500, 503),
)
async def start_run(id: str, body: RunBody, chats: Chats, call: Begun) -> RunReply:
    """Replies when the answer has begun; what is wrong with it comes as from /v1/chat/completions, and adds nothing.

    From then on it goes on by itself, whoever reads it, until its end or its DELETE.
    """
    chat = await chats.chat(id)
    chats.runs.check(chat.number)
    question = await chats.stored(question_of, chats.store, chat, body)
    wire = question.body()
    check_fields(wire, call, wire.foreign())
    request = wire.to_request(fits=call.strict)
    call.ask(request)
    run = Run(call.id, chat.number)
    chats.runs.begin(run, Answering(chats, call, question, request))
    call.detach()
    message = await run.begun()
    added = [MessageReply.of(each) for each in question.added]
    return RunReply(id=run.id, chat=id, state="running", added=added, message=MessageReply.of(message))


@router.get(
    "/{id}/runs/{run}/events",
    summary="Read along with a run",
    response_class=Response,
    responses={**_STREAM, **refused(400, 401, 403, 404, 422, 500, 503)},
)
async def run_events(
    id: str,
    run: str,
    chats: Chats,
    after: Annotated[int, Query(ge=0, lt=2**63, description="The `id` of the last event that was seen.")] = 0,
) -> EventStream:
    """What has come so far, then what comes. Of a run that has ended there is `end` only.

    Without `end` it was stopped, or could not be answered, before it had begun.
    """
    chat = await chats.chat(id)
    found = chats.runs.of(chat.number)
    if found is not None and found.id == run:
        return EventStream(found.events.lines(after), AsyncExitStack())
    message = await chats.stored(chats.store.messages.of_run, chat.number, run)

    async def end() -> Any:
        yield line(ending(message), after + 1)

    return EventStream(end(), AsyncExitStack())


@router.delete("/{id}/runs/{run}", summary="Stop a run", responses=refused(400, 401, 403, 404, 500, 503))
async def stop_run(id: str, run: str, chats: Chats) -> EndedRun:
    """What there is of the answer stays; there is none where it had not begun. One that has ended is as it is."""
    chat = await chats.chat(id)
    found = chats.runs.of(chat.number)
    if found is not None and found.id == run:
        await found.stop()
        if not found.answers:
            return EndedRun(id=run, state="stopped", message=None)
    message = await chats.stored(chats.store.messages.of_run, chat.number, run)
    return EndedRun(id=run, state=str(message.meta.get("state")), message=MessageReply.of(message))
