"""Whether an answer is good enough to be given, as a route's `[….escalate]` table says."""

import asyncio
import json
import logging
from typing import Final

from ggufrun.chat.answer_check import Checkers, CheckTimeout, incomplete
from ggufrun.chat.schema_validation import verify
from ggufrun.chat.types import AnyRequest, ChatRequest, Constraint, NamedTool
from ggufrun.errors import SchemaError, cut
from ggufrun.routing.confidence import mean_logprob
from ggufrun.routing.held import Call, HeldAnswer
from ggufrun.routing.settings import Escalation

_NAME: Final = 40  # characters of a tool's name that are repeated
_log = logging.getLogger(__name__)


class Judge:
    """Of one route. Schemas are checked in a process beside: that takes 60 ms for each answer that has one."""

    def __init__(self, escalation: Escalation) -> None:
        self._escalation = escalation
        self._checkers = Checkers()
        self._warned: set[str] = set()

    @property
    def needs_logprobs(self) -> bool:
        return self._escalation.min_logprob is not None

    @property
    def checks_json(self) -> bool:
        return self._escalation.json

    async def doubt(self, request: AnyRequest, answer: HeldAnswer, engine: str) -> str:
        """What speaks against the answer, in a few words; "" if nothing does."""
        if isinstance(request, ChatRequest):
            if self._escalation.json and (words := await self._json(request, answer)):
                return words
            if self._escalation.tools and (words := await self._tools(request, answer)):
                return words
        return self._confidence(answer, engine)

    def _confidence(self, answer: HeldAnswer, engine: str) -> str:
        bound = self._escalation.min_logprob
        if bound is None:
            return ""
        mean = mean_logprob(answer.events)
        if mean is None:
            self._warn(engine, answer)
            return ""
        return f"mean log-probability {mean:.2f} under {bound:g}" if mean < bound else ""

    def _warn(self, engine: str, answer: HeldAnswer) -> None:
        """Once for each engine. A text of tokens that were all forced has none that were chosen, which is as it is."""
        known = any(getattr(event, "logprobs", ()) for event in answer.events)
        if not known and any(answer.texts().values()) and engine not in self._warned:
            self._warned.add(engine)
            _log.warning("%s gives no log-probabilities, so min_logprob never escalates its answers.", engine)

    async def _json(self, request: ChatRequest, answer: HeldAnswer) -> str:
        if answer.error is not None:
            return "its JSON breaks the schema"
        constraint = request.constraint
        if constraint is None or constraint.kind not in ("json_object", "json_schema"):
            return ""
        called = answer.calls()
        texts = answer.texts()
        for choice in range(request.options.n):
            if choice not in called and (words := await self._wrong_json(constraint, texts.get(choice, ""))):
                return words
        return ""

    async def _wrong_json(self, constraint: Constraint, text: str) -> str:
        if incomplete(text):
            return "its JSON is not valid"
        if constraint.kind == "json_object":
            return "" if isinstance(json.loads(text), dict) else "its JSON is no object"
        return "its JSON breaks the schema" if await self._breaks(constraint.schema, text) else ""

    async def _tools(self, request: ChatRequest, answer: HeldAnswer) -> str:
        called = answer.calls()
        forced = request.tool_choice in ("any", "required") or isinstance(request.tool_choice, NamedTool)
        if forced and any(choice not in called for choice in range(request.options.n)):
            return "it calls no tool"
        for call in (call for calls in called.values() for call in calls):
            if words := await self._wrong_call(request, call):
                return words
        return ""

    async def _wrong_call(self, request: ChatRequest, call: Call) -> str:
        tool = next((tool.function for tool in request.tools if tool.function.name == call.name), None)
        if tool is None:
            return f"it calls the unknown tool {cut(call.name, _NAME)!r}"
        arguments = call.arguments or "{}"  # as some engines write none
        if incomplete(arguments) or not isinstance(json.loads(arguments), dict):
            return f"its arguments for {cut(call.name, _NAME)} are no object"
        if await self._breaks(tool.parameters or True, arguments):
            return f"its arguments for {cut(call.name, _NAME)} break the schema"
        return ""

    async def _breaks(self, schema: object, text: str) -> bool:
        """What cannot be checked in time counts as wrong; a schema that is none itself breaks nothing."""
        if schema is None or schema is True:
            return False
        try:
            await asyncio.to_thread(verify, schema)  # a large one takes its time
            return bool(await self._checkers.wrong(json.dumps(schema), text))
        except SchemaError:
            return False
        except CheckTimeout:
            return True
