"""What is scored, as values: a text in named parts, and prompts that are answered"""

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """`name` stands in the report: "French", or a file's name."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation that waits for an answer: roles and texts, the last of them the user's. `kind` is its part."""

    kind: str
    messages: tuple[tuple[str, str], ...]

    @property
    def question(self) -> str:
        """What is shown beside the answers."""
        return self.messages[-1][1]


@dataclass(frozen=True, slots=True)
class Source:
    """`said` is what the report calls it. The parts and prompts are in the order in which they are used."""

    said: str
    parts: tuple[Part, ...]
    prompts: tuple[Prompt, ...]

    @property
    def sha256(self) -> str:
        whole = {
            "parts": [[part.name, part.text] for part in self.parts],
            "prompts": [[prompt.kind, prompt.messages] for prompt in self.prompts],
        }
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def joined(parts: tuple[Part, ...], name: str) -> Part:
    """Several as one, a blank line between them."""
    return Part(name, "\n\n".join(part.text for part in parts))
