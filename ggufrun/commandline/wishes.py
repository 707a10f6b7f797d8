"""What is pinned on the command line, as the planner's wishes. ggufrun.toml is merged below it by the library."""

from ggufrun.commandline.plan_flags import PlanFlags
from ggufrun.fit.subject import Wishes
from ggufrun.library.wishes import wishes_for


def wishes_of(flags: PlanFlags, spec: str, mmproj: str | None = None) -> Wishes:
    """`spec` is the model's. Raises OptionError."""
    model = flags.overrides()
    if mmproj is not None:
        model["mmproj"] = mmproj
    return wishes_for(spec, model, flags.engine())
