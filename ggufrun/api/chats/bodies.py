"""The bodies of requests about chats: how an answer is asked for, what a chat has, and what is said in it."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from ggufrun.api.conversation.incoming import Body
from ggufrun.records.chat_messages import ChatMessage

MOST_MESSAGES: Final = 20_000  # of an import
MOST_LEFT_OUT: Final = 5_000
Content = str | list[dict[str, Any]]
Title = Annotated[str, Field(max_length=500)]
LeftOut = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MOST_LEFT_OUT)]
ModelName = Annotated[str, Field(max_length=500, description='"": the only one that is served.')]


class Shallow(Body):
    """Refused before it is stored: a reply nested over about 250 deep cannot be written."""

    deepest: ClassVar[int] = 100

    @model_validator(mode="before")
    @classmethod
    def _not_too_deep(cls, data: Any) -> Any:
        level, depth = [data], 0
        while level := [each for value in level for each in _within(value)]:
            depth += 1
            if depth > cls.deepest:
                raise ValueError(f"The body is nested more than {cls.deepest} deep")
        return data


def _within(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


class ChatSettings(Body):
    """How the answers of a chat are asked for."""

    system: str | None = Field(default=None, description="The system message in front of the conversation.")
    sampling: dict[str, Any] = Field(
        default_factory=dict,
        description="Fields of /v1/chat/completions: temperature, max_tokens, stop, reasoning_effort and so on.",
        examples=[{"temperature": 0.3, "max_tokens": 500}],
    )
    answer_schema: Annotated[
        dict[str, Any] | bool | None, Field(alias="schema", description="A JSON schema that answers must match.")
    ] = None
    tools: list[dict[str, Any]] | None = Field(default=None, description="As in /v1/chat/completions.")
    left_out: LeftOut | None = Field(
        default=None,
        description="Ids of messages that stay in the chat and are not sent to the model. Each stands for its whole "
        "exchange, from a question up to the next one; `ID#0` is the first part of a message's content. A change of "
        "the settings without it leaves it as it is.",
    )

    def written(self) -> dict[str, Any]:
        """What was given of it, under the names that clients use."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class NewChat(Shallow):
    title: Title = ""
    model: ModelName = ""
    settings: ChatSettings = ChatSettings()


class ChatChanges(Shallow):
    """What is given changes; `settings` as a whole, but for what is left out: that stays where it is not given."""

    title: Title | None = None
    model: ModelName | None = None
    settings: ChatSettings | None = None
    left_out: LeftOut | None = Field(None, description="`settings.left_out` alone; the other settings stay.")
    head: str | None = Field(None, description="The message whose branch is shown.")


class NewMessage(Shallow):
    """Below `parent`; beside `sibling_of`, as an edited one is; else below the chat's head."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "user", "content": "Why is the sky blue?"}]})

    role: Literal["user", "assistant", "tool"] = "user"
    content: Content = ""
    thinking: str = ""
    tool_calls: list[dict[str, Any]] = Field(default_factory=list)
    tool_call_id: str | None = Field(None, description="Of the call that a message of role tool has the result of.")
    name: str | None = None
    parent: str | None = None
    sibling_of: str | None = None

    def message(self, parent: str | None) -> ChatMessage:
        return ChatMessage(
            role=self.role,
            content=self.content,
            thinking=self.thinking,
            tool_calls=self.tool_calls,
            tool_call_id=self.tool_call_id,
            name=self.name,
            parent=parent,
        )


class RunBody(Shallow):
    """What is to be answered: a new `message`, what stands at `parent`, or at the chat's head. Or `continue` an answer.

    `model` and `settings` hold for this run, each of the settings instead of the chat's.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"message": {"content": "Why is the sky blue?"}},
                {"parent": "3f1e0d1c9a8b4c5d8e7f6a5b4c3d2e1f", "settings": {"sampling": {"temperature": 1}}},
            ]
        }
    )

    message: NewMessage | None = None
    parent: str | None = Field(None, description="Answer this message anew.")
    continued: Annotated[str | None, Field(alias="continue", description="Go on with this answer.")] = None
    model: ModelName | None = None
    settings: ChatSettings | None = None


class PresetBody(Shallow):
    model: ModelName = ""
    settings: ChatSettings = ChatSettings()


class ExportedMessage(Body):
    id: str
    parent: str | None = None
    role: Literal["user", "assistant", "tool"]
    content: Content = ""
    thinking: str = ""
    tool_calls: list[dict[str, Any]] = Field(default_factory=list)
    tool_call_id: str | None = None
    name: str | None = None
    meta: dict[str, Any] = Field(default_factory=dict)
    created: float = Field(0.0, ge=0, lt=1e12)


class ExportedChat(Shallow):
    """A chat as its export writes it. Parents stand before their children."""

    deepest: ClassVar[int] = 110  # messages are deeper in it than in the body that they came in

    format: Literal["ggufrun-chat"]
    version: Literal[1]
    title: Title = ""
    model: ModelName = ""
    settings: ChatSettings = ChatSettings()
    head: str | None = None
    messages: list[ExportedMessage] = Field(default_factory=list, max_length=MOST_MESSAGES)
