"""How a model's answer is written, as far as the output parser must know. Made with the prompt, read by the parser."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ThinkingStyle = Literal["none", "tokens", "markers"]
ToolCallStyle = Literal["none", "mistral", "hermes"]


@dataclass(frozen=True, slots=True)
class OutputStyle:
    """What to look for in the answer's tokens.

    `thinking`: "tokens" is Mistral's [THINK]…[/THINK] by id, "markers" is the text <think>…</think>.
    `tool_calls`: "mistral" is [TOOL_CALLS] by id (JSON list before v11, `name[ARGS]json` from v11 on, told apart by
    whether `special` has [ARGS]), "hermes" is the text <tool_call>{"name": …, "arguments": …}</tool_call>.
    `special` maps those of [THINK], [/THINK], [TOOL_CALLS], [ARGS] and [CALL_ID] that the vocabulary has to token ids.
    """

    thinking: ThinkingStyle = "none"
    starts_in_thinking: bool = False  # the prompt already opened the thinking part
    tool_calls: ToolCallStyle = "none"
    special: Mapping[str, int] = field(default_factory=dict)
    may_think: bool = True  # under a constraint; False: the request says that it shall not
