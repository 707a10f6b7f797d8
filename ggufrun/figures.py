"""Numbers for people, each kind written the same way everywhere: sizes, speeds, counts, durations. JSON has them exact.

Files, downloads and disks are in GB (powers of 1000, as the hub and the systems have them), memory in GiB.
"""

import math
from typing import Final

_UNITS: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def gb(size: float) -> str:
    """Bytes of a file, a download or a disk: 79.4 GB, 4.37 GB, 16.8 MB."""
    scale, unit = _unit(size)
    return f"{_scaled(size, scale, unit)} {unit}"


def gb_of(done: float, whole: float) -> str:
    """Two sizes in the unit of the second: 0.51 of 4.37 GB."""
    scale, unit = _unit(whole)
    return f"{_scaled(done, scale, unit)} of {_scaled(whole, scale, unit)} {unit}"


def gib(size: int) -> str:
    """Bytes of memory: 23.6 GiB, 512 MiB."""
    if abs(size) < 1 << 30:
        return f"{size / 2**20:,.0f} MiB"
    return f"{size / 2**30:,.1f} GiB"


def bandwidth(bytes_s: float) -> str:
    """How fast memory is read: 1,008 GB/s."""
    return f"{bytes_s / 1e9:,.0f} GB/s"


def speed(tok_s: float) -> str:
    """Tokens a second, without the unit: 4,480, 12, 7.3, 0.15."""
    if tok_s >= 10:
        return f"{tok_s:,.0f}"
    return f"{tok_s:.1f}" if tok_s >= 0.2 else f"{tok_s:.2f}"


def billions(count: int) -> str:
    """Parameters: 22.2 billion, 135 million."""
    scale, word = (1e9, "billion") if count >= 999_500_000 else (1e6, "million")
    number = count / scale
    return f"{number:.3g} {word}" if number < 999.5 else f"{number:,.0f} {word}"  # never 1e+03


def nats(value: float) -> str:
    """KL divergence, differences of log-probabilities: 0.0313, 0.00136, 0.000025, 1.39. Only 0 is told as 0."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) < 1e-6:
        return "<0.000001" if value > 0 else ">-0.000001"
    decimals = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{min(max(decimals, 2), 6)}f}"


def percent(share: float) -> str:
    """Of 1: 91.9 %, 99.97 %. Only what is all of it is told as 100 %."""
    if not math.isfinite(share):
        return "–"
    decimals = 0 if share in (0, 1) else 1 if share < 0.9995 else 2
    return f"{min(share, 0.9999) if decimals == 2 else share:.{decimals}%}".replace("%", " %")


def duration(seconds: float) -> str:
    """Two units at most: 40 s, 12 min, 3 h 5 min."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _unit(size: float) -> tuple[float, str]:
    return next((each for each in _UNITS if size >= each[0]), _UNITS[-1])


def _scaled(size: float, scale: float, unit: str) -> str:
    return f"{size / scale:.2f}" if unit == "GB" and size < 10e9 else f"{size / scale:,.1f}"
