"""`ggufrun.toml` in the data folder: a user's own settings, for all models `[defaults]`, for one `[models.NAME]`.

Only what a user wrote is handed on; the defaults themselves are in `settings` and `chat.types`. `[mcp.NAME]` is for the
page: see `mcp_servers`; `[routes.NAME]` are names that stand for several models: see `routing`;
`[remotes.NAME]` are engines elsewhere: see `remote`.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ggufrun.chat.limits import check_options
from ggufrun.chat.types import ChatOptions, Effort
from ggufrun.errors import OptionError, RequestError
from ggufrun.mcp_servers import McpServer, mcp_servers
from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote.table import remotes
from ggufrun.routing.settings import RouteSettings, routes
from ggufrun.settings import EngineSettings, FlashAttention, KvType, LoraSpec, ModelSettings
from ggufrun.validation import first_problem
from ggufrun.weights.folders import data_folder as data_folder
from ggufrun.weights.folders import default_data_folder

FILE_NAME: Final = "ggufrun.toml"

_Positive = Annotated[int, Field(ge=1)]
_NotNegative = Annotated[int, Field(ge=0)]
_Strings = Annotated[tuple[str, ...], Field(strict=False)]  # TOML has arrays only
_Numbers = Annotated[tuple[float, ...], Field(strict=False)]


def _layers(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError("should be a number of layers, or 'auto'")


def _folder_or_switch(value: object) -> object:
    if isinstance(value, bool | str):
        return value
    raise ValueError("should be a folder, true or false")


_GpuLayers = Annotated[int | Literal["auto"], BeforeValidator(_layers)]
_DiskCache = Annotated[bool | str, BeforeValidator(_folder_or_switch)]


class UserOptions(BaseModel):
    """The keys of one table, named as on the command line; None where the user wrote nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    context: _Positive | None = None
    threads: _Positive | None = None
    gpu_layers: _GpuLayers | None = None
    kv_type: KvType | None = None
    flash_attn: FlashAttention | None = None
    mmap: bool | None = None
    mlock: bool | None = None
    device: _Strings | None = None
    tensor_split: _Numbers | None = None
    override_tensor: _Strings | None = None
    lora: _Strings | None = None  # FILE or FILE:SCALE, relative to the settings file
    mmproj: str | None = None  # a file, relative to the settings file, or none
    rpc: _Strings | None = None  # HOST:PORT of other machines' workers
    rpc_memory: _Strings | None = None  # 12GiB or 12GiB@448, of each worker's device
    rpc_timeout: Annotated[float, Field(gt=0)] | None = None  # seconds

    parallel: _Positive | None = None
    batch: _Positive | None = None
    max_queue: _Positive | None = None
    gap_ms: Annotated[float, Field(gt=0)] | None = None
    share_prefixes: bool | None = None
    jump_forward: bool | None = None
    drafting: bool | None = None
    wrap_up: bool | None = None
    cached_sequences: _NotNegative | None = None
    disk_cache: _DiskCache | None = None  # a folder, or false for none
    disk_cache_bytes: _NotNegative | None = None

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: _NotNegative | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    seed: _NotNegative | None = None
    max_tokens: _Positive | None = None
    min_tokens: _NotNegative | None = None
    stop: _Strings | None = None
    reasoning_effort: Effort | None = None

    system: str | None = None  # "" for none
    chat_template: str | None = None  # a file, relative to the settings file


_MODEL: Final = {
    "context": "context",
    "threads": "threads",
    "gpu_layers": "gpu_layers",
    "kv_type": "kv_type",
    "flash_attn": "flash_attention",
    "mmap": "mmap",
    "mlock": "mlock",
    "device": "devices",
    "tensor_split": "tensor_split",
    "override_tensor": "override_tensors",
    "rpc": "rpc",
    "rpc_memory": "rpc_memory",
    "rpc_timeout": "rpc_timeout_s",
}
_ENGINE: Final = (
    *("parallel", "batch", "gap_ms", "share_prefixes", "jump_forward", "drafting", "wrap_up"),
    *("cached_sequences", "disk_cache_bytes"),
)
_CHAT: Final = (
    *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"),
    *("seed", "max_tokens", "min_tokens", "stop", "reasoning_effort"),
)


@dataclass(frozen=True, slots=True)
class ModelDefaults:
    """What the user set for one model, as keyword arguments of the settings they belong to; unset ones are absent."""

    model: Mapping[str, Any] = field(default_factory=dict)  # of ModelSettings, without `path`
    engine: Mapping[str, Any] = field(default_factory=dict)  # of EngineSettings
    chat: Mapping[str, Any] = field(default_factory=dict)  # of ChatOptions
    system: str | None = None
    chat_template: Path | None = None


@dataclass(frozen=True, slots=True)
class UserSettings:
    """A read and checked `ggufrun.toml`. Relative file names in it start from `folder`."""

    folder: Path
    defaults: UserOptions = field(default_factory=UserOptions)
    models: Mapping[str, UserOptions] = field(default_factory=dict)  # by name in lower case
    mcp: Mapping[str, McpServer] = field(default_factory=dict)  # by name
    routes: Mapping[str, RouteSettings] = field(default_factory=dict)  # by name
    remotes: Mapping[str, RemoteSettings] = field(default_factory=dict)  # by name

    def for_model(self, name: str, aliases: Sequence[str] = ()) -> ModelDefaults:
        """The table of this name (or of the first alias that has one) over `[defaults]`."""
        tables = (self.models.get(known.lower()) for known in (name, *aliases))
        own = next((table for table in tables if table is not None), UserOptions())
        return _arguments({**_written(self.defaults), **_written(own)}, self.folder)


def load_user_settings(path: Path | None = None) -> UserSettings:
    """Read `path` (None: `ggufrun.toml` in the platform's data folder); a file that is not there sets nothing.

    OptionError names the file and the key that is wrong, and the nearest key for an unknown one.
    """
    path = default_data_folder() / FILE_NAME if path is None else path
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return UserSettings(path.parent)
    except (OSError, ValueError) as error:  # ValueError: not TOML, or not UTF-8
        raise OptionError(f"{path}: not a readable settings file ({error}).", "Correct or remove it.") from error
    for key in document:
        if key not in ("defaults", "models", "mcp", "remotes", "routes"):
            hint = "Use [defaults], [models.NAME], [remotes.NAME], [routes.NAME] and [mcp.NAME]."
            raise OptionError(f"{path}: unknown table {key!r}.", hint)
    models = document.get("models", {})
    if not isinstance(models, dict):
        raise OptionError(f"{path}: 'models' is not a table.", "Write [models.NAME] above a model's settings.")
    settings = UserSettings(
        path.parent,
        _options(path, "defaults", document.get("defaults", {})),
        {name.lower(): _options(path, f"models.{name}", table) for name, table in _flattened(models)},
        mcp_servers(path, document.get("mcp", {})),
        routes(path, document.get("routes", {})),
        remotes(path, document.get("remotes", {})),
    )
    _check_combinations(path, settings)
    return settings


def mcp_servers_of(folder: Path) -> Mapping[str, McpServer]:
    """What its ggufrun.toml has now. Raises OptionError."""
    return load_user_settings(folder / FILE_NAME).mcp


def _flattened(models: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and tables. TOML nests at the dot of `[models.mistral-3.5]`; no option is a table, so that is undone."""
    for key, value in models.items():
        inner = {k: v for k, v in value.items() if isinstance(v, dict)} if isinstance(value, dict) else {}
        yield from _flattened(inner, f"{prefix}{key}.")
        if not inner or len(inner) < len(value):
            own = {k: v for k, v in value.items() if k not in inner} if isinstance(value, dict) else value
            yield prefix + key, own


def _options(path: Path, table: str, values: object) -> UserOptions:
    if not isinstance(values, dict):
        raise OptionError(f"{path}: {table!r} is not a table.", f"Write [{table}] above its settings.")
    if isinstance(values.get("flash_attn"), bool):
        values = {**values, "flash_attn": "on" if values["flash_attn"] else "off"}
    try:
        return UserOptions.model_validate(values)
    except ValidationError as error:
        problem = first_problem(error, UserOptions.model_fields)
        raise OptionError(f"{path} [{table}]: {problem}", "Correct it there.") from error


def _check_combinations(path: Path, settings: UserSettings) -> None:
    """Let the settings themselves refuse what contradicts, while the file can still be named."""
    for name in ("", *settings.models):
        options = settings.for_model(name)
        try:
            ModelSettings(Path(), **options.model)
            EngineSettings(**options.engine)
            check_options(ChatOptions(**options.chat), vocabulary=0)  # which only token numbers are held against
        except (OptionError, RequestError) as error:
            table = f"models.{name}" if name else "defaults"
            raise OptionError(f"{path} [{table}]: {error.message}", error.hint) from error


def _written(options: UserOptions) -> dict[str, Any]:
    return options.model_dump(exclude_none=True)


def _arguments(values: Mapping[str, Any], folder: Path) -> ModelDefaults:
    model = {name: values[key] for key, name in _MODEL.items() if key in values}
    if "lora" in values:
        model["loras"] = tuple(_lora(text, folder) for text in values["lora"])
    if "mmproj" in values:
        named = values["mmproj"]
        model["mmproj"] = named if named == "none" else str(_file(named, folder))
    engine = {key: values[key] for key in _ENGINE if key in values}
    if "max_queue" in values:
        engine["queue"] = values["max_queue"]
    if values.get("disk_cache") is False:
        engine["disk_cache"] = None
    elif isinstance(values.get("disk_cache"), str):
        engine["disk_cache"] = _file(values["disk_cache"], folder)
    template = values.get("chat_template")
    return ModelDefaults(
        model=model,
        engine=engine,
        chat={key: values[key] for key in _CHAT if key in values},
        system=values.get("system"),
        chat_template=None if template is None else _file(template, folder),
    )


def _lora(text: str, folder: Path) -> LoraSpec:
    """FILE or FILE:SCALE; the part after the last colon is a scale only if it is a number (`C:\\adapter.gguf`)."""
    name, colon, scale = text.rpartition(":")
    try:
        return LoraSpec(_file(name, folder), float(scale)) if colon else LoraSpec(_file(text, folder))
    except ValueError:
        return LoraSpec(_file(text, folder))


def _file(text: str, folder: Path) -> Path:
    return folder / os.path.expanduser(text)
