"""One request as programs that are ready to paste: curl, and Mistral's and OpenAI's SDKs for Python and Node.

The key is never written into them: they read it from GGUFRUN_API_KEY.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pprint import pformat
from typing import Any, Final, Literal

Body = Mapping[str, Any]
Language = Literal["shell", "python", "javascript"]
KEY: Final = "GGUFRUN_API_KEY"
_WIDTH: Final = 100

# What the Python SDKs have parameters for, beside `model` and `messages`. As of mistralai 3.7 and openai 3.54.
_COMMON: Final = frozenset(
    (
        *("temperature", "top_p", "max_tokens", "stop", "presence_penalty", "frequency_penalty", "response_format"),
        *("tools", "tool_choice", "parallel_tool_calls", "reasoning_effort"),
    )
)
_MISTRAL: Final = _COMMON | {"random_seed", "min_tokens", "repetition_penalty", "top_k", "prompt_mode", "safe_prompt"}
_OPENAI: Final = _COMMON | {"seed", "logit_bias", "max_completion_tokens"}


def curl(url: str, body: Body) -> str:
    said = shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))
    return f"""curl {shlex.quote(f"{url}/v1/chat/completions")} \\
  -H "Authorization: Bearer ${{{KEY}:-none}}" \\
  -H "Content-Type: application/json" \\
  -d {said}
"""


def mistralai(url: str, body: Body) -> str:
    taken, left = _split(_for_mistral(body), _MISTRAL)
    return f"""import os

from mistralai.client import Mistral

client = Mistral(api_key=os.environ.get("{KEY}", "none"), server_url={url!r})
answer = client.chat.complete(
{_arguments(taken)}
)
print(answer.choices[0].message.content)
{_missing(left, "# mistralai has no parameter for: ")}"""


def openai(url: str, body: Body) -> str:
    taken, left = _split(body, _OPENAI)
    more = {"extra_body": left} if left else {}
    return f"""import os

from openai import OpenAI

client = OpenAI(api_key=os.environ.get("{KEY}", "none"), base_url={f"{url}/v1"!r})
answer = client.chat.completions.create(
{_arguments(taken | more)}
)
print(answer.choices[0].message.content)
"""


def node_mistral(url: str, body: Body) -> str:
    taken, left = _split(_for_mistral(body), _MISTRAL)
    written = {_camel(name): value for name, value in taken.items()}
    if "responseFormat" in written:
        schema = written["responseFormat"]["json_schema"]
        written["responseFormat"] = {
            "type": "json_schema",
            "jsonSchema": {"name": schema["name"], "schemaDefinition": schema["schema_definition"]},
        }
    return f"""import {{ Mistral }} from "@mistralai/mistralai";

const client = new Mistral({{ apiKey: process.env.{KEY} ?? "none", serverURL: {json.dumps(url)} }});
const answer = await client.chat.complete({_script(written)});
console.log(answer.choices[0].message.content);
{_missing(left, "// @mistralai/mistralai has no parameter for: ")}"""


def node_openai(url: str, body: Body) -> str:
    return f"""import OpenAI from "openai";

const client = new OpenAI({{ apiKey: process.env.{KEY} ?? "none", baseURL: {json.dumps(f"{url}/v1")} }});
const answer = await client.chat.completions.create({_script(body)});
console.log(answer.choices[0].message.content);
"""


PROGRAMS: Final[Mapping[str, tuple[Language, Callable[[str, Body], str]]]] = {
    "curl": ("shell", curl),
    "mistralai (Python)": ("python", mistralai),
    "openai (Python)": ("python", openai),
    "Mistral (Node)": ("javascript", node_mistral),
    "OpenAI (Node)": ("javascript", node_openai),
}  # by what they are called: the language that they are written in, and what writes them


def _for_mistral(body: Body) -> dict[str, Any]:
    """In the names of Mistral's SDKs."""
    renamed = {("random_seed" if name == "seed" else name): value for name, value in body.items()}
    if "response_format" in renamed:
        schema = renamed["response_format"]["json_schema"]
        written = {"name": schema["name"], "schema_definition": schema["schema"]}
        renamed["response_format"] = {"type": "json_schema", "json_schema": written}
    return renamed


def _split(body: Body, known: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    known = known | {"model", "messages"}
    taken = {name: value for name, value in body.items() if name in known}
    return taken, {name: value for name, value in body.items() if name not in known}


def _arguments(values: Body) -> str:
    return "\n".join(f"    {name}={_indented(pformat(value, width=_WIDTH, sort_dicts=False))},"
                     for name, value in values.items())  # fmt: skip


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


def _script(values: Body) -> str:
    # JSON is JavaScript, but for what would end a <script>, should somebody paste it into one.
    return json.dumps(values, indent=2, ensure_ascii=False).replace("</", "<\\/")


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)


def _missing(left: Body, words: str) -> str:
    return f"{words}{', '.join(left)}\n" if left else ""
