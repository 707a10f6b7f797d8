"""A chat request to what the engine takes. Every error of a request is raised here, before anything is generated.

Blocking (it tokenizes and compiles grammars): call it in a thread. Safe to use from several threads.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Protocol

from ggufrun.chat.answer_check import AnswerCheck
from ggufrun.chat.decode import prefixes_space
from ggufrun.chat.encoded import EncodedPrompt, PromptEncoder
from ggufrun.chat.limits import check_options
from ggufrun.chat.order import check_order
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.system_prompts import with_system
from ggufrun.chat.text import echoed, encode_text
from ggufrun.chat.types import AnswerSettings, AnyRequest, ChatOptions, ChatRequest, Content, NamedTool, TextRequest
from ggufrun.engine.types import GenerationRequest, Grammar, Image, SamplingParams
from ggufrun.engine.vocabulary import Vocabulary
from ggufrun.errors import (
    BudgetTooSmall,
    EmptyPrompt,
    OutOfRange,
    OverContext,
    PromptTooLong,
    RequestError,
    SchemaError,
)

WARMER = 0.3  # the temperature of later attempts where it was 0: the same answer again would be no use
_SEEDS = 2**32 - 1  # llama.cpp's seeds; the highest 32-bit number means "random"
_NOT_OPTIONS = ("system", "by_effort")
_OPEN = tuple(
    field.name for field in fields(AnswerSettings) if field.name not in _NOT_OPTIONS
)  # what they may leave open


class GrammarMaker(Protocol):
    """Turns a request's constraint, or the tool call that it forces, into a grammar."""

    def __call__(self, request: ChatRequest, prompt: EncodedPrompt) -> Grammar | None:
        """None where the answer is free. Raises RequestError, mostly SchemaError."""


@dataclass(frozen=True, slots=True)
class CompiledChat:
    """A checked request: what to submit, and how to read what comes back."""

    prompt: tuple[int, ...]
    style: OutputStyle
    sampling: SamplingParams
    grammar: Grammar | None
    max_tokens: int | None
    min_tokens: int
    choices: int
    stops: tuple[str, ...]
    prefix: str  # the answer's beginning, as the client gave it
    skip_spaces: int  # leading spaces of the generated text that are left out
    single_call: bool  # the answer ends behind its first tool call
    check: AnswerCheck | None = None  # what the finished answer must pass
    images: tuple[Image, ...] = ()

    def generation(self, id: int, choice: int) -> GenerationRequest:
        """The engine's request for one choice. Choice i is seeded with seed + i."""
        seed = self.sampling.seed
        sampling = self.sampling if seed is None else replace(self.sampling, seed=(seed + choice) % _SEEDS)
        return GenerationRequest(
            id, self.prompt, sampling, self.max_tokens, self.min_tokens, self.grammar, images=self.images
        )

    def again(self, number: int, choices: int) -> "CompiledChat":
        """For attempt `number`, from 0: with seeds that no choice has had, and never without chance."""
        if number == 0:
            return self
        seed = None if self.sampling.seed is None else self.sampling.seed + number * self.choices
        sampling = replace(self.sampling, seed=seed, temperature=self.sampling.temperature or WARMER)
        return replace(self, sampling=sampling, choices=choices)


class Compiler:
    """One model's way from requests to tokens, sampling numbers and grammars."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        encoder: PromptEncoder,
        grammar: GrammarMaker,
        context: int,
        defaults: AnswerSettings | None = None,
        check: Callable[[ChatRequest], AnswerCheck | None] | None = None,
    ) -> None:
        self._vocabulary, self._encoder, self._grammar = vocabulary, encoder, grammar
        self._check = check
        self._context = context
        self._defaults = defaults or AnswerSettings()
        self._prefixes_space = prefixes_space(vocabulary.metadata)

    def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        """The request's prompt, which may be longer than the context."""
        return self._encode(request, self._settled(request)[0]).tokens

    def compile(self, request: AnyRequest) -> CompiledChat:
        """Raises RequestError and its kinds, with the request's field as `param`."""
        raw = isinstance(request, TextRequest)
        chat, settings = self._settled(request)
        check_options(chat.options, len(self._vocabulary))
        check_tools(chat)
        encoded = self._encode(request, chat)
        if not encoded.tokens:
            raise RequestError("The prompt is empty.", "Write something for the model to go on from.", "prompt")
        if len(encoded.tokens) >= self._context:
            raise PromptTooLong(len(encoded.tokens), self._context, "prompt" if raw else "messages")
        most = request.options.max_tokens  # as the request says: what the settings say fills the rest at most
        if request.fits and most is not None and len(encoded.tokens) + most > self._context:
            raise _too_much(len(encoded.tokens), most, self._context)
        grammar = self._constrained(chat, encoded)
        self._check_budget(grammar, settings.max_tokens, len(encoded.tokens))
        calls = bool(chat.tools) and chat.tool_choice != "none"
        return CompiledChat(
            prompt=encoded.tokens,
            style=encoded.style if calls else replace(encoded.style, tool_calls="none"),
            sampling=_sampling(chat.options, settings),
            grammar=grammar,
            max_tokens=settings.max_tokens,
            min_tokens=settings.min_tokens,
            choices=chat.options.n,
            stops=settings.stop,
            prefix=echoed(request, self._vocabulary) if isinstance(request, TextRequest) else encoded.prefix_text,
            skip_spaces=0 if raw else self._skipped_spaces(encoded, grammar),
            single_call=calls and not chat.parallel_tool_calls,
            check=self._check(chat) if self._check is not None else None,
            images=encoded.images,
        )

    def _settled(self, request: AnyRequest) -> tuple[ChatRequest, AnswerSettings]:
        """A raw prompt's options are those of a chat without messages."""
        if isinstance(request, TextRequest):
            request = ChatRequest((), request.options)
        return settle(request, self._defaults, self._encoder.reasoning_prompt)

    def _encode(self, request: AnyRequest, chat: ChatRequest) -> EncodedPrompt:
        """`chat` is the settled request."""
        if isinstance(request, TextRequest):
            return encode_text(request, self._vocabulary, self._encoder)
        if request.strict_order:
            check_order(request.messages)
        encoded = self._encoder.encode(chat)
        if not encoded.tokens:
            raise EmptyPrompt
        return encoded

    def _constrained(self, chat: ChatRequest, encoded: EncodedPrompt) -> Grammar | None:
        try:
            return self._grammar(chat, encoded)
        except SchemaError as error:
            if error.param == "tools":  # the pointer begins with the tool's place
                error.param = f"tools{error.pointer.replace('/', '.')}"
            raise

    def _check_budget(self, grammar: Grammar | None, max_tokens: int | None, prompt: int) -> None:
        room = self._context - prompt
        budget = room if max_tokens is None else min(room, max_tokens)
        if grammar is not None and budget < grammar.shortest:
            raise BudgetTooSmall(grammar.shortest, budget)

    def _skipped_spaces(self, encoded: EncodedPrompt, grammar: Grammar | None) -> int:
        """SentencePiece's space before the first word is no text, unless a grammar or a prefix says what begins."""
        if encoded.prefix_text:
            return encoded.prefix_spaces
        return int(self._prefixes_space and grammar is None)


def settle(
    request: ChatRequest, defaults: AnswerSettings, reasoning: Content = None
) -> tuple[ChatRequest, AnswerSettings]:
    """The request with the defaults in the place of what it leaves open, and what holds for it then.

    `reasoning` is the system message that `prompt_mode` asks for.
    """
    given = {name: value for name in _OPEN if (value := getattr(request.options, name)) is not None}
    settings = replace(defaults, **{**defaults.at_effort(request.options.reasoning_effort), **given})
    if "min_tokens" not in given and settings.max_tokens is not None:  # what is not said cannot contradict what is
        settings = replace(settings, min_tokens=min(settings.min_tokens, settings.max_tokens))
    options = replace(request.options, **{name: getattr(settings, name) for name in _OPEN})
    return replace(request, messages=with_system(request, settings.system, reasoning), options=options), settings


def _too_much(prompt: int, max_tokens: int, context: int) -> OverContext:
    counts = f"The prompt has {prompt} tokens, max_tokens is {max_tokens}, and the context holds {context}."
    return OverContext(counts, f"Set max_tokens to at most {context - prompt}.", "max_tokens")


def _sampling(options: ChatOptions, settings: AnswerSettings) -> SamplingParams:
    return SamplingParams(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        min_p=settings.min_p,
        presence_penalty=settings.presence_penalty,
        frequency_penalty=settings.frequency_penalty,
        repetition_penalty=settings.repetition_penalty,
        seed=None if settings.seed is None else settings.seed % _SEEDS,
        logit_bias=options.logit_bias,
        logprobs=options.logprobs,
    )


def check_tools(request: ChatRequest) -> None:
    choice = request.tool_choice
    if choice in ("auto", "none"):
        return
    if not request.tools:
        raise OutOfRange("tool_choice asks for a tool call and there are no tools.", "Add tools.", "tool_choice")
    names = [tool.function.name for tool in request.tools]
    if isinstance(choice, NamedTool) and choice.function.name not in names:
        known = f"Use one of {', '.join(names)}."
        raise OutOfRange(
            f"tool_choice names {choice.function.name!r}, which is not among the tools.", known, "tool_choice"
        )
