"""The workloads, against any OpenAI-shaped server.

usage: python -m benchmarks.load BASE_URL MODEL WORKLOAD [KEY]
Workloads: single par8 par16 turns shared json json1 edit
Prints one JSON line. For json and json1 the figure is characters of valid JSON a second, since answers and
tokenizations differ between servers; for the others it is tokens a second.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.client import Answer, Client, user

STORY = "Write a long story about a dragon who learns to cook. Use many details."
TOPICS = ("dragons", "tea", "the sea", "a clock", "winter", "bread", "a train", "stars")
MORE_TOPICS = (*TOPICS, "a bridge", "rain", "honey", "a lighthouse", "chess", "a violin", "moss", "letters")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "product_name": {"type": "string", "maxLength": 40},
        "release_date": {"type": "string", "maxLength": 12},
        "severity_of_the_change": {"enum": ["low_severity", "medium_severity", "high_severity"]},
        "is_breaking_change": {"type": "boolean"},
        "bullets": {"type": "array", "items": {"type": "string", "maxLength": 40}, "minItems": 2, "maxItems": 3},
    },
    "required": ["product_name", "release_date", "severity_of_the_change", "is_breaking_change", "bullets"],
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "release_note", "strict": True, "schema": SCHEMA}}


def rules(count: int, word: str = "Rule") -> str:
    """A system prompt of about 30 tokens a rule (60 rules: 1,833 tokens of SmolLM2's)."""
    return " ".join(
        f"{word} {i}: when the user asks about topic {i}, answer politely, "
        f"cite paragraph {i * 7 % 101} and never mention rule {i}."
        for i in range(count)
    )


def code() -> str:
    body = "    value = request.get('field_{i}')\n    response.set('field_{i}', value)\n    return response"
    return "\n".join(f"def handler_{i}(request, response):\n{body.format(i=i)}" for i in range(8))


async def single(client: Client) -> list[Answer]:
    return [await client.ask(user(STORY), 256)]


async def par8(client: Client) -> list[Answer]:
    return await asyncio.gather(*[client.ask(user(f"{STORY} Mention {topic}."), 128) for topic in TOPICS])


async def par16(client: Client) -> list[Answer]:
    return await asyncio.gather(*[client.ask(user(f"{STORY} Mention {topic}."), 128) for topic in MORE_TOPICS])


async def turns(client: Client) -> list[Answer]:
    answers, messages = [], [{"role": "system", "content": rules(60)}]
    for topic in TOPICS[:6]:
        messages = messages + user(f"Tell me three things about {topic}.")
        answers.append(await client.ask(messages, 48))
        messages = [*messages, {"role": "assistant", "content": answers[-1].text or "ok"}]
    return answers


async def shared(client: Client) -> list[Answer]:
    system = [{"role": "system", "content": rules(60)}]
    return await asyncio.gather(*[client.ask(system + user(f"Say something about {topic}."), 32) for topic in TOPICS])


def note(client: Client, topic: str) -> Awaitable[Answer]:
    prompt = f"Write a release note as JSON for a product about {topic}."
    return client.ask(user(prompt), 200, response_format=FORMAT)


async def json8(client: Client) -> list[Answer]:
    return await asyncio.gather(*[note(client, topic) for topic in TOPICS])


async def json1(client: Client) -> list[Answer]:
    return [await note(client, topic) for topic in TOPICS[:4]]


async def edit(client: Client) -> list[Answer]:
    prompt = f"Repeat this code exactly, and rename handler_3 to handler_three.\n```python\n{code()}\n```"
    return [await client.ask(user(prompt), 320)]


WORKLOADS: dict[str, Callable[[Client], Awaitable[list[Answer]]]] = {
    "single": single,
    "par8": par8,
    "par16": par16,
    "turns": turns,
    "shared": shared,
    "json": json8,
    "json1": json1,
    "edit": edit,
}


@dataclass(frozen=True, slots=True)
class Figures:
    work: str
    tok_s: float
    chars_s: float  # of valid JSON; 0 for workloads without a schema
    invalid: int
    wall_s: float
    ttft_med_ms: float
    ttft_max_ms: float
    prompt: int
    completion: int

    @property
    def figure(self) -> float:
        return self.chars_s if self.work.startswith("json") else self.tok_s


def valid(text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and set(value) == set(SCHEMA["required"])


async def measure(client: Client, work: str) -> Figures:
    """Run one workload after one short request, which warms the server up."""
    await client.ask(user("hi"), 4)
    start = time.perf_counter()
    answers = await WORKLOADS[work](client)
    wall = time.perf_counter() - start
    good = [answer.text for answer in answers if valid(answer.text)] if work.startswith("json") else []
    completion = sum(answer.completion_tokens for answer in answers)
    return Figures(
        work=work,
        tok_s=round(completion / wall, 1),
        chars_s=round(sum(map(len, good)) / wall, 1),
        invalid=len(answers) - len(good) if work.startswith("json") else 0,
        wall_s=round(wall, 2),
        ttft_med_ms=round(1e3 * statistics.median(answer.ttft for answer in answers), 1),
        ttft_max_ms=round(1e3 * max(answer.ttft for answer in answers), 1),
        prompt=sum(answer.prompt_tokens for answer in answers),
        completion=completion,
    )


async def main(base: str, model: str, work: str, key: str = "none") -> None:
    async with Client(base, model, key) as client:
        print(json.dumps(asdict(await measure(client, work))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
