"""From the texts of the sampling's fields to the fields of a request, and back. No widgets."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ggufrun.ui.settings.fields import EFFORTS, FIELDS, NAMED, Field

Texts = dict[str, str]  # what stands in each field, by its name; "": nothing
MOST_STOPS: Final = 64
UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"  # what the browser sends for a number that is none
_ESCAPES: Final = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}


def sampling_of(texts: Mapping[str, Any], before: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What the user has set, and what is wrong, by the field's name. What has no field stays as it was `before`."""
    sampling = {name: value for name, value in before.items() if name not in NAMED}
    wrong: dict[str, str] = {}
    for field in FIELDS:
        text = str(texts.get(field.name) or "")
        try:
            value = _value(field, text)
        except ValueError as error:
            wrong[field.name] = str(error)
        else:
            if value is not None:
                sampling[field.name] = value
    return sampling, wrong


def texts_of(sampling: Mapping[str, Any]) -> Texts:
    """What stands in the fields for these settings; values of strange types are left to the API's words."""
    return {field.name: _text(field, sampling.get(field.name)) for field in FIELDS}


def hints_of(model: Mapping[str, Any]) -> Texts:
    """What empty fields show: the model's own value where /v1/models has it."""
    own = model.get("default_sampling") or {}
    own = {"temperature": model.get("default_model_temperature"), **(own if isinstance(own, dict) else {})}
    return {field.name: _text(field, own.get(field.name)) or field.hint for field in FIELDS}


def efforts_of(card: Mapping[str, Any] | None) -> Sequence[str]:
    """What the reasoning may be told. `card`: of a model that is known, as /ggufrun/v1/library/cards has it."""
    return tuple(map(str, card.get("efforts") or ())) if card is not None else EFFORTS


def _value(field: Field, text: str) -> Any:
    """None: not set. Raises ValueError with a sentence."""
    if field.kind == "lines":
        return _lines(field, text)
    text = text.strip()
    if field.kind == "effort":
        return text or None
    if field.kind == "yes":
        return True if text else None
    return _number(field, text) if text else None


def _number(field: Field, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{field.label} is not a number. It must be {field.range}.") from None
    if not math.isfinite(value) or not field.fits(value):
        raise ValueError(f"{field.label} is {text}. It must be {field.range}.")
    if field.kind == "number":
        return value
    if not value.is_integer():
        raise ValueError(f"{field.label} is {text}. It must be a whole number.")
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else int(value)  # long seeds keep all their digits


def _lines(field: Field, text: str) -> list[str] | None:
    lines = [re.sub(r"\\[nt\\]", lambda found: _ESCAPES[found[0]], line) for line in text.split("\n") if line]
    if len(lines) > MOST_STOPS:
        raise ValueError(f"{field.label}: there are {len(lines)}. Give at most {MOST_STOPS}.")
    return lines or None


def _text(field: Field, value: Any) -> str:
    if field.kind == "lines":
        lines = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
        return "\n".join(_escaped(str(line)) for line in lines)
    if value is None or (field.kind == "yes" and not value):
        return ""
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() else repr(value)
    return "yes" if value is True else str(value)


def _escaped(line: str) -> str:
    return line.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
