"""The first words of llama.cpp's RPC, spoken by ourselves: HELLO, and the devices' memory. Computing is llama.cpp's.

Its own client ends the process where these fail (ggml-rpc.cpp), so they are tried before.
A request is a command's byte, a length (8 bytes) and so many bytes; an answer is a length and so many bytes.
"""

import socket
import struct
import time
from dataclasses import dataclass
from typing import Final

from ggufrun.errors import InputError
from ggufrun.rpc.address import Address

CONNECT_S: Final = 3.0
ANSWER_S: Final = 5.0
_HELLO, _DEVICE_COUNT, _DEVICE_MEMORY = 14, 15, 11  # rpc_cmd
_CAPS: Final = 24  # bytes of what a connection could be upgraded to; zeros: plain TCP
_VERSION: Final = struct.Struct("<BBBx")
_LENGTH: Final = struct.Struct("<Q")
_COUNT: Final = struct.Struct("<I")
_MEMORY: Final = struct.Struct("<QQ")
_MOST_DEVICES: Final = 64

Version = tuple[int, int, int]


class WorkerFault(InputError):
    """A worker that cannot be used as it is. `reason` is a part of a sentence."""

    def __init__(self, address: str, reason: str, hint: str) -> None:
        super().__init__(f"The RPC worker {address} {reason}.", hint)
        self.address, self.reason = address, reason


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one device, bytes."""

    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a worker says of itself."""

    address: str
    protocol: Version
    devices: tuple[Memory, ...]


def greet(address: Address, spoken: Version | None, answer_s: float = ANSWER_S) -> Greeting:
    """Connect, shake hands, ask for the devices, and leave. Raises WorkerFault, and OptionError for the address.

    `spoken`: the protocol of this side; None: not known, so that none is wrong.
    """
    host, port = address.resolved().rsplit(":", 1)
    name = str(address)
    try:
        connection = socket.create_connection((host, int(port)), timeout=min(CONNECT_S, answer_s))
    except TimeoutError:
        hint = (
            "Is the machine on, and its firewall open for this port? Several programs that wait for it fill its queue."
        )
        raise WorkerFault(name, "does not answer", hint) from None
    except ConnectionRefusedError:
        hint = f"On that machine: ggufrun rpc-worker --listen ADDRESS:{port}."
        raise WorkerFault(name, "is not there: nobody listens on that port", hint) from None
    except OSError as error:
        raise WorkerFault(name, f"cannot be reached: {error.strerror or error}", "Check the address.") from None
    with connection:
        talk = _Talk(connection, name, time.monotonic() + answer_s)
        protocol = talk.hello()
        if spoken is not None and (protocol[0] != spoken[0] or protocol[1] > spoken[1]):
            theirs, ours = (".".join(map(str, version)) for version in (protocol, spoken))
            hint = "Install the same version of llama-cpp-python on both machines."
            raise WorkerFault(name, f"speaks version {theirs} of llama.cpp's RPC, and this side {ours}", hint)
        return Greeting(name, protocol, talk.devices())


class _Talk:
    def __init__(self, connection: socket.socket, name: str, end: float) -> None:
        self._connection, self._name, self._end = connection, name, end

    def hello(self) -> Version:
        length, body = self._ask(_HELLO, bytes(_CAPS), most=_VERSION.size + _CAPS)
        if length not in (3, _VERSION.size, _VERSION.size + _CAPS):  # as older and newer servers have it
            raise self._no_worker("answers with something else than llama.cpp's RPC")
        return body[0], body[1], body[2]

    def devices(self) -> tuple[Memory, ...]:
        (count,) = _COUNT.unpack(self._exactly_asked(_DEVICE_COUNT, b"", _COUNT.size))
        if not 0 < count <= _MOST_DEVICES:
            raise self._no_worker(f"says that it has {count} devices")
        found = []
        for number in range(count):
            body = self._exactly_asked(_DEVICE_MEMORY, _COUNT.pack(number), _MEMORY.size)
            found.append(Memory(*_MEMORY.unpack(body)))
        return tuple(found)

    def _exactly_asked(self, command: int, body: bytes, size: int) -> bytes:
        length, answer = self._ask(command, body, most=size)
        if length != size:
            raise self._no_worker("answers with something else than llama.cpp's RPC")
        return answer

    def _ask(self, command: int, body: bytes, most: int) -> tuple[int, bytes]:
        """The answer's length, and its body where that is not longer than `most`."""
        try:
            self._connection.settimeout(max(0.01, self._end - time.monotonic()))
            self._connection.sendall(bytes((command,)) + _LENGTH.pack(len(body)) + body)
            (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
            return length, self._read(length) if length <= most else b""
        except TimeoutError:
            hint = "A worker serves one program at a time: end the other one. If there is none, start the worker again."
            raise WorkerFault(self._name, "takes the connection and says nothing: it is busy, or stuck", hint) from None
        except OSError:
            raise self._no_worker("breaks the connection off") from None

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            self._connection.settimeout(max(0.01, self._end - time.monotonic()))
            part = self._connection.recv(size - len(data))
            if not part:
                raise ConnectionResetError
            data += part
        return data

    def _no_worker(self, what: str) -> WorkerFault:
        hint = "Is that port a `ggufrun rpc-worker`, with the same version of llama-cpp-python as here?"
        return WorkerFault(self._name, what, hint)
