"""The largest batch that fits this machine: found once, and remembered."""

from __future__ import annotations

from hierflow.models.batches import Batches
from hierflow.models.cache import remember, remembered
from hierflow.stages.context import Stage

_CACHE = "batches"


def batches_of(stage: Stage) -> Batches:
    """How this run divides rows among calls of the network.

    Where the document leaves the batch to the machine, it starts with the size that worked last time, for this
    network, image size, precision and device (:attr:`Stage.pace`).
    """
    runtime = stage.adapter.runtime
    if runtime.fixed_batch or runtime.batch_limit:
        return Batches(runtime, on_halved=lambda limit: _say(stage, limit, "set diffusion.batch_size to it"))
    return Batches(runtime, _known(stage.pace), lambda limit: _keep(stage, limit))


def _known(pace: str) -> int | None:
    size = remembered(_CACHE).get(pace)
    return size if type(size) is int and size > 0 else None


def _keep(stage: Stage, limit: int) -> None:
    remember(_CACHE, {**remembered(_CACHE), stage.pace: limit})
    _say(stage, limit, "the next run starts with that")


def _say(stage: Stage, limit: int, then: str) -> None:
    stage.say(f"memory ran out, so the denoiser sees {limit} at once from now on; {then}")
