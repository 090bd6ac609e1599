"""One step at a time out of an unmodified diffusers pipeline.

A pipeline already knows how its family guides, packs, scales and decodes. Here a *tap* stands in place of its
scheduler: it lets through only the wanted part of the schedule, and its `step` records the guided model output
instead of using it. Then one call over one timestep predicts, one call over no timesteps makes initial noise or
decodes, and whoever owns the real scheduler steps it.

This leans on how diffusers pipelines use their scheduler (`set_timesteps`, `timesteps`, `init_noise_sigma`,
`step`), so the dependency is pinned to one minor version and the parity tests run against it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class TappedPipeline:
    """A pipeline whose scheduler is tapped.

    Args:
        pipeline: a loaded diffusers pipeline; it is neither changed nor moved.
        scheduler: the real scheduler, with its timesteps set. The tap shares its state.
        device: where the pipeline's networks are.
    """

    def __init__(self, pipeline: Any, scheduler: Any, device: torch.device) -> None:
        self._scheduler = scheduler
        self._tap = _tap_of(scheduler)
        self._call = _bare_copy(pipeline, self._tap, device)

    def predict(self, index: int, **call: Any) -> Any:
        """The guided model output of timestep number `index` (0-based) for the given call's latents."""
        with self._window(slice(index, index + 1)) as outputs:
            self._call(**call, output_type="latent", return_dict=False)
        (output,) = outputs
        return output

    def initial_latents(self, **call: Any) -> Any:
        """The scaled initial noise the pipeline would draw from the call's `generator`."""
        with self._window(slice(0, 0), scaled=True):
            return self._call(**call, output_type="latent", return_dict=False)[0]

    def set_schedule(self, **call: Any) -> None:
        """Set the real scheduler's timesteps as the pipeline sets them for such a call (resolution included)."""
        with self._window(slice(0, 0)):
            type(self._tap).control.schedules = True
            self._call(**call, output_type="latent", return_dict=False)

    def decode(self, output_type: str, **call: Any) -> Any:
        """The images of the call's `latents`."""
        with self._window(slice(0, 0)):
            return self._call(**call, output_type=output_type, return_dict=False)[0]

    @contextmanager
    def _window(self, window: slice, *, scaled: bool = False) -> Iterator[list[Any]]:
        control = type(self._tap).control
        control.window, control.scaled, control.outputs = window, scaled, []
        try:
            yield control.outputs
        finally:
            control.window, control.schedules = slice(None), False


class _Control:
    """What the tap does at the moment."""

    window: slice = slice(None)
    scaled: bool = False
    schedules: bool = False
    outputs: list[Any]


def _tap_of(scheduler: Any) -> Any:
    """A scheduler of a subclass of `scheduler`'s class that shares its attributes and does not step."""
    control = _Control()
    real = type(scheduler)

    def timesteps(self: Any) -> Any:
        return scheduler.__dict__["timesteps"][control.window]

    def init_noise_sigma(self: Any) -> Any:
        return scheduler.init_noise_sigma if control.scaled else 1.0

    def step(
        self: Any, model_output: Any, timestep: Any, sample: Any, *_: Any, return_dict: bool = True, **__: Any
    ) -> Any:
        from diffusers.schedulers.scheduling_utils import SchedulerOutput

        control.outputs.append(model_output)
        return SchedulerOutput(prev_sample=sample) if return_dict else (sample,)

    @functools.wraps(real.set_timesteps)  # pipelines look at its parameters
    def set_timesteps(self: Any, *args: Any, **kwargs: Any) -> None:
        """The schedule is set already, by its owner, unless it asks the pipeline to do so."""
        if control.schedules:
            scheduler.set_timesteps(*args, **kwargs)

    tapped = type(
        f"Tapped{real.__name__}",
        (real,),
        {
            "control": control,
            "timesteps": property(timesteps),
            "init_noise_sigma": property(init_noise_sigma),
            "step": step,
            "set_timesteps": set_timesteps,
        },
    )
    tap: Any = object.__new__(tapped)
    object.__setattr__(tap, "__dict__", scheduler.__dict__)
    return tap


def _bare_copy(pipeline: Any, tap: Any, device: torch.device) -> Any:
    """The same pipeline with the tap in place, without progress bars, and without a search for its device.

    Finding the device walks every module of every component at each call, and freeing offload hooks after each
    call would move the networks back and forth at every step.
    """
    real = type(pipeline)
    bare = type(
        f"Tapped{real.__name__}",
        (real,),
        {
            "_execution_device": property(lambda self: device),
            "progress_bar": lambda self, iterable=None, total=None: _NoBar(iterable),
            "maybe_free_model_hooks": lambda self: None,
        },
    )
    copy: Any = object.__new__(bare)
    object.__setattr__(copy, "__dict__", {**pipeline.__dict__, "scheduler": tap})
    return copy


class _NoBar:
    """Stands in for tqdm in both ways pipelines use it."""

    def __init__(self, iterable: Iterable[Any] | None) -> None:
        self._iterable = iterable if iterable is not None else ()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._iterable)

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, n: int = 1) -> None:
        """Nothing is shown: the frontier loop reports progress."""
