"""`ggufrun compare --blind A B`: the options of the comparison that count there. The test itself is `blind`'s"""

from collections.abc import Sequence

from ggufrun.commandline.blind import BlindOptions, blind
from ggufrun.commandline.compare_flags import AimFlags, BlindFlags, RowFlags, TextFlags
from ggufrun.commandline.values import tokens
from ggufrun.errors import OptionError
from ggufrun.settings import ModelOverrides


def compare_blind(models: Sequence[str], flags: BlindFlags, rows: RowFlags, text: TextFlags, aims: AimFlags) -> None:
    """`--context` is what both are loaded with. Raises what `blind` raises, and OptionError."""
    if measuring := _measuring(rows, text, aims):
        raise OptionError(f"{measuring[0]} is of measuring, and --blind measures nothing.", "Leave one of them out.")
    if len(models) != 2:
        raise OptionError(f"A blind test is between two models, not {len(models)}.", "Name two.")
    overrides: ModelOverrides = {"context": tokens(aims.context, "--context")} if aims.context else {}
    a, b = models
    blind(a, b, BlindOptions(flags.prompts, text.chats, flags.max_tokens, aims.out, overrides))


def _measuring(rows: RowFlags, text: TextFlags, aims: AimFlags) -> list[str]:
    """Options that were given and would do nothing."""
    given = {
        "--quants": rows.quants is not None,
        "--kv-types": rows.kv_types is not None,
        "--reference": rows.reference != RowFlags().reference,
        "--text": bool(text.text),
        "--quick": text.quick,
        "--full": text.full,
        "--tasks": text.tasks is not None,
        "--min-tok-s": aims.min_tok_s is not None,
    }
    return [name for name, is_given in given.items() if is_given]
