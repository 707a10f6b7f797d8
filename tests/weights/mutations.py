"""Damaged variants of a GGUF header, by number: the same number gives the same bytes. Nothing is tried here."""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9
ODD = (0, 1, 2, 3, 7, 8, 9, 10, 12, 13, 31, 255, 256, 4095, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32)
HUGE = ((1 << 62) + 1, (1 << 63) - 32, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 32, (1 << 64) - 1)
WORDS = tuple(b"llama gpt2 bert t5 rwkv plamo2 none default tekken llama-bpe qwen2 mamba mistral3 clip {{ x }}".split())


@dataclass(frozen=True, slots=True)
class Structure:
    """Where a header's parts lie: integers as (offset, bytes), and the spans of names, fields and tensors."""

    numbers: tuple[tuple[int, int], ...]
    names: tuple[tuple[int, int], ...]
    values: tuple[tuple[int, int], ...]  # scalars, and some elements of arrays
    fields: tuple[tuple[int, int], ...]
    tensors: tuple[tuple[int, int], ...]
    typed: tuple[tuple[int, int, int], ...]  # fields without their names, and how many elements a list has
    end: int


class _Walk:
    """Reads a good header, with no check at all, and writes down where everything is."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 8
        self.numbers: list[tuple[int, int]] = [(4, 4)]
        self.names: list[tuple[int, int]] = []
        self.values: list[tuple[int, int]] = []

    def number(self, width: int) -> int:
        self.numbers.append((self.at, width))
        self.at += width
        return int.from_bytes(self.data[self.at - width : self.at], "little")

    def text(self, spans: list[tuple[int, int]]) -> None:
        length = self.number(8)
        spans.append((self.at, self.at + length))
        self.at += length

    def value(self, kind: int) -> None:
        if kind == STRING:
            self.text(self.values)
        elif kind == ARRAY:
            self.array()
        else:
            self.values.append((self.at, self.at + WIDTHS[kind]))
            self.at += WIDTHS[kind]

    def array(self) -> None:
        kind, length = self.number(4), self.number(8)
        few = {0, 1, length // 2, length - 1}
        for place in range(length):
            if place in few:
                self.value(kind)
            elif kind == STRING:
                self.at += 8 + int.from_bytes(self.data[self.at : self.at + 8], "little")
            else:
                self.at += WIDTHS[kind]

    def all(self) -> Structure:
        tensor_count, key_count = self.number(8), self.number(8)
        fields, tensors, typed = [], [], []
        for _ in range(key_count):
            start = self.at
            self.text(self.names)
            begin = self.at
            self.value(self.number(4))
            length = int.from_bytes(self.data[begin + 8 : begin + 16], "little")
            typed.append((begin, self.at, length if self.data[begin] == ARRAY else 3))
            fields.append((start, self.at))
        for _ in range(tensor_count):
            start = self.at
            self.text(self.names)
            for _ in range(self.number(4)):
                self.number(8)
            self.number(4)
            self.number(8)
            tensors.append((start, self.at))
        numbers, names, values = tuple(self.numbers), tuple(self.names), tuple(self.values)
        return Structure(numbers, names, values, tuple(fields), tuple(tensors), tuple(typed), self.at)


def structure_of(data: bytes) -> Structure:
    return _Walk(data).all()


def variant(data: bytes, structure: Structure, number: int) -> bytes:
    """One damaged copy: mostly one thing is wrong, sometimes three."""
    chance = random.Random(number)
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 3))):
        if len(changed) != len(data):  # nothing is where it was
            break
        chance.choice(_WAYS)(changed, structure, chance)
    return bytes(changed)


def _wrong_number(data: bytearray, structure: Structure, chance: random.Random) -> None:
    offset, width = chance.choice(structure.numbers)
    old = int.from_bytes(data[offset : offset + width], "little")
    near = (old - 1, old + 1, old * 2, old ^ 1 << chance.randrange(8 * width), len(data) - offset, len(data))
    new = chance.choice((*ODD, *HUGE, *near))
    data[offset : offset + width] = (new % (1 << 8 * width)).to_bytes(width, "little")


def _wrong_name(data: bytearray, structure: Structure, chance: random.Random) -> None:
    """Of the same length, so that the rest still fits."""
    start, end = chance.choice(structure.names)
    other = chance.choice((b"../" * 40, b"/etc/passwd\0", b"\0", b"\xff\xfe", b"A", b"general.alignment\0", b"%s%n"))
    data[start:end] = (
        (other * 40)[: end - start] if chance.random() < 0.7 else _other(data, structure, chance, end - start)
    )


def _other(data: bytearray, structure: Structure, chance: random.Random, length: int) -> bytes:
    """Another name of the file's, cut or padded."""
    start, end = chance.choice(structure.names)
    return bytes(data[start:end]).ljust(length, b"_")[:length]


def _wrong_value(data: bytearray, structure: Structure, chance: random.Random) -> None:
    start, end = chance.choice(structure.values)
    data[start:end] = chance.choice((bytes, lambda count: b"\xff" * count, chance.randbytes))(end - start)


def _zeros(data: bytearray, structure: Structure, chance: random.Random) -> None:
    """A tensor's dimensions, type or offset."""
    start, end = chance.choice(structure.tensors)
    name = 8 + int.from_bytes(data[start : start + 8], "little") + 4
    if end - start - name >= 20:
        at = start + name + 8 * chance.randrange((end - start - name - 12) // 8)
        data[at : at + 8] = struct.pack("<Q", chance.choice((0, 0, 1 << 40, *HUGE)))


def _repeated(data: bytearray, structure: Structure, chance: random.Random) -> None:
    """A field or tensor twice, and counted."""
    spans, count = chance.choice(((structure.fields, 16), (structure.tensors, 8)))
    start, end = chance.choice(spans)
    data[end:end] = data[start:end]
    data[count : count + 8] = struct.pack("<Q", len(spans) + 1)


def _rewritten(data: bytearray, structure: Structure, chance: random.Random) -> None:
    """A field with another value, all well formed: of another type, or a list of another length."""
    start, end, length = chance.choice(structure.typed)
    data[start:end] = _some_value(chance, length)


def _some_value(chance: random.Random, length: int) -> bytes:
    kind = chance.choice((*WIDTHS, STRING, STRING, ARRAY, ARRAY, ARRAY))
    if kind == STRING:
        return struct.pack("<I", kind) + _text(chance)
    if kind != ARRAY:
        return struct.pack("<I", kind) + _bytes(chance, WIDTHS[kind])
    kind = chance.choice((*WIDTHS, STRING, STRING, STRING, STRING))
    count = max(0, chance.choice((0, 1, 2, length - 1, length, length, length + 1, length * 2)))
    if kind != STRING:
        return struct.pack("<IIQ", ARRAY, kind, count) + _bytes(chance, WIDTHS[kind] * count)
    return struct.pack("<IIQ", ARRAY, kind, count) + b"".join(_text(chance) for _ in range(count))


def _text(chance: random.Random) -> bytes:
    text = chance.choice((*WORDS, b"", b"\0", b"\xff", b"a b", chance.randbytes(3), b"word%d" % chance.randrange(1000)))
    return struct.pack("<Q", len(text)) + text


def _bytes(chance: random.Random, count: int) -> bytes:
    return chance.choice((bytes, lambda count: b"\xff" * count, chance.randbytes, lambda count: b"\1" * count))(count)


def _left_out(data: bytearray, structure: Structure, chance: random.Random) -> None:
    spans, count = chance.choice(((structure.fields, 16), (structure.tensors, 8)))
    start, end = chance.choice(spans)
    del data[start:end]
    data[count : count + 8] = struct.pack("<Q", len(spans) - 1)


def _cut(data: bytearray, structure: Structure, chance: random.Random) -> None:
    del data[chance.randrange(structure.end) :]


def _noise(data: bytearray, structure: Structure, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 4, 64))):
        data[chance.randrange(len(data))] = chance.randrange(256)


def _shifted(data: bytearray, structure: Structure, chance: random.Random) -> None:
    offset, _ = chance.choice(structure.numbers)
    if chance.random() < 0.5:
        data[offset:offset] = chance.randbytes(chance.choice((1, 8, 64)))
    else:
        del data[offset : offset + chance.choice((1, 8, 64))]


_WAYS: tuple[Callable[[bytearray, Structure, random.Random], None], ...] = (
    _wrong_number, _wrong_number, _wrong_number, _wrong_name, _wrong_value, _wrong_value, _zeros, _repeated, _left_out,
    _rewritten, _rewritten, _rewritten, _cut, _noise, _shifted,
)  # fmt: skip
