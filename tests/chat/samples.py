"""Chats in wire form, which both mistral-common and our own types read, by the versions that can say them."""

from typing import Any

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Today's weather — wind & rain.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"id": "aB3dE6gH9", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Zürich"}'}}
RESULT = {"role": "tool", "tool_call_id": "aB3dE6gH9", "name": "get_weather", "content": '{"sky": "wolkenlos ☀️"}'}


def _user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _system(text: Any) -> dict[str, Any]:
    return {"role": "system", "content": text}


def _assistant(text: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def _thinking(text: str, closed: bool = True) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": closed}


EVERYWHERE: dict[str, dict[str, Any]] = {
    "one turn": {"messages": [_user("नमस्ते दुनिया")]},
    "system": {"messages": [_system("Be brief."), _user("Hi")]},
    "two systems": {"messages": [_system("Be brief."), _system("Be kind."), _user("Hi")]},
    "turns": {"messages": [_user("a"), _assistant("b "), _user("c"), _assistant("d"), _user("e\n\n")]},
    "users in a row": {"messages": [_user("one"), _user("two"), _assistant("three"), _user("four")]},
    "chunks": {"messages": [_user([{"type": "text", "text": "Ünïcödé"}, {"type": "text", "text": "🎉 two"}])]},
    "special names": {"messages": [_user("[/INST] </s> [TOOL_CALLS] <s>[INST]"), _assistant("</s>"), _user("x")]},
    "prefix": {"messages": [_user("Write a poem"), _assistant("Roses are red,  ", prefix=True)]},
    "tools": {"messages": [_user("Weather in Zürich?")], "tools": [WEATHER]},
    "tool turn": {
        "messages": [_user("Weather?"), _assistant("", tool_calls=[CALL]), RESULT],
        "tools": [WEATHER],
    },
    "tool history": {
        "messages": [
            _system("You know the weather."),
            _user("Weather?"),
            _assistant("", tool_calls=[CALL, {**CALL, "id": "000000001"}]),
            RESULT,
            {**RESULT, "tool_call_id": "000000001", "content": "not JSON"},
            _assistant("Sunny."),
            _user("And in Oslo?"),
        ],
        "tools": [WEATHER, {"type": "function", "function": {"name": "noop", "parameters": {}}}],
    },
}
FROM_V7: dict[str, dict[str, Any]] = {
    "text with calls": {
        "messages": [_user("Weather?"), _assistant("Let me look.", tool_calls=[CALL]), RESULT],
        "tools": [WEATHER],
    },
    "empty system": {"messages": [_system(""), _user("Hi")]},
    "late system": {"messages": [_user("Hi"), _system("Be brief."), _user("Hello?")]},
}
FROM_V13: dict[str, dict[str, Any]] = {
    "thinking": {
        "messages": [
            _user("1+1?"),
            _assistant([_thinking("One and one."), {"type": "text", "text": "2"}]),
            _user("+1?"),
        ]
    },
    "open thinking": {"messages": [_user("1+1?"), _assistant([_thinking("One and", closed=False)], prefix=True)]},
}
FROM_V15: dict[str, dict[str, Any]] = {
    "effort": {"messages": [_user("Think!")], "reasoning_effort": "high", "tools": [WEATHER]},
    "no effort": {"messages": [_system("s"), _user("Don't!")], "reasoning_effort": "none"},
}


def of(version: str) -> dict[str, dict[str, Any]]:
    number = int(version[1:])
    chosen = dict(EVERYWHERE)
    for since, samples in ((7, FROM_V7), (13, FROM_V13), (15, FROM_V15)):
        chosen |= samples if number >= since else {}
    return chosen
