"""What is pinned on the command line, as the planner's wishes. ggufrun.toml is merged below it by the library."""

from ggufrun.commandline.plan_flags import PlanFlags
from ggufrun.fit.subject import Wishes
from ggufrun.library.wishes import wishes_for


def wishes_of(flags: PlanFlags, spec: str) -> Wishes:
    """`spec` is the model's. Raises OptionError."""
    return wishes_for(spec, flags.overrides(), flags.engine())
