"""Every error ggufrun raises on purpose: data plus a hint that says what to do next. No HTTP and no exit codes here.

GgufrunError
├── InputError            the user's input cannot be served as it is
│   ├── OptionError           an option or a combination of options
│   │   ├── KeyExists             a second API key of one name
│   │   ├── UnknownKey            no API key has this name; those that there are
│   │   └── UnknownJob            no pull, check, comparison or report of the server has this id
│   ├── ModelNotFound         no such model name, with the nearest names
│   ├── ModelFileError        a file that is missing, damaged, foreign or unsupported
│   │   └── NamedFileError        the same, of a file that the request itself names
│   ├── OutOfMemory           the model does not fit
│   ├── HubRefused            the hub does not give this (these and DiskFull: `hub_errors`)
│   │   ├── RepoNotFound          no such repository, or a private one
│   │   ├── GatedRepo             its makers want to be asked first
│   │   ├── NoSuchRevision        no such branch, tag or commit
│   │   └── NoSuchQuant           the repository has others
│   ├── DiskFull              a download has no room; bytes given
│   └── RequestError          one request's fault; `param` names the field
│       ├── EmptyPrompt
│       ├── PromptTooLong         counts given
│       ├── InputTooLong          a text to embed; counts given
│       ├── OutOfRange            a value that its field does not allow
│       │   ├── OverContext           prompt and max_tokens are too much together
│       │   └── TooManyAtOnce         answers of one request; another engine may make so many
│       ├── Unsupported           a documented feature that this server or model does not have
│       ├── ModelLacks            an ability that other models have
│       ├── MessageOrder          roles that do not follow each other
│       ├── BadToolCall           a tool call in the history
│       ├── UnknownModel          the request names a model that is not served
│       ├── BodyTooLarge          more bytes than --max-body
│       ├── BodyStopped           a body that does not go on
│       ├── SchemaError           a constraint that cannot be enforced; `pointer` names the keyword
│       │   └── NotEnforceable        it is right, and no grammar here can say it
│       ├── BudgetTooSmall        max_tokens is under the shortest valid answer
│       └── SchemaNotSatisfied    the finished answers break the schema; `text` is the last one
├── ClientLeft            nobody waits for the answer any more
├── HubError              the hub, or the way to it, failed: try again (`hub_errors`)
│   ├── HubUnreachable        nobody answers
│   │   └── HubOffline            HF_HUB_OFFLINE forbids to ask; what is in the cache
│   └── WrongBytes            a file came whole, and is not what the hub says it is
├── StoreBusy             another process holds the file of keys and calls: try again
├── AccessError           the caller may not do this
│   ├── Unauthorized          no key, or an unknown one
│   │   └── AdminKeyNeeded        management without a key, where chatting needs none
│   ├── Forbidden             the key lacks the right
│   ├── HostRefused           the Host header gives a name that is not ours
│   ├── OriginRefused         a web page of another origin asks
│   └── QuotaUsed             the key's tokens of the day are used up
└── EngineError           the engine could not go on
    ├── EngineBusy            the queue is full: try again
    ├── EngineCrashed         the worker process ended
    │   └── EngineWaits           what it needs of another machine is gone (`engine.outside`)
    ├── EngineClosed          the model was closed
    ├── CannotMeasure         this build of llama.cpp does not say what a model takes
    ├── CannotLoad            a served model does not load; its cause says why, and may name paths
    └── ModelLoading          the model is being loaded: try again
"""

from collections.abc import Sequence
from pathlib import Path


def cut(text: str, most: int = 200) -> str:
    """What someone sent, short enough to be repeated to them."""
    return text if len(text) <= most else f"{text[:most]}…"


class GgufrunError(Exception):
    """An error with one sentence for the user and, mostly, a hint about the next step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(GgufrunError):
    """Something the user gave cannot be served as it is."""


class OptionError(InputError):
    """An option, or options that contradict each other."""


class KeyExists(OptionError):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is a key called {name!r}.", "Choose another name, or revoke that key first.")
        self.name = name


class ServedAlready(OptionError):
    """`name`: what the model is called that has this file."""

    def __init__(self, file: str, name: str) -> None:
        super().__init__(f"{file} is served already, as {name}.", "Name each file once.")
        self.name = name


class UnknownKey(OptionError):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        there = f"There are: {', '.join(known)}." if known else "There are no keys; `ggufrun keys add NAME` makes one."
        super().__init__(f"There is no key called {cut(name)!r}.", there)
        self.name, self.known = name, tuple(known)


class UnknownJob(OptionError):
    def __init__(self, id: str) -> None:
        hint = "GET /ggufrun/v1/library/pulls, /ggufrun/v1/library/verify or /ggufrun/v1/compare lists what there is."
        super().__init__(f"Nothing here has the id {cut(id)!r}.", hint)
        self.id = id


class ChatNotFound(InputError):
    """A chat, or something of it or beside it, that its owner does not have."""

    def __init__(self, what: str, name: str, hint: str = "GET /ggufrun/v1/chats lists the chats.") -> None:
        super().__init__(f"There is no {what} {cut(name)!r}.", hint)
        self.what, self.name = what, name


class ChatBusy(InputError):
    def __init__(self, run: str) -> None:
        """`run`: the id of the one that is under way."""
        hint = f"Wait for its end, or stop it: DELETE …/runs/{run}."
        super().__init__("This chat has an answer under way, and there is one at a time.", hint)
        self.run = run


class RunStopped(InputError):
    def __init__(self) -> None:
        super().__init__("The run was stopped before its answer had begun.", "Start another one.")


class ModelNotFound(InputError):
    def __init__(
        self, name: str, nearest: Sequence[str], otherwise: str = "Give a path to a .gguf file, or `demo`."
    ) -> None:
        """`otherwise` is the hint where no name is near."""
        known = f"Did you mean {', '.join(nearest)}?" if nearest else otherwise
        super().__init__(f"No model is called {cut(name)!r}.", known)
        self.name, self.nearest = name, tuple(nearest)


class ModelFileError(InputError):
    def __init__(self, path: str | Path, reason: str, hint: str = "") -> None:
        super().__init__(f"{path}: {reason}.", hint)
        self.path, self.reason = Path(path), reason


class NamedFileError(ModelFileError):
    """The request is wrong, not what is served."""


class OutOfMemory(InputError):
    """The model or its context does not fit in memory.

    `killed`: nobody said so, but the process that loaded it was killed, as Linux does when memory runs out.
    """

    def __init__(self, message: str, hint: str = "", *, killed: bool = False) -> None:
        super().__init__(message, hint)
        self.killed = killed


class RequestError(InputError):
    """One request's fault.

    `param` is the request's field, as the caller wrote it, dots between its parts.
    """

    def __init__(self, message: str, hint: str = "", param: str | None = None) -> None:
        super().__init__(message, hint)
        self.param = param


class EmptyPrompt(RequestError):
    def __init__(self) -> None:
        super().__init__("The prompt is empty.", "Write something for the model to answer.", "messages")


class PromptTooLong(RequestError):
    def __init__(self, prompt_tokens: int, context: int, param: str = "messages") -> None:
        message = f"The prompt has {prompt_tokens} tokens and the context holds {context}, answer included."
        super().__init__(message, "Shorten it, or load the model with a larger --context.", param)
        self.prompt_tokens, self.context = prompt_tokens, context


class InputTooLong(RequestError):
    def __init__(self, tokens: int, longest: int, param: str) -> None:
        message = f"The input has {tokens} tokens and the model takes {longest}; nothing is cut."
        super().__init__(message, "Embed it in parts.", param)
        self.tokens, self.longest = tokens, longest


class SchemaError(RequestError):
    """A constraint (JSON schema, regex, grammar) that cannot be enforced.

    `pointer` is the JSON pointer of the keyword, "" where the whole constraint is meant.
    """

    def __init__(self, reason: str, pointer: str = "", param: str = "response_format") -> None:
        where = f" at {pointer}" if pointer else ""
        super().__init__(f"The constraint cannot be enforced{where}: {reason}", "", param)
        self.reason, self.pointer = reason, pointer


class NotEnforceable(SchemaError):
    """The schema is right, but this engine cannot hold an answer to it while it is written."""


class BudgetTooSmall(RequestError):
    def __init__(self, needed: int, budget: int) -> None:
        message = f"The shortest valid answer takes {needed} tokens and only {budget} are allowed."
        super().__init__(message, f"Set max_tokens to at least {needed}.", "max_tokens")
        self.needed, self.budget = needed, budget


class OutOfRange(RequestError):
    """A value outside of what its field allows, or that does not go with the other fields."""


class OverContext(OutOfRange):
    """Prompt and max_tokens together are more than the context holds, where the request wants that refused."""


class TooManyAtOnce(OutOfRange):
    """One request asks for more answers than this engine ever makes at once."""


class BodyTooLarge(RequestError):
    def __init__(self, limit: int) -> None:
        hint = "Send less, or start the server with a larger --max-body."
        super().__init__(f"The body is larger than {limit / 1e6:.3g} MB.", hint)
        self.limit = limit


class BodyStopped(RequestError):
    def __init__(self, idle_s: float) -> None:
        super().__init__(f"The body is not whole, and nothing came for {idle_s:g} s.", "Send the request again.")


class Unsupported(RequestError):
    """A documented field or feature that this server, or this model, does not have."""


class ModelLacks(RequestError):
    """What is asked for is in order, and this model is not made for it. Another one may be."""


class MessageOrder(RequestError):
    """The messages' roles do not follow each other as the model's format wants."""


class BadToolCall(RequestError):
    """A tool call in the history, or its id, cannot be written in the model's format."""


class UnknownModel(RequestError):
    """The request names a model that is not served; `served` are those that are."""

    def __init__(self, name: str, served: Sequence[str]) -> None:
        told, hint = f"Invalid model: {cut(name)}.", f"Served here: {', '.join(served)}."
        if not served:
            told = "This server serves no model yet."
            hint = "Add one in the Models tab of its page, or start it with one: ggufrun serve MODEL."
        super().__init__(told, hint, "model")
        self.name, self.served = name, tuple(served)


class SchemaNotSatisfied(RequestError):
    """No answer satisfied the schema. `text` is the last one, `reason` what is wrong with it."""

    def __init__(self, reason: str, text: str, attempts: int, hint: str = "") -> None:
        times = "The answer" if attempts == 1 else f"None of {attempts} answers"
        verb = "does not match" if attempts == 1 else "matches"
        hint = hint or "Describe the rule in the prompt, or simplify the schema."
        super().__init__(f"{times} {verb} the schema: {reason}.", hint, "response_format")
        self.reason, self.text, self.attempts = reason, text, attempts


class ClientLeft(GgufrunError):
    """Who asked closed the connection before there was an answer."""

    def __init__(self) -> None:
        super().__init__("The client closed the connection.")


class StoreBusy(GgufrunError):
    def __init__(self, holds: str = "keys and calls") -> None:
        super().__init__(f"The file of {holds} is busy: another process holds it.", "Try again in a moment.")


class AccessError(GgufrunError):
    """The caller may not do this."""


class Unauthorized(AccessError):
    def __init__(self, given: bool) -> None:
        message = "This API key is not known." if given else "An API key is needed."
        super().__init__(message, "Send it as `Authorization: Bearer KEY`; `ggufrun keys add NAME` makes one.")


class AdminKeyNeeded(Unauthorized):
    """Nobody needs a key to chat yet; to manage the server, one is always needed."""

    def __init__(self) -> None:
        message = "Managing the server needs a key with the scope admin."
        hint = (
            "Make one: ggufrun keys add NAME --scope admin (chatting needs a key from then on, too). "
            "`ggufrun ps` and `ggufrun stop` on this machine need none."
        )
        AccessError.__init__(self, message, hint)


class Forbidden(AccessError):
    """The key is good and lacks this right."""


class HostRefused(AccessError):
    def __init__(self) -> None:
        hint = "Allow it: ggufrun serve --allowed-host NAME."
        super().__init__("The Host header is not one of this server's names.", hint)


class OriginRefused(AccessError):
    def __init__(self) -> None:
        super().__init__(
            "Web pages of this origin may not call the server.",
            "Allow them: ggufrun serve --cors ORIGIN, or --allowed-host NAME if a reverse proxy stands in front.",
        )


class QuotaUsed(AccessError):
    """`retry_s`: seconds until the next day begins."""

    def __init__(self, key: str, tokens_per_day: int, used: int, retry_s: int) -> None:
        message = f"The key {key!r} has used {used} of its {tokens_per_day} tokens today."
        other = f"ggufrun keys revoke {key}, then ggufrun keys add {key} --tokens-per-day MORE"
        super().__init__(message, f"Wait until midnight UTC, or make it anew with more: {other}.")
        self.key, self.tokens_per_day, self.used, self.retry_s = key, tokens_per_day, used, retry_s


class EngineError(GgufrunError):
    """The engine could not go on with this request."""


class EngineBusy(EngineError):
    def __init__(self, queued: int) -> None:
        super().__init__(f"The queue is full ({queued} requests are waiting).", "Try again in a moment.")
        self.queued = queued


class EngineCrashed(EngineError):
    """`retry_s`: the process stays down for so many seconds; the next request after that starts it again."""

    def __init__(self, detail: str, restarting: bool = True, retry_s: int | None = None) -> None:
        again = "It is being restarted; send the request again." if restarting else "Load the model again."
        if retry_s is not None:
            again = f"Send the request again in {retry_s} s: that starts it again."
        super().__init__(f"The model's process ended: {detail}.", again)
        self.detail, self.restarting, self.retry_s = detail, restarting, retry_s


class EngineClosed(EngineError):
    def __init__(self) -> None:
        super().__init__("The model was closed.", "Load it again.")


class CannotMeasure(EngineError):
    """This build of llama.cpp, or this platform, does not say what a model takes: formulas must do."""

    def __init__(self, why: str) -> None:
        super().__init__(f"llama.cpp cannot be asked what a model takes: {why}.", "`ggufrun doctor` says more.")
        self.why = why


class CannotLoad(EngineError):
    """For those who chat: the reason is for the server's user, and names what lies on the machine."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} cannot be loaded.", "On the server's machine, `ggufrun ps` says why.")
        self.name = name


class ModelLoading(EngineError):
    """The model was not loaded in time; it goes on loading. `retry_s`: when to ask again."""

    def __init__(self, name: str, retry_s: int) -> None:
        super().__init__(f"{name} is still being loaded.", f"Send the request again in {retry_s} s.")
        self.name, self.retry_s = name, retry_s
