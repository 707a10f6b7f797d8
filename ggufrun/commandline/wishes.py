"""What is pinned on the command line, as the planner's wishes. ggufrun.toml is merged below it by the library."""

from ggufrun.commandline.plan_flags import PlanFlags
from ggufrun.fit.subject import Wishes
from ggufrun.library.wishes import wishes_for
from ggufrun.settings import ModelOverrides


def wishes_of(flags: PlanFlags, spec: str, mmproj: str | None = None, workers: ModelOverrides | None = None) -> Wishes:
    """`spec` is the model's. `workers`: of other machines; None: only this one counts. Raises OptionError."""
    model = ModelOverrides(**{**flags.overrides(), **(workers or {})})
    if mmproj is not None:
        model["mmproj"] = mmproj
    return wishes_for(spec, model, flags.engine(), remote=workers is not None)
