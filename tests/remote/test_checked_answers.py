"""A remote's answers that its own grammar does not hold to a schema: checked here, asked for again, given up"""

import pytest

from ggufrun.chat.types import ChatRequest, Constraint, Meter
from ggufrun.errors import SchemaNotSatisfied
from ggufrun.remote_errors import RemoteBusy
from tests.remote.asking_models import HELLO, events_of, opened, text_of
from tests.remote.raw_server import as_json, raw_server, said

pytestmark = pytest.mark.process

UNIQUE = Constraint("json_schema", schema={"type": "array", "uniqueItems": True}, strict=False)
ASKED = ChatRequest(HELLO.messages, constraint=UNIQUE, live=False)
BUSY = as_json({"error": {"message": "too many"}}, 429)


async def test_a_bad_answer_is_asked_for_again() -> None:
    async with raw_server() as raw, opened(raw, retries=0) as model:
        raw.replies = [said("[1, 1]"), said("[1, 2]")]
        assert text_of(await events_of(model, ASKED)) == "[1, 2]" and len(raw.asked) == 2


async def test_a_remote_that_is_busy_then_does_not_hide_the_answer_that_was_made() -> None:
    async with raw_server() as raw, opened(raw, retries=0) as model:
        raw.replies = [said("[1, 1]"), BUSY]
        meter = Meter()
        with pytest.raises(SchemaNotSatisfied, match="non-unique") as caught:
            await events_of(model, ASKED, meter)
        assert (caught.value.text, caught.value.attempts) == ("[1, 1]", 1)
        assert isinstance(caught.value.__cause__, RemoteBusy) and meter.completion_tokens == 1
        with pytest.raises(RemoteBusy):  # nothing has been made here
            await events_of(model, ASKED)
