"""What an answer must match, as a grammar for the engine: JSON, regex, lark, GBNF, and tool calls that are forced."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from llguidance import LLMatcher, LLParserLimits
from llguidance.gbnf_to_lark import gbnf_to_lark

from ggufrun.chat.answer_check import AnswerCheck
from ggufrun.chat.encoded import EncodedPrompt
from ggufrun.chat.forced_calls import call_rules
from ggufrun.chat.pattern_examples import pattern_examples
from ggufrun.chat.schema_plan import SchemaPlan, plan_schema
from ggufrun.chat.schema_validation import verify
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import ChatRequest, Constraint, NamedTool, Tool
from ggufrun.engine.grammar import GrammarCompiler, GrammarError
from ggufrun.engine.types import Grammar
from ggufrun.engine.vocabulary import Vocabulary
from ggufrun.errors import ModelLacks, RequestError, SchemaError

# The separators that models were trained on; with white space left free, weak models wander in it.
_JSON_FORM: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_NO_ARGUMENTS: Final = {"type": "object", "properties": {}, "additionalProperties": False}
_CACHED: Final = 64
_DROP_ONE: Final = "Drop one of them."
_ANY_LENGTH: Final = 1 << 62


class GrammarFactory:
    """One model's way from a request to its grammar: call it with both. Safe to use from several threads.

    The vocabulary is read at the first constraint, or by `warm`: 0.2 s at 49,152 tokens, 0.6 s at 131,072.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._compiler = GrammarCompiler(vocabulary)
        self._plan = lru_cache(_CACHED)(self._planned)
        self._verified = lru_cache(_CACHED)(_verify)
        self._grammar = lru_cache(_CACHED)(self._compile)

    def warm(self) -> None:
        """Read the vocabulary now."""
        self._compiler.warm()

    def __call__(self, request: ChatRequest, prompt: EncodedPrompt) -> Grammar | None:
        """None where the answer is free. Raises SchemaError, and RequestError where fields contradict each other."""
        constraint, forced = request.constraint, request.tool_choice not in ("auto", "none")
        if constraint is None and not forced:
            return None
        if constraint is not None and forced:
            raise RequestError("tool_choice forces a call, response_format another answer.", _DROP_ONE, "tool_choice")
        if prompt.prefix_text.strip():
            message = "An answer that is constrained cannot go on from a beginning that is given."
            raise RequestError(message, "Drop the prefix message or the constraint.", "messages")
        if constraint is None:
            return self._fitted(self._calls(request, prompt.style), request)
        if constraint.kind in ("json_object", "json_schema"):
            return self._fitted(self._json(constraint, request, prompt.style), request)
        return self._grammar(_source(constraint), closable=False)

    def check(self, request: ChatRequest) -> AnswerCheck | None:
        """What must be looked at when the answer is finished; None where nothing is. Raises SchemaError."""
        constraint = request.constraint
        if constraint is None or constraint.kind not in ("json_object", "json_schema"):
            return None
        schema = json.dumps(_wanted(constraint))
        if constraint.strict or not self._plan(schema).refused:
            return AnswerCheck()
        self._verified(schema)
        return AnswerCheck(schema)

    def plan(self, schema: Any) -> SchemaPlan:
        """What becomes of a JSON schema. Raises SchemaError for one that is none or that nothing satisfies."""
        return self._plan(json.dumps(schema))

    def _calls(self, request: ChatRequest, style: OutputStyle) -> Grammar:
        rules = self._call_rules(request, style)
        if rules is None:
            raise ModelLacks("This model's format has no tool calls.", "Use tool_choice auto.", "tool_choice")
        return self._lark("calls", [rules], style, _hints(request))

    def _json(self, constraint: Constraint, request: ChatRequest, style: OutputStyle) -> Grammar:
        """JSON, or a tool call where tools are at hand, behind thinking where the model thinks."""
        schema = self._enforced(_wanted(constraint), constraint.strict, "response_format", "")
        calls = self._call_rules(request, style) if request.tools and request.tool_choice == "auto" else None
        if calls is None and _thinking(style) is None:
            return self._grammar(LLMatcher.grammar_from_json_schema(schema), closable=True, hints=_hints(request))
        rules = [f"answer: %json {schema}", *([calls] if calls else [])]
        return self._lark("answer | calls" if calls else "answer", rules, style, _hints(request))

    def _call_rules(self, request: ChatRequest, style: OutputStyle) -> str | None:
        checked = {tool.function.name: self._arguments(tool, index) for index, tool in _chosen(request)}
        return call_rules(checked, style, request.parallel_tool_calls)

    def _arguments(self, tool: Tool, index: int) -> str:
        """The schema of a tool's arguments for the grammar, as JSON."""
        given = tool.function.parameters
        base = f"/{index}/function/parameters"
        kinds = given.get("type", "object")
        if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
            raise SchemaError("a tool's arguments are an object.", f"{base}/type", "tools")
        schema = {**given, "type": "object"} if given else _NO_ARGUMENTS
        try:
            return self._enforced(schema, tool.function.strict, "tools", base)
        except SchemaError:
            if tool.function.strict:
                raise
            return self._enforced({"type": "object"}, False, "tools", base)

    def _enforced(self, schema: Any, strict: bool, param: str, base: str) -> str:
        """What the grammar enforces of a schema, as JSON. `strict`: refuse what it cannot."""
        try:
            plan = self._plan(json.dumps(schema))
        except SchemaError as error:
            raise SchemaError(error.reason, base + error.pointer, param) from None
        if strict:
            plan.refuse(param, base)
        body = {} if isinstance(plan.enforced, bool) else plan.enforced
        return json.dumps({**body, "x-guidance": _JSON_FORM})

    def _lark(self, body: str, rules: Sequence[str], style: OutputStyle, hints: tuple[str, ...]) -> Grammar:
        thinking = _thinking(style)
        start = f"start: ({body})" if thinking is None else f"start: {thinking} ({body})"
        by_text = style.thinking == "markers" and thinking is not None
        source = LLMatcher.grammar_from_lark("\n".join([start, *rules, *_THINKING_RULES]))
        # What closes a thought is not looked for in its text.
        return self._grammar(source, closable=not by_text, hints=hints)

    def _planned(self, schema: str) -> SchemaPlan:
        return plan_schema(json.loads(schema), self._complaint)

    def _complaint(self, schema: Any) -> str:
        body = {} if isinstance(schema, bool) else schema
        source = LLMatcher.grammar_from_json_schema({**body, "x-guidance": _JSON_FORM})
        limits = LLParserLimits(verbose_errors=False)
        bad, messages = LLMatcher.validate_grammar_with_warnings(source, self._compiler.tokenizer, limits=limits)
        return messages[0] if bad else ""

    def _compile(self, source: str, closable: bool, hints: tuple[str, ...] = ()) -> Grammar:
        grammar = Grammar(source, closable, hints=hints)
        try:
            constraint = self._compiler.start(grammar)
            shortest = constraint.closing(_ANY_LENGTH) if closable else None
        except GrammarError as error:
            raise SchemaError(error.message) from error
        return replace(grammar, shortest=len(shortest or ()))

    def _fitted(self, grammar: Grammar, request: ChatRequest) -> Grammar:
        """The grammar with a shorter shortest answer, where the budget is under the one that was found first."""
        budget = request.options.max_tokens
        if budget is None or budget >= grammar.shortest:
            return grammar
        found = self._compiler.start(grammar).closing(budget)
        return replace(grammar, shortest=min(grammar.shortest, len(found or ())) or grammar.shortest)


def _wanted(constraint: Constraint) -> Any:
    return {"type": "object"} if constraint.kind == "json_object" else constraint.schema


def _verify(schema: str) -> None:
    verify(json.loads(schema))


_THINKING_RULES: Final = (
    "thought_by_token: THOUGHT",
    "THOUGHT: /(?s:.*)/",
    r"thought_by_text[lazy]: /(?s:.*)<\/think>/",
    r"SPACE: /[ \n]{1,3}/",
)


def _thinking(style: OutputStyle) -> str | None:
    """What of a lark rule matches the thinking before an answer; a model that thinks by token may leave it out."""
    if style.thinking == "markers":
        return "thought_by_text SPACE?" if style.starts_in_thinking else None
    begin, end = (style.special.get(name) for name in ("[THINK]", "[/THINK]"))
    if style.thinking == "none" or begin is None or end is None:
        return None
    if not style.may_think and not style.starts_in_thinking:
        return None
    thought = f"thought_by_token <[{end}]>"
    return thought if style.starts_in_thinking else f"(<[{begin}]> {thought})?"


def _hints(request: ChatRequest) -> tuple[str, ...]:
    """Examples of strings that the schemas in force ask for: what else would end one is hard to find."""
    answer = request.constraint.schema if request.constraint is not None else None
    return pattern_examples(answer, *(tool.function.parameters for _, tool in _chosen(request)))


def _chosen(request: ChatRequest) -> list[tuple[int, Tool]]:
    """The tools that the answer may call, with their places in the request."""
    choice = request.tool_choice
    if choice == "none":
        return []
    named = choice.function.name if isinstance(choice, NamedTool) else None
    return [(at, tool) for at, tool in enumerate(request.tools) if named in (None, tool.function.name)]


def _source(constraint: Constraint) -> str:
    if constraint.kind == "regex":
        return LLMatcher.grammar_from_regex(constraint.source)
    if constraint.kind == "lark":
        return LLMatcher.grammar_from_lark(constraint.source)
    try:
        return LLMatcher.grammar_from_lark(gbnf_to_lark(constraint.source))
    except Exception as error:  # llguidance's reader of GBNF raises whatever it meets
        raise SchemaError(f"GBNF: {str(error).splitlines()[0]}.") from error
