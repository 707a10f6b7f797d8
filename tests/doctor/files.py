"""Model files with something changed: copies of tiny models with other metadata, and chat templates for them."""

import shutil
import struct
from pathlib import Path

from ggufrun.weights.header import read_header
from tests.weights.gguf_bytes import STRING, field, text

# As mistral-common writes v13, and with {settings} v15.
_LATE = (
    "{{{{ bos_token }}}}"
    "{{%- if messages[0]['role'] == 'system' %}}{{%- set turns = messages[1:] %}}"
    "{{{{ '[SYSTEM_PROMPT]' + messages[0]['content'] + '[/SYSTEM_PROMPT]' }}}}"
    "{{%- else %}}{{%- set turns = messages %}}{{%- endif %}}"
    "{{%- if tools %}}{{{{ '[AVAILABLE_TOOLS]' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}}}{{%- endif %}}"
    "{settings}"
    "{{%- for message in turns %}}"
    "{{%- if message['role'] == 'user' %}}{{{{ '[INST]' + message['content'] + '[/INST]' }}}}"
    "{{%- elif message['role'] == 'tool' %}}{{{{ '[TOOL_RESULTS]' + message['content'] + '[/TOOL_RESULTS]' }}}}"
    "{{%- else %}}"
    "{{%- if message['content'] is string %}}{{{{ message['content'] }}}}"
    "{{%- else %}}{{%- for chunk in message['content'] %}}"
    "{{%- if chunk['type'] == 'thinking' %}}{{{{ '[THINK]' + chunk['thinking'] + '[/THINK]' }}}}"
    "{{%- else %}}{{{{ chunk['text'] }}}}{{%- endif %}}{{%- endfor %}}{{%- endif %}}"
    "{{%- for call in message['tool_calls'] %}}"
    "{{{{ '[TOOL_CALLS]' + call['function']['name'] + '[ARGS]' + (call['function']['arguments'] | tojson) }}}}"
    "{{%- endfor %}}{{{{ eos_token }}}}"
    "{{%- endif %}}{{%- endfor %}}"
)
_SETTINGS = (
    "{{ '[MODEL_SETTINGS]' + ({'reasoning_effort': reasoning_effort or 'none'} | tojson) + '[/MODEL_SETTINGS]' }}"
)
V13 = _LATE.format(settings="")
V15 = _LATE.format(settings=_SETTINGS)


def with_text(source: Path, target: Path, key: str, value: str) -> Path:
    """A copy of a GGUF with one more string in its metadata."""
    return with_fields(source, target, field(key, STRING, text(value)))


def with_fields(source: Path, target: Path, *fields: bytes) -> Path:
    """A copy with more metadata, in `gguf_bytes.field`'s form. Another field pads, so that tensors stay aligned."""
    data_offset = read_header(source).data_offset
    more = b"".join(fields)
    empty = field("padding", STRING, text(""))
    more += field("padding", STRING, text(" " * (-(len(more) + len(empty)) % 32)))
    with source.open("rb") as old, target.open("wb") as new:
        version, tensors, keys = struct.unpack("<IQQ", old.read(24)[4:])
        new.write(b"GGUF" + struct.pack("<IQQ", version, tensors, keys + len(fields) + 1) + more)
        new.write(old.read(data_offset - 24))
        shutil.copyfileobj(old, new)
    return target


def with_bytes(source: Path, target: Path, old: bytes, new: bytes) -> Path:
    """A copy with one occurrence of some bytes replaced by as many others."""
    data = source.read_bytes()
    if data.count(old) != 1 or len(old) != len(new):
        raise ValueError(f"{old!r} is there {data.count(old)} times")
    target.write_bytes(data.replace(old, new))
    return target
