"""Samplers by name, or the model's own, configured from whatever scheduler the model came with."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

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
_OWN_ONLY = {
    "unclip": "UnCLIPScheduler",
    "edm_euler": "EDMEulerScheduler",
    "edm_dpmpp_2m": "EDMDPMSolverMultistepScheduler",
}
"""Samplers that a model may come with, but that no document can name: they suit nothing else."""
_STOCHASTIC = frozenset({"ddpm", "euler_ancestral", "lcm", "unclip"})
_LEARNED_VARIANCE = "variance_type"
_TRAINING = (
    *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type"),
    *("shift", "flow_shift"),
)
"""Settings that describe how the model was trained: every sampler needs the same, whatever its own defaults are."""
_NO_SAMPLE_PREDICTION = frozenset({"EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "PNDMScheduler"})


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
    options, own = options or {}, str(config.get("_class_name"))
    model = _parameterization(own, config)
    if name is None and own not in {kind for kind, _ in _CLASSES.values()} | set(_OWN_ONLY.values()):
        # Those that draw their noise from a Brownian tree cannot be taken up midway.
        problem = "is the model's own scheduler, which hierflow cannot branch"
        raise _unsuitable(problem, own, config, model)
    made = _from_config(name, config, options)
    if _fits(made, model):
        return made
    if options and _fits(_from_config(name, config, {}), model):
        raise InputError(
            f"do not suit this model, which needs {model}",
            field="diffusion.scheduler_options",
            value=dict(options),
            remedy="leave out what changes that; the model's own scheduler_config.json says how it was trained",
        )
    raise _unsuitable(f"does not suit this model, which needs {model} (its own is {own})", name or own, config, model)


def make_sampler(scheduler: Any, steps: int, set_timesteps: Callable[[], None]) -> Sampler:
    """`scheduler` with its `steps` steps set by `set_timesteps`.

    Raises:
        InputError: it cannot take exactly so many different steps, or not those that the model's pipeline sets.
    """
    counts = _evaluations_a_step(scheduler, steps)
    trained = int(scheduler.config.num_train_timesteps)
    try:
        if steps <= trained:
            set_timesteps()
        whole = steps <= trained and _are_steps(scheduler.timesteps.tolist(), counts)
    except (ValueError, AssertionError) as error:  # LCM: more than it was distilled for
        if type(scheduler).__name__ != "LCMScheduler":
            raise InputError(
                "cannot take the sigmas or the shift that this model's pipeline sets",
                field="diffusion.scheduler",
                value=_name(type(scheduler).__name__, scheduler.config),
                remedy="leave it out",
            ) from error
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
        "config": {key: plain_config(value) for key, value in config.items() if _is_plain(value)},
        "timesteps": [float(step) for step in scheduler.timesteps],
    }


def scheduler_name(identity: Mapping[str, Any]) -> str:
    """What the document calls the scheduler of a :func:`scheduler_identity`."""
    return _name(identity["class"], identity["config"])


def draws_noise(identity: Mapping[str, Any]) -> bool:
    """Whether the scheduler of a :func:`scheduler_identity` adds noise at its steps."""
    config = identity["config"]
    is_sde = str(config.get("algorithm_type")).startswith("sde")
    return scheduler_name(identity) in _STOCHASTIC or is_sde or bool(config.get("stochastic_sampling"))


def _name(class_name: str, config: Mapping[str, Any]) -> str:
    if class_name == "DPMSolverMultistepScheduler":
        return "dpmpp_2m_sde" if str(config.get("algorithm_type")).startswith("sde") else "dpmpp_2m"
    known = {own: name for name, own in _OWN_ONLY.items()} | {kind: name for name, (kind, _) in _CLASSES.items()}
    return known[class_name]


class _Parameterization(NamedTuple):
    """What a network was trained to predict, and at which noise levels."""

    sigmas: str
    prediction: str
    is_zero_snr: bool

    def __str__(self) -> str:
        zero_snr = " rescaled to zero terminal SNR" if self.is_zero_snr else ""
        return f"{self.sigmas} sigmas{zero_snr} and {self.prediction} as its prediction type"


def _parameterization(class_name: str, config: Mapping[str, Any]) -> _Parameterization:
    """What a scheduler of this class and configuration expects of the network."""
    settings = _settings(class_name, config)
    is_flow = class_name.startswith("FlowMatch")
    if is_flow or settings.get("use_flow_sigmas"):
        sigmas = "flow matching"
    elif class_name.startswith(("EDM", "CosineDPM")) or settings.get("timestep_type") == "continuous":
        sigmas = "EDM"
    else:
        sigmas = "beta schedule" if "beta_schedule" in settings else class_name
    prediction = "flow_prediction" if is_flow else str(settings.get("prediction_type", "epsilon"))
    return _Parameterization(sigmas, prediction, bool(settings.get("rescale_betas_zero_snr")))


def _settings(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in `config` that the class reads, and its defaults for the others."""
    import diffusers

    kind = getattr(diffusers, class_name, None)
    parameters = inspect.signature(kind.__init__).parameters if kind is not None else {}
    if "num_train_timesteps" not in parameters:  # a class that is not installed
        return dict(config)
    return {name: config.get(name, known.default) for name, known in parameters.items() if name != "self"}


def _fits(scheduler: Any, model: _Parameterization) -> bool:
    """Whether the scheduler expects what the model predicts, and has a formula for it."""
    name = type(scheduler).__name__
    is_known = model.prediction != "sample" or name not in _NO_SAMPLE_PREDICTION
    if model.prediction == "flow_prediction":
        predicts_noise = str(scheduler.config.get("algorithm_type")).endswith("dpmsolver")
        is_known = name.startswith("FlowMatch") or ("use_flow_sigmas" in _settings(name, {}) and not predicts_noise)
    return is_known and _parameterization(name, scheduler.config) == model


def _unsuitable(problem: str, value: str, config: Mapping[str, Any], model: _Parameterization) -> InputError:
    """The error for a sampler that cannot be used; it names those that can."""
    fitting = []
    for name in sorted(_CLASSES):
        with suppress(InputError):
            if _fits(_from_config(name, config, {}), model):
                fitting.append(name)
    remedy = f"take one of {', '.join(fitting)}" if fitting else "take the model's own, or another model"
    return InputError(problem, field="diffusion.scheduler", value=value, remedy=remedy)


def _from_config(name: str | None, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """The scheduler that diffusers makes of a model's configuration, whether it suits the model or not."""
    import diffusers

    own, settings = str(config.get("_class_name")), dict[str, Any]()
    if name is None:
        class_name, shared = own, dict(config)
    else:
        class_name, settings = _CLASSES[name]
        shared = {key: value for key, value in config.items() if name == "ddpm" or key != _LEARNED_VARIANCE}
        known, trained = _settings(class_name, {}), _settings(own, config)
        trained["flow_shift"], trained["shift"] = trained.get("shift"), trained.get("flow_shift")  # two names for one
        for key in _TRAINING:
            if key in known and key not in config and trained.get(key) is not None:
                shared[key] = trained[key]
    kind = getattr(diffusers, class_name)
    _check_options(kind, options)
    try:
        with quiet_diffusers():  # it warns of every setting that only the model's own scheduler knows
            return kind.from_config({**shared, "_class_name": class_name}, **{**settings, **options})
    except (ValueError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"do not go together ({str(error).splitlines()[0]})" if options else f"cannot be used ({error})",
            field="diffusion.scheduler_options" if options else "diffusion.scheduler",
            value=dict(options) if options else name or own,
            remedy="leave out what does not belong",
        ) from error


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


def plain_config(value: Any) -> Any:
    """A scheduler's setting as JSON can say it, which knows no infinity (`lambda_min_clipped` of DPM++ is one)."""
    if isinstance(value, Mapping):
        return {key: plain_config(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_config(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
