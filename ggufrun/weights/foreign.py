"""Says what a file that is not a GGUF looks like, from its first bytes. Guesses for an error message, nothing more."""

import struct
from typing import Final

PEEK: Final = 512  # bytes of the file that `looks_like` wants

_PREFIXES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file it points to"),
    (b"PK\x03\x04", "a zip archive, perhaps a PyTorch checkpoint"),
    (b"\x80\x02", "a Python pickle, perhaps a PyTorch checkpoint"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"lmgg", "a GGML file from before GGUF"),
    (b"fmgg", "a GGML file from before GGUF"),
    (b"tjgg", "a GGML file from before GGUF"),
)


def looks_like(start: bytes) -> str:
    """`start` holds the file's first bytes, up to PEEK of them. Returns a noun phrase, or "" without a guess."""
    for prefix, meaning in _PREFIXES:
        if start.startswith(prefix):
            return meaning
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page, perhaps a login or error page that was saved instead of the file"
    if text.startswith(b"<?xml"):
        return "an XML document, perhaps an error message that was saved instead of the file"
    if _is_safetensors(start):
        return "a safetensors file"
    if start and not start.strip(b"\0"):
        return "zeros, so its download never finished"
    if text.startswith((b"{", b"[")):
        return "a JSON document"
    if start and all(byte in b"\t\r\n" or byte >= 32 for byte in start):
        return "a text file"
    return ""


def _is_safetensors(start: bytes) -> bool:
    """A safetensors file begins with the length of its JSON header and the header itself."""
    return len(start) > 9 and start[8:9] == b"{" and struct.unpack_from("<Q", start)[0] < 1 << 32
