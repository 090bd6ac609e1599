"""Samplers by name, configured from whatever scheduler the model came with."""

from __future__ import annotations

import math
from typing import Any

from hierflow.errors import InputError

_CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "ddpm": ("DDPMScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
}
STOCHASTIC = frozenset({"ddpm", "euler_ancestral"})
"""Samplers that draw noise at every step."""


def make_scheduler(name: str, config: dict[str, Any], steps: int) -> Any:
    """The diffusers scheduler called `name`, with the model's noise schedule and `steps` steps set.

    A learned variance is a matter of DDPM alone: other samplers must not see `variance_type`, or they treat the
    network's variance channels as part of the latents.

    Raises:
        InputError: the scheduler cannot take exactly `steps` steps.
    """
    import diffusers

    class_name, settings = _CLASSES[name]
    shared = {key: value for key, value in config.items() if name == "ddpm" or key != "variance_type"}
    scheduler = getattr(diffusers, class_name).from_config({**shared, "_class_name": class_name}, **settings)
    trained = int(scheduler.config.num_train_timesteps)
    if steps <= trained:
        scheduler.set_timesteps(steps)
    if steps > trained or len(scheduler.timesteps) != steps or len(set(scheduler.timesteps.tolist())) != steps:
        raise InputError(
            f"is more than the {name} scheduler can take of this model, which was trained with {trained} timesteps",
            field="diffusion.steps",
            value=steps,
            remedy="take fewer steps",
        )
    return scheduler


def scheduler_identity(scheduler: Any) -> dict[str, Any]:
    """What decides a sampler's arithmetic: class, configuration and timesteps, as JSON."""
    config = {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
    return {
        "class": type(scheduler).__name__,
        "config": {key: _plain(value) for key, value in config.items() if _is_plain(value)},
        "timesteps": [float(step) for step in scheduler.timesteps],
    }


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, list, tuple, dict))


def _plain(value: Any) -> Any:
    """`value` as JSON can say it, which knows no infinity (the default of DPM++'s `lambda_min_clipped`)."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
