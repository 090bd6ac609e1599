"""Samplers by name, or the model's own, configured from whatever scheduler the model came with."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from hierflow.errors import InputError
from hierflow.models.quiet import quiet_diffusers
from hierflow.models.sampler import Sampler

_CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "ddpm": ("DDPMScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "deis": ("DEISMultistepScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "lcm": ("LCMScheduler", {}),
    "flow_euler": ("FlowMatchEulerDiscreteScheduler", {}),
}
_OWN_ONLY = {"unclip": "UnCLIPScheduler"}
"""Samplers that a model may come with, but that no document can name: they suit nothing else."""
_STOCHASTIC = frozenset({"ddpm", "euler_ancestral", "lcm", "dpmpp_2m_sde", "unclip"})
_FLOW = frozenset({"flow_euler"})
_LEARNED_VARIANCE = "variance_type"


def make_scheduler(name: str | None, config: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Any:
    """The diffusers scheduler called `name`, with the model's noise schedule; no timesteps are set.

    A learned variance is a matter of DDPM alone: other samplers must not see `variance_type`, or they treat the
    network's variance channels as part of the latents.

    Args:
        name: a key of the document's `diffusion.scheduler`; None for the model's own.
        config: the model's own scheduler configuration.
        options: the document's `diffusion.scheduler_options`, which have the last word.

    Raises:
        InputError: the scheduler does not suit the model, or an option is none of its.
    """
    import diffusers

    own, settings = str(config.get("_class_name")), dict[str, Any]()
    if name is None:
        class_name, shared = _branching(own), dict(config)
    else:
        _check_kind(name, own)
        class_name, settings = _CLASSES[name]
        shared = {key: value for key, value in config.items() if name == "ddpm" or key != _LEARNED_VARIANCE}
    kind = getattr(diffusers, class_name)
    _check_options(kind, options or {})
    try:
        with quiet_diffusers():  # it warns of every setting that only the model's own scheduler knows
            return kind.from_config({**shared, "_class_name": class_name}, **{**settings, **(options or {})})
    except (ValueError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"do not go together ({str(error).splitlines()[0]})",
            field="diffusion.scheduler_options",
            value=dict(options or {}),
            remedy="leave out what does not belong",
        ) from error


def make_sampler(scheduler: Any, steps: int, set_timesteps: Callable[[], None]) -> Sampler:
    """`scheduler` with its `steps` steps set by `set_timesteps`.

    Raises:
        InputError: it cannot take exactly so many different steps.
    """
    counts = _evaluations_a_step(scheduler, steps)
    trained = int(scheduler.config.num_train_timesteps)
    try:
        if steps <= trained:
            set_timesteps()
        whole = steps <= trained and _are_steps(scheduler.timesteps.tolist(), counts)
    except ValueError:  # LCM: more than it was distilled for
        whole = False
    if not whole:
        raise InputError(
            f"is more than the {_name(type(scheduler).__name__, scheduler.config)} scheduler can take of this model, "
            f"which was trained with {trained} timesteps",
            field="diffusion.steps",
            value=steps,
            remedy="take fewer steps",
        )
    return Sampler(scheduler, counts)


def sampler_identity(sampler: Sampler) -> dict[str, Any]:
    """What decides a sampler's arithmetic, and the evaluations of its steps where some take several."""
    identity, counts = scheduler_identity(sampler.scheduler), sampler.evaluations_a_step
    return identity if max(counts) == 1 else {**identity, "evaluations_a_step": list(counts)}


def scheduler_identity(scheduler: Any) -> dict[str, Any]:
    """What decides a sampler's arithmetic: class, configuration and timesteps, as JSON."""
    config = {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
    return {
        "class": type(scheduler).__name__,
        "config": {key: _plain(value) for key, value in config.items() if _is_plain(value)},
        "timesteps": [float(step) for step in scheduler.timesteps],
    }


def scheduler_name(identity: Mapping[str, Any]) -> str:
    """What the document calls the scheduler of a :func:`scheduler_identity`."""
    return _name(identity["class"], identity["config"])


def draws_noise(identity: Mapping[str, Any]) -> bool:
    """Whether the scheduler of a :func:`scheduler_identity` adds noise at its steps."""
    return scheduler_name(identity) in _STOCHASTIC or bool(identity["config"].get("stochastic_sampling"))


def _name(class_name: str, config: Mapping[str, Any]) -> str:
    if class_name == "DPMSolverMultistepScheduler":
        return "dpmpp_2m_sde" if str(config.get("algorithm_type")).startswith("sde") else "dpmpp_2m"
    known = {own: name for name, own in _OWN_ONLY.items()} | {kind: name for name, (kind, _) in _CLASSES.items()}
    return known[class_name]


def _branching(own: str) -> str:
    """A model's own scheduler class, if it is known to branch.

    Raises:
        InputError: it is not; those that draw their noise from a Brownian tree cannot be taken up midway.
    """
    if own not in {class_name for class_name, _ in _CLASSES.values()} | set(_OWN_ONLY.values()):
        raise InputError(
            f"is the model's own scheduler, which hierflow cannot branch ({', '.join(sorted(_CLASSES))} it can)",
            field="diffusion.scheduler",
            value=own,
            remedy="name one of these",
        )
    return own


def _check_kind(name: str, own: str) -> None:
    """Flow models predict a velocity along a straight path, and other samplers would take it for noise."""
    is_flow = own.startswith("FlowMatch")
    if (name in _FLOW) == is_flow:
        return
    raise InputError(
        f"does not suit this model, whose own is {own}",
        field="diffusion.scheduler",
        value=name,
        remedy=f"leave it out, or take one of {', '.join(sorted(n for n in _CLASSES if (n in _FLOW) == is_flow))}",
    )


def _check_options(kind: Any, options: Mapping[str, Any]) -> None:
    allowed = set(inspect.signature(kind.__init__).parameters) - {"self"}
    if kind.__name__ != "DDPMScheduler":
        allowed.discard(_LEARNED_VARIANCE)
    for option in options:
        if option not in allowed:
            raise InputError(
                f"is no option of {kind.__name__}",
                field="diffusion.scheduler_options",
                value=option,
                remedy=f"take one of {', '.join(sorted(allowed))}",
            )


def _evaluations_a_step(scheduler: Any, steps: int) -> tuple[int, ...]:
    name = type(scheduler).__name__
    if name == "HeunDiscreteScheduler":  # a predictor and a corrector, but nothing to correct at the end
        return (2,) * (steps - 1) + (1,)
    if name == "PNDMScheduler" and scheduler.config.skip_prk_steps:
        return (2,) * (steps > 1) + (1,) * (steps - 1 if steps > 1 else 1)
    if name == "PNDMScheduler":
        return (4,) * min(3, steps) + (1,) * (steps - 3)
    return (1,) * steps


def _are_steps(timesteps: list[float], counts: tuple[int, ...]) -> bool:
    """Whether `timesteps` are the evaluations of `counts`, and no two steps begin at the same one."""
    if len(timesteps) != sum(counts):
        return False
    beginnings = {timesteps[sum(counts[:step])] for step in range(len(counts))}
    return len(beginnings) == len(counts)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, list, tuple, dict))


def _plain(value: Any) -> Any:
    """`value` as JSON can say it, which knows no infinity (the default of DPM++'s `lambda_min_clipped`)."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
