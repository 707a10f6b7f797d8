"""ggufrun.toml: what is handed on, and what is said about a faulty one."""

import re
from pathlib import Path

import pytest

from ggufrun.chat.types import ChatOptions
from ggufrun.errors import OptionError
from ggufrun.mcp_servers import McpServer
from ggufrun.settings import EngineSettings, LoraSpec, ModelSettings
from ggufrun.userconfig import UserSettings, data_folder, load_user_settings, mcp_servers_of

EVERYTHING = """
[defaults]
context = 4096
threads = 2
gpu_layers = "auto"
kv_type = "q8_0"
flash_attn = true
mmap = false
mlock = true
device = ["CUDA0"]
tensor_split = [1, 0.5]
override_tensor = ["exps=CPU"]
lora = ["style.gguf", "more/tone.gguf:0.5"]
mmproj = "eyes.gguf"
parallel = 4
batch = 256
max_queue = 9
gap_ms = 100
share_prefixes = false
jump_forward = false
drafting = false
wrap_up = false
cached_sequences = 3
disk_cache = "cache"
disk_cache_bytes = 1000
temperature = 1
top_p = 0.5
top_k = 40
min_p = 0.1
presence_penalty = -1
frequency_penalty = 1.5
repetition_penalty = 1.1
seed = 7
max_tokens = 100
min_tokens = 1
stop = ["END"]
reasoning_effort = "high"
system = "Be brief."
chat_template = "chat.jinja"
"""


def load(folder: Path, text: str) -> UserSettings:
    path = folder / "ggufrun.toml"
    path.write_text(text, "utf-8")
    return load_user_settings(path)


def test_every_key_reaches_its_setting(tmp_path: Path) -> None:
    options = load(tmp_path, EVERYTHING).for_model("any")
    assert ModelSettings(Path("m"), **options.model) == ModelSettings(
        Path("m"), 4096, 2, "auto", "q8_0", "on", False, True, ("CUDA0",), (1.0, 0.5), ("exps=CPU",),
        (LoraSpec(tmp_path / "style.gguf"), LoraSpec(tmp_path / "more/tone.gguf", 0.5)), str(tmp_path / "eyes.gguf"),
    )  # fmt: skip
    assert EngineSettings(**options.engine) == EngineSettings(
        4, 256, 9, 100.0, False, False, False, False, 3, tmp_path / "cache", 1000
    )
    assert ChatOptions(**options.chat) == ChatOptions(
        1.0, 0.5, 40, 0.1, -1.0, 1.5, 1.1, 7, 100, 1, ("END",), reasoning_effort="high"
    )
    assert (options.system, options.chat_template) == ("Be brief.", tmp_path / "chat.jinja")


def test_nothing_written_sets_nothing(tmp_path: Path) -> None:
    for settings in (load_user_settings(tmp_path / "none.toml"), load(tmp_path, ""), load(tmp_path, "[models.demo]")):
        options = settings.for_model("demo")
        assert (options.model, options.engine, options.chat, options.system) == ({}, {}, {}, None)


def test_a_models_table_lies_over_the_defaults(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[defaults]\ncontext = 99\nseed = 1\n[models.Demo]\ncontext = 50\n[models.latest]\ncontext = 60\n",
    )
    assert settings.for_model("demo").model == {"context": 50}
    assert settings.for_model("demo").chat == {"seed": 1}
    assert settings.for_model("other").model == {"context": 99}
    assert settings.for_model("other", aliases=["LATEST"]).model == {"context": 60}


def test_dots_in_a_models_name_need_no_quotes(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        '[models.m-3.5]\nseed = 1\n[models.m-3]\nseed = 2\n[models."m-4.5"]\nseed = 3\n[models.a.b.c]\nseed = 4\n',
    )
    seeds = {name: options.seed for name, options in settings.models.items()}
    assert seeds == {"m-3.5": 1, "m-3": 2, "m-4.5": 3, "a.b.c": 4}


def test_that_nothing_is_seen_is_no_file(tmp_path: Path) -> None:
    assert load(tmp_path, "[defaults]\nmmproj = 'none'").for_model("m").model == {"mmproj": "none"}


@pytest.mark.parametrize(("written", "expected"), [("false", {"disk_cache": None}), ("true", {})])
def test_the_disk_cache_can_be_switched(tmp_path: Path, written: str, expected: dict[str, None]) -> None:
    assert load(tmp_path, f"[defaults]\ndisk_cache = {written}").for_model("m").engine == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[defaults]\ntemprature = 1", "[defaults]: unknown key 'temprature', did you mean 'temperature'?"),
        ("[models.m-3.5]\nqqqq = 1", "[models.m-3.5]: unknown key 'qqqq'."),
        ('[defaults]\ncontext = "8k"', "'context' should be a valid integer, and it is '8k'"),
        ("[defaults]\ncontext = true", "'context' should be a valid integer, and it is True"),
        ("[defaults]\ncontext = 8", "A context of 8 tokens is too small"),
        ("[defaults]\ngpu_layers = -1", "'gpu_layers' should be a number of layers, or 'auto'"),
        ('[defaults]\nkv_type = "q9"', "'kv_type' should be 'f16', 'q8_0' or 'q4_0'"),
        ("[defaults]\ntemperature = 3", "'temperature' should be less than or equal to 2"),
        ("[defaults]\ntemperature = nan", "'temperature' should be"),
        ("[defaults]\ntop_p = 0", "'top_p' should be greater than 0"),
        ('[defaults]\nstop = "END"', "'stop' should be a list"),
        ('[defaults]\nstop = [""]', "[defaults]: A stop string is empty."),
        ("[defaults]\nrepetition_penalty = 11", "repetition_penalty is 11.0. It must be above 0 and up to 10"),
        ("[defaults]\nmax_tokens = 5\n[models.m]\nmin_tokens = 6", "[models.m]: min_tokens is 6 and max_tokens 5."),
        ('[defaults]\nreasoning_effort = "hgih"', "'reasoning_effort' should be 'none', 'minimal'"),
        ("[defaults]\nstop = [1]", "'stop.0' should be a valid string"),
        ("[defaults]\ndisk_cache = 1", "'disk_cache' should be a folder, true or false"),
        ("[defaults]\nparallel = 999", "--parallel 999 is out of range"),
        ('[defaults]\nkv_type = "q8_0"\n[models.m]\nflash_attn = "off"', "[models.m]: A quantized KV cache needs"),
        ("context = 1", "unknown table 'context'"),
        ("defaults = 1", "'defaults' is not a table"),
        ("models = 1", "'models' is not a table"),
        ("[models]\nm = 1", "'models.m' is not a table"),
        ("[defaults", "not a readable settings file"),
    ],
)
def test_faults_are_named_with_file_and_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(OptionError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "ggufrun.toml")) and says in message and "\n" not in message


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="not a readable settings file"):
        load_user_settings(tmp_path)


def test_the_data_folder_can_be_moved(tmp_path: Path) -> None:
    assert data_folder({"GGUFRUN_HOME": str(tmp_path)}) == tmp_path
    assert data_folder({}).name == "ggufrun" and data_folder({"GGUFRUN_HOME": ""}) == data_folder({})


def test_windows_drive_letters_are_not_scales(tmp_path: Path) -> None:
    loras = load(tmp_path, "[defaults]\nlora = ['C:\\tone.gguf', 'C:\\tone.gguf:2']").for_model("m").model["loras"]
    assert [lora.scale for lora in loras] == [1.0, 2.0]


MCP = """
[mcp.files]
command = "~/bin/files"
args = ["--root", "/data"]
env = { TOKEN = "s3cr3t", LEVEL = "1" }

[mcp.web-search_2]
url = "https://mcp.example/mcp?key=s3cr3t"
headers = { Authorization = "Bearer s3cr3t" }
timeout = 5
"""


def test_mcp_servers_are_programs_or_addresses(tmp_path: Path) -> None:
    servers = load(tmp_path, MCP).mcp
    assert dict(servers) == {
        "files": McpServer("files", "~/bin/files", ("--root", "/data"), {"TOKEN": "s3cr3t", "LEVEL": "1"}),
        "web-search_2": McpServer(
            "web-search_2",
            url="https://mcp.example/mcp?key=s3cr3t",
            headers={"Authorization": "Bearer s3cr3t"},
            timeout=5.0,
        ),
    }
    assert mcp_servers_of(tmp_path) == servers
    assert load(tmp_path, "").mcp == {} and "s3cr3t" not in repr(servers)


def test_an_mcp_servers_secrets_are_taken_out_of_words(tmp_path: Path) -> None:
    servers = load(tmp_path, MCP).mcp
    assert servers["files"].hide("no token s3cr3t, exit 1") == "no token …, exit 1"
    for words in ("at https://mcp.example/mcp?key=s3cr3t", "Bearer s3cr3t", "it was s3cr3t"):
        assert "s3cr3t" not in servers["web-search_2"].hide(words)


PLACES = "--verbose-logs in /data/files, ~/files"


@pytest.mark.parametrize(
    ("server", "words", "left"),
    [
        (McpServer("a", "a", env={"A": "abcd "}), "Read abcd.", "Read …."),
        (McpServer("a", "a", env={"A": "some flag 1"}), "1 of 11: some flag 1", "1 of 11: …"),
        (McpServer("a", "a", ("s3cr3t-s3cr3t", "x")), "x: s3cr3t-s3cr3t", "x: …"),
        (McpServer("a", "a", ("--token=s3cr3t-s3cr3t",)), "bad token s3cr3t-s3cr3t", "bad token …"),
        (McpServer("a", "a", ("TOKEN=s3cr3t-s3cr3t",)), "bad TOKEN s3cr3t-s3cr3t", "bad TOKEN …"),
        (McpServer("a", "a", ("czNjcjN0LXMzY3IzdA==",)), "czNjcjN0LXMzY3IzdA==", "…"),
        (McpServer("a", "a", ("-H", "Authorization: Bearer s3cr3t-s3cr3t")), "sent s3cr3t-s3cr3t", "sent …"),
        (McpServer("a", "a", ("postgres://me:s3cr3t-s3cr3t@db/x",)), "me, s3cr3t-s3cr3t", "me, …"),
        (McpServer("a", url="http://a/mcp?key=s3cr3t"), "no key s3cr3t", "no key …"),
        (McpServer("a", "a", ("--verbose-logs", "/data/files", "--root=~/files")), PLACES, PLACES),
    ],
)
def test_what_of_an_mcp_server_keeps_a_secret(server: McpServer, words: str, left: str) -> None:
    assert server.hide(words) == left


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "An MCP server has a command or a url."),
        ('command = "a"\nurl = "http://a/s3cr3t"', "An MCP server has a command or a url."),
        ('comand = "s3cr3t"', "unknown key 'comand', did you mean 'command'?"),
        ('command = ""', "'command' should have at least 1 character"),
        ('command = "a"\nargs = "s3cr3t"', "'args' should be a list."),
        ('command = "a"\nargs = [["s3cr3t"]]', "'args.0' should be a valid string."),
        ('command = "a"\nenv = { TOKEN = ["s3cr3t"] }', "'env.TOKEN' should be a valid string."),
        ('command = "a"\nenv = "TOKEN=s3cr3t"', "'env' should be a valid dictionary."),
        ('command = "a"\nenv = { "A=B" = "s3cr3t" }', "A name in env is empty or has a '='."),
        ('command = "a"\nenv = { A = "s3cr3t\\u0000" }', "no zero characters"),
        ('command = "a"\nheaders = { A = "s3cr3t" }', "headers are for a url"),
        ('url = "http://a"\nenv = { A = "s3cr3t" }', "args and env are for programs"),
        ('url = "ftp://s3cr3t@a"', "The url is no http:// or https:// address."),
        ('url = "http://a:s3cr3t"', "The url is no http:// or https:// address."),
        ('url = "http://a"\nheaders = { A = "s3cr3t\\r\\nB: c" }', "One of the headers cannot be sent."),
        ('url = "http://a"\nheaders = { "A B" = "s3cr3t" }', "One of the headers cannot be sent."),
        ('url = "http://a"\nheaders = { A = 53 }', "'headers.A' should be a valid string."),
        ('command = "a"\ntimeout = 0', "'timeout' should be greater than 0, and it is 0."),
    ],
)
def test_faulty_mcp_servers_are_named_and_their_secrets_are_not(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(OptionError) as caught:
        load(tmp_path, f"[mcp.files]\n{table}")
    message = str(caught.value)
    assert f"{tmp_path / 'ggufrun.toml'} [mcp.files]: " in message and says in message
    assert "s3cr3t" not in message + repr(caught.value.__cause__)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mcp = 1", "'mcp' is not a table"),
        ("[mcp]\nfiles = 1", "'mcp.files' is not a table"),
        *((f'[mcp."{name}"]\ncommand = "a"', "is no name for an MCP server") for name in ("", "a__b", "_a", "a_", "ü")),
        (f'[mcp.{"a" * 25}]\ncommand = "a"', "is no name for an MCP server"),
        ('[mcp.a.b]\ncommand = "a"', "[mcp.a]: unknown key 'b'"),
    ],
)
def test_names_of_mcp_servers(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(OptionError, match=re.escape(says)):
        load(tmp_path, text)
