"""What goes into a chat model and what comes out, for the API, the terminal, the page and the Python API alike.

Requests are parsed at the edge (pydantic, both dialects' spellings accepted); events are frozen and trusted.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from ggufrun.engine.types import FinishReason, Stats
from ggufrun.errors import cut


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_given(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


class TextChunk(_Wire):
    type: Literal["text"] = "text"
    text: str


class ThinkingChunk(_Wire):
    type: Literal["thinking"]
    thinking: tuple[TextChunk, ...]
    closed: bool = True


class ImageChunk(_Wire):
    """A picture: the bytes of its file, whose kind they say themselves. `at`: where the request has it, for errors."""

    type: Literal["image"] = "image"
    data: bytes = Field(exclude=True, repr=False)
    at: str = Field(default="messages", exclude=True)


class LinkedImage(_Wire):
    """A picture that is still to be fetched: `api.images` makes an `ImageChunk` of it before a model sees it."""

    type: Literal["image_url"] = "image_url"
    url: str = Field(repr=False)
    at: str = Field(default="messages", exclude=True)

    @field_serializer("url")
    def _short(self, url: str) -> str:
        """For logs: a `data:` URL is a whole file."""
        return cut(url, 100)


Chunk = TextChunk | ThinkingChunk | ImageChunk | LinkedImage
Content = str | tuple[Chunk, ...] | None


class FunctionCall(_Wire):
    name: str
    arguments: str | dict[str, Any] = ""


class ToolCall(_Wire):
    id: str = "null"
    type: Literal["function"] = "function"
    function: FunctionCall
    index: int = 0


class Message(_Wire):
    """One message of any role; `developer` is an alias of `system`."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content = None
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    prefix: bool = False


class Function(_Wire):
    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    strict: bool = False


class Tool(_Wire):
    type: Literal["function"] = "function"
    function: Function


class NamedFunction(_Wire):
    name: str


class NamedTool(_Wire):
    type: Literal["function"] = "function"
    function: NamedFunction


ToolChoice = Literal["auto", "none", "any", "required"] | NamedTool


@dataclass(frozen=True, slots=True)
class Constraint:
    """What the answer's text must match. `schema` is used by json_schema only, `source` by regex, lark and gbnf.

    `strict`: a schema that cannot be enforced while generating is refused. Otherwise the rest of it is enforced, and
    the finished answer is checked.
    """

    kind: Literal["json_object", "json_schema", "regex", "lark", "gbnf"]
    schema: dict[str, Any] | bool | None = None
    source: str = ""
    strict: bool = True


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """Sampling and limits of one request. `None` leaves the value to the model's `AnswerSettings`."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    logprobs: int | None = None  # None: off; N: with the top N
    n: int = 1
    reasoning_effort: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """How a model answers where a request does not say: the user's settings over the model card's over these.

    Beside `system` the names are those of `ChatOptions`.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None  # None: a new one for each answer
    max_tokens: int | None = None  # None: to the end of the context
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    reasoning_effort: str | None = None  # None: the prompt's format decides
    system: str = ""  # stands in front of messages without a system message
    by_effort: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what differs at a reasoning effort

    def at_effort(self, effort: str | None) -> Mapping[str, Any]:
        """What holds instead of these at an effort; one that nobody knows is as thinking or not thinking is."""
        effort = effort or self.reasoning_effort or ""
        if effort and effort not in self.by_effort:
            effort = "none" if effort in ("none", "minimal") else "high"
        return self.by_effort.get(effort, {})


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A validated request: what `ChatModel.complete` takes."""

    messages: tuple[Message, ...]
    options: ChatOptions = ChatOptions()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    constraint: Constraint | None = None
    default_system: bool = True  # False: no system message means none, whatever the model's settings say
    live: bool = True  # the answer is shown while it comes; False: it may be sampled again before any of it is shown
    strict_order: bool = False  # messages must come in the order that Mistral's API allows
    fits: bool = False  # the prompt and max_tokens must fit into the context together
    safe_prompt: bool = False  # Mistral's guardrail prompt stands in front
    prompt_mode: Literal["reasoning"] | None = None
    escalate: bool = False  # a route that can escalate gives it to its last engine at once


@dataclass(frozen=True, slots=True)
class TextRequest:
    """A prompt in no chat format: it is gone on from, or, with a `suffix` (which may be ""), the gap between is filled.

    Token ids are taken as they are; text is tokenized with BOS where the model expects it, and holds no special tokens.
    """

    prompt: str | tuple[int, ...]
    suffix: str | None = None
    options: ChatOptions = ChatOptions()
    echo: bool = False  # the answer begins with the prompt
    bos: bool = True  # False: none, also where the model expects it
    fits: bool = False  # the prompt and max_tokens must fit into the context together


AnyRequest = ChatRequest | TextRequest


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector (float32, little endian, of unit length) and one token count for each input, in order."""

    vectors: tuple[bytes, ...]
    tokens: tuple[int, ...]


@dataclass(slots=True)
class Meter:
    """What a request has used so far, for whoever must know it also where the reader left early."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0  # over all choices
    ttft_s: float | None = None  # None: no token yet
    engine: str = ""  # of those of a route, the one that answers; "": no route chose
    why: str = ""  # why that one, in a few words
    spent_usd: float = 0.0  # what remote engines charge, attempts that were thrown away included
    thrown_tokens: int = 0  # prompts and answers of such attempts; they are in none of the counts above

    @property
    def all_tokens(self) -> int:
        """What counts for a key's day."""
        return self.prompt_tokens + self.completion_tokens + self.thrown_tokens


@dataclass(frozen=True, slots=True)
class Logprob:
    """One token of the answer with natural-log probabilities of the raw distribution."""

    token: str
    token_id: int
    raw: bytes
    logprob: float
    top: tuple["Logprob", ...] = ()
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt was accepted and queued: from here on no request error can come."""

    prompt_tokens: int
    context: int


@dataclass(frozen=True, slots=True)
class PromptProcessed:
    """Prompt-processing progress, in tokens."""

    done: int
    total: int
    cached: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str
    choice: int = 0
    logprobs: tuple[Logprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    text: str
    choice: int = 0
    closed: bool = False  # the thinking part ended with this piece


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call. The first of call `index` has `id` and `name`; all `arguments` add up to JSON."""

    index: int
    id: str
    name: str
    arguments: str
    choice: int = 0


ChoiceEnd = Literal["stop", "length", "model_length", "tool_calls", "error"]


@dataclass(frozen=True, slots=True)
class ChoiceFinished:
    reason: ChoiceEnd
    choice: int = 0
    stop: str | None = None  # the stop string that ended it


@dataclass(frozen=True, slots=True)
class Completed:
    """The last event of every answer. `stats` has one entry a choice; times in seconds of the caller's clock."""

    prompt_tokens: int
    completion_tokens: int
    stats: tuple[Stats, ...]
    ttft_s: float
    total_s: float
    context_used: int  # prompt and answer of the longest choice
    context: int
    reasons: tuple[FinishReason, ...] = field(default=())


ChatEvent = Started | PromptProcessed | TextDelta | ThinkingDelta | ToolCallDelta | ChoiceFinished | Completed


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can be asked for."""

    chat: bool = True
    tools: bool = True
    reasoning: bool = False
    fim: bool = False
    vision: bool = False
    embeddings: bool = False


@dataclass(frozen=True, slots=True)
class Price:
    """What the hosted model costs, in USD per million tokens."""

    prompt: float
    completion: float

    def usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What callers may know of a loaded model."""

    name: str
    context: int
    context_train: int
    vocabulary: int
    parameters: int
    description: str  # llama.cpp's, e.g. "llama 135M Q4_1"
    defaults: AnswerSettings = AnswerSettings()
    aliases: tuple[str, ...] = ()  # other names it answers to
    capabilities: Capabilities = Capabilities()
    file: str = ""  # the GGUF's name, without its folder
    quant: str = ""  # "Q4_K_M", as the file says
    price: Price | None = None
    charges: Price | None = None  # what a call really costs, where it is answered elsewhere; None: nothing
    memory_bytes: int = 0  # about, weights and KV cache; 0: unknown
    dimensions: int = 0  # of an embedding; 0: it makes none
    note: str = ""  # what is less than it would be with memory enough
    elsewhere: bool = False  # another server answers: its first event may be long in coming
    engines: tuple[str, ...] = ()  # of a route: who may answer. Its answers may be held back until they are whole


class ChatModel(Protocol):
    """The seam: everything above it (API, terminal, page) knows no tokens, processes or llama objects."""

    @property
    def info(self) -> ModelInfo: ...

    def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        """Answer a request. A `RequestError` comes before the first event; closing the iterator cancels the request.

        One kind comes later: `SchemaNotSatisfied`, where a finished answer is no complete JSON or breaks its schema. It
        stands in the place of that choice's end, behind its text if the request is `live`. Its tokens are counted.
        `meter` is kept up to date while the answer is generated.
        """

    def reserve(self, answers: int, param: str) -> AbstractContextManager["ChatModel"]:
        """The same model with places in its queue for so many answers: all of them or none.

        What is begun with it before the context ends has its place. Raises OutOfRange of the field `param` where so
        many never fit, and EngineBusy where they do not fit now.
        """

    async def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        """The request's prompt as token ids. Their number is what `Completed.prompt_tokens` would report."""

    async def count_tokens(self, request: AnyRequest) -> int:
        """How many `tokens` there are, pictures' included."""

    async def embed(self, inputs: Sequence[str | tuple[int, ...]]) -> Embeddings:
        """A vector for each text. Raises RequestError where the model makes none or a text is too long for it."""

    async def close(self) -> None: ...
