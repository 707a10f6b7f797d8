"""A request as the body that a remote gets, checked before anything is sent: all of it can be said, or none is."""

from typing import Any, Final

from ggufrun.chat.compile import check_tools
from ggufrun.chat.encoded import refuse_empty
from ggufrun.chat.limits import check_options
from ggufrun.chat.order import check_order
from ggufrun.chat.system_prompts import with_system
from ggufrun.chat.types import AnyRequest, ChatRequest, Constraint, ModelInfo, NamedTool, TextRequest, Tool
from ggufrun.chat.vision import refuse_unseen
from ggufrun.errors import RequestError
from ggufrun.remote.asked import Asked
from ggufrun.remote.asking_text import asked_for_text
from ggufrun.remote.engines import Engine, older_vllm
from ggufrun.remote.messages import Json, messages_for, prefix_of
from ggufrun.remote.options import options_for
from ggufrun.remote_errors import RemoteLacks

CHAT: Final = "/chat/completions"
_TOKENS: Final = 1 << 31  # no vocabulary is as large; the remote knows its own
_NO_ARGUMENTS: Final[Json] = {"type": "object", "properties": {}}


def asked(engine: Engine, info: ModelInfo, model: str, request: AnyRequest) -> Asked:
    """Raises RequestError. `model`: what the remote calls it."""
    refuse_unseen(request, info)
    check_options(request.options, _TOKENS)
    if isinstance(request, TextRequest):
        return asked_for_text(engine, info, model, request)
    return _chat(engine, info, model, request)


def _chat(engine: Engine, info: ModelInfo, model: str, request: ChatRequest) -> Asked:
    _check(engine, info, request)
    prefix = prefix_of(request.messages)
    body: Json = {"model": model, "messages": _messages(engine, info, request), "stream": True}
    if engine.dialect == "openai":
        body["stream_options"] = {"include_usage": True}
    body |= options_for(engine, info, request.options)
    if request.options.logprobs is not None:
        body["logprobs"] = True
        # llama-server leaves all of them out where none is wanted beside the chosen one.
        top = max(1, request.options.logprobs) if engine.kind == "llama-server" else request.options.logprobs
        body |= {"top_logprobs": top} if top else {}
    body |= _tools(engine, request) | _constraint(engine, info, request.constraint)
    if engine.dialect == "mistral":
        body |= {"safe_prompt": True} if request.safe_prompt else {}
        body |= {"prompt_mode": request.prompt_mode} if request.prompt_mode and info.capabilities.reasoning else {}
    if engine.kind == "llama-server":
        body["return_progress"] = True
    if prefix:
        body |= _beginning(engine, info, body)
    calls = bool(request.tools) and request.tool_choice != "none"
    return Asked(
        CHAT,
        body,
        request.options.n,
        prefix,
        echoed=bool(prefix) and engine.echoes_prefix,
        single_call=calls and not request.parallel_tool_calls,
        forced=calls and request.tool_choice != "auto",
        top=request.options.logprobs,
        stop=request.options.stop or (),
        seed_field=engine.options["seed"],
    )


def _check(engine: Engine, info: ModelInfo, request: ChatRequest) -> None:
    if request.strict_order:
        check_order(request.messages)
    refuse_empty(request.messages)
    check_tools(request)
    forced = request.tool_choice not in ("auto", "none")
    if request.constraint is None:
        return
    if forced:
        message = "tool_choice forces a call, response_format another answer."
        raise RequestError(message, "Drop one of them.", "tool_choice")
    if prefix_of(request.messages).strip():
        message = "An answer that is constrained cannot go on from a beginning that is given."
        raise RequestError(message, "Drop the prefix message or the constraint.", "messages")
    if engine.kind == "llama-server" and request.tools and request.constraint.kind == "gbnf":
        raise RemoteLacks(info.name, engine.title, "a grammar beside tools", "response_format", "Drop one of them.")


def _messages(engine: Engine, info: ModelInfo, request: ChatRequest) -> list[Json]:
    messages = request.messages
    if engine.dialect != "mistral":  # those have a field for it
        messages = with_system(request, "", None)
    return messages_for(engine, messages, reasons=info.capabilities.reasoning or engine.dialect == "openai")


def _tools(engine: Engine, request: ChatRequest) -> Json:
    choice = request.tool_choice
    if not request.tools or choice == "none":
        return {}
    tools = request.tools
    written: Any = choice if choice == "auto" else engine.forced
    if isinstance(choice, NamedTool):
        if engine.named_tool:
            written = {"type": "function", "function": {"name": choice.function.name}}
        else:
            tools = tuple(tool for tool in tools if tool.function.name == choice.function.name)
    # vLLM holds a call to its tool's schema only where it is strict; a call that is forced is held to it here.
    held = engine.kind == "vllm" and choice != "auto"
    shown = [_tool(tool, strict=held or tool.function.strict) for tool in tools]
    return {"tools": shown, "tool_choice": written, "parallel_tool_calls": request.parallel_tool_calls}


def _tool(tool: Tool, *, strict: bool) -> Json:
    given = tool.function
    function: Json = {"name": given.name, "parameters": given.parameters or _NO_ARGUMENTS}
    if given.description:
        function["description"] = given.description
    if strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _constraint(engine: Engine, info: ModelInfo, constraint: Constraint | None) -> Json:
    if constraint is None:
        return {}
    if constraint.kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if constraint.kind == "json_schema":
        schema = constraint.schema if isinstance(constraint.schema, dict) else {}
        written: Json = {"name": "answer", "schema": schema, "strict": constraint.strict}
        return {"response_format": {"type": "json_schema", "json_schema": written}}
    place = engine.patterns.get(constraint.kind)
    if place is None:
        what = f"a {constraint.kind}" + ("" if constraint.kind == "regex" else " grammar")
        hint = "Use json_schema, or ask a model that runs here."
        raise RemoteLacks(info.name, engine.title, what, "response_format", hint)
    if place == "response_format":
        return {"response_format": {"type": constraint.kind, "source": constraint.source}}
    outer, _, inner = place.partition(".")
    if engine.kind == "vllm" and older_vllm(engine.version):
        return {f"guided_{inner}": constraint.source}
    return {outer: {inner: constraint.source}} if inner else {outer: constraint.source}


def _beginning(engine: Engine, info: ModelInfo, body: Json) -> Json:
    """What says that the last message is to be gone on with, beside it."""
    if engine.prefix == "none":
        raise RemoteLacks(info.name, engine.title, "how an answer begins", "messages", "Leave the prefix message out.")
    if engine.prefix == "flags":
        return {"continue_final_message": True, "add_generation_prompt": False}
    if engine.prefix == "last":  # it refuses a beginning while it means to think
        return {"chat_template_kwargs": {**body.get("chat_template_kwargs", {}), "enable_thinking": False}}
    return {}
