"""A process's main: what the llama.cpp inside says of itself, as JSON. `build` asks it; crashes stay here."""

from importlib.metadata import PackageNotFoundError, version

from ggufrun.doctor.asking import answer, refuse
from ggufrun.errors import EngineError


def main() -> None:
    try:
        from ggufrun.llama import amx, devices, library
    except (ImportError, OSError, RuntimeError) as error:  # not installed, or its libraries do not load
        hint = "Install it again; the message names the library that is missing."
        refuse(EngineError(f"llama.cpp does not load: {' '.join(str(error).split())[:500]}.", hint))
        return
    number, _, features = library.version().partition(" ")
    answer(
        {
            "binding": _installed("llama-cpp-python"),
            "llama": number,
            "features": features,
            "offload": library.supports_gpu(),
            "backends": devices.backends(),
            "amx_right": amx.tiles_are_right(amx.library_bytes()),
            "devices": [
                {
                    "name": device.name,
                    "description": device.description,
                    "is_cpu": device.is_cpu,
                    "free": device.free,
                    "total": device.total,
                }
                for device in devices.devices()
            ],
        }
    )


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    main()
